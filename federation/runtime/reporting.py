"""How the report of a node comes to those who want it: by way of the head's agent, which bundles what all nodes send.

A call through Ray costs some 0.3 ms of CPU at either end, so a call for each listener and report would keep two cores
busy at 2,000 nodes. A node makes one call, to the agent of the head; from there the reports go on in bundles over
sockets (`direct`). While that agent is away, or does not answer, a node calls every listener itself.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import msgspec
import ray

from federation.errors import EliasError, Temporary
from federation.runtime.cluster import HEAD
from federation.runtime.delivery import Sleep
from federation.runtime.link import RayLink
from federation.runtime.service import HEAD_RESOURCE, NAMESPACE, actor_name

BUNDLE = 0.1  # seconds for which reports are gathered, where they were heard the last time
SELDOM = 1.0  # twice as long after each bundle that was not heard, and this at most
HEARD = 10.0  # seconds after which what was not heard is given up: a manager that is being restarted takes 3
LONGEST = 120.0  # seconds that a listener may take for one bundle: its answer may have been lost
SILENT = 2.0  # seconds after which somebody counts as away
KEPT = 20_000  # messages that wait for one listener; the oldest go first
SHUNNED = 30.0  # seconds for which a head's agent that did not answer is left alone
_AWAY = (ValueError, AttributeError, ray.exceptions.RayError)  # it is being replaced, or of an ELIAS without that call
_log = logging.getLogger("elias.reporting")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[dict[str, Any]]).decode
_heads_of = msgspec.msgpack.Decoder(list[str]).decode


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    """What a node sends to the head's agent: bytes, for which Ray needs half the time of other arguments."""

    listeners: Sequence[str]
    message: bytes


_letter = msgspec.msgpack.Decoder(_Letter).decode


def unpacked(messages: Iterable[bytes]) -> list[dict[str, Any]]:
    """The reports in messages of `Reporter`, in order; of a node's figures the newest alone. A message that is none
    keeps nobody from hearing the others."""
    found = list[dict[str, Any]]()
    for message in messages:
        try:
            found += _unpack(message)
        except msgspec.DecodeError as error:
            _log.error("a message of a node is none: %s", error)
    newest = {report["node"]: report for report in found if "measured" in report}
    return [report for report in found if "measured" not in report or newest[report["node"]] is report]


def agent_of_the_head() -> str:
    """The name of its actor. Blocks for a word with Ray's control store; raises ValueError while there is none."""
    heads = [node["NodeID"] for node in ray.nodes() if node["Alive"] and HEAD_RESOURCE in node["Resources"]]  # type: ignore[no-untyped-call]
    if not heads:
        raise ValueError("the cluster has no head now")
    return actor_name(f"agent.{heads[0][:8]}")


class Reporter:
    """Sends reports in the name of an actor, which the gate finds by them."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._head = ""  # the name of its agent; a cluster has one head as long as it lives
        self._relay: Any = None
        self._silent_until = 0.0  # by the clock of the event loop

    async def send(self, listeners: Sequence[str], reports: Iterable[Mapping[str, object]]) -> list[str]:
        """To these actors; one that is being restarted hears the next ones. The machines that can be the head, as
        `address:port`; none where nobody said."""
        message, loop = self._message(reports), asyncio.get_running_loop()
        if loop.time() >= self._silent_until:
            try:
                async with asyncio.timeout(SILENT):
                    return _heads_of(await self._relayed(_pack(_Letter(listeners, message))))
            except TimeoutError:  # it may still have taken it, and has more than it can do
                self._relay, self._silent_until = None, loop.time() + SHUNNED
            except _AWAY:
                self._relay = None
        await self._tell(listeners, message, SILENT)
        return []

    async def _relayed(self, letter: bytes) -> bytes:
        self._head = self._head or await asyncio.to_thread(agent_of_the_head)
        self._relay = self._relay or await asyncio.to_thread(ray.get_actor, self._head, NAMESPACE)
        answer: bytes = await self._relay.relay.remote(letter)
        return answer

    async def deliver(self, listeners: Sequence[str], reports: Iterable[Mapping[str, object]]) -> bool:
        """To these actors without a detour; whether all of them heard it."""
        return await self._tell(listeners, self._message(reports), HEARD)

    @cached_property
    def _sender(self) -> dict[str, str]:
        return {"actor": self._actor, "ray_node": ray.get_runtime_context().get_node_id()}

    def _message(self, reports: Iterable[Mapping[str, object]]) -> bytes:
        return _pack([{**report, **self._sender} for report in reports])

    async def _tell(self, listeners: Sequence[str], message: bytes, patience: float) -> bool:
        told = await asyncio.gather(*(_told(listener, message, patience) for listener in listeners))
        return all(told)


async def _told(listener: str, message: bytes, patience: float) -> bool:
    try:
        async with asyncio.timeout(patience):
            # In a thread: it asks Ray's control store, which may be away for longer than an agent may stand still.
            actor = await asyncio.to_thread(ray.get_actor, actor_name(listener), NAMESPACE)
            await actor.hear.remote([message])
            return True
    except (TimeoutError, *_AWAY):
        return False


class _Waiting(NamedTuple):
    """since: by the clock of the event loop."""

    since: float
    message: bytes


class Host(Protocol):
    """The actor around a relay."""

    log: logging.Logger

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it on its own; should it fail, the process ends."""
        ...


class Relay:
    """Of the head's agent: carries the messages of all nodes to their listeners, in order.

    interval: seconds after which it looks anew which machines can be the head. sleep: between two bundles.
    """

    def __init__(self, host: Host, interval: float, sleep: Sleep = asyncio.sleep) -> None:
        self._host, self._interval, self._sleep = host, interval, sleep
        self._link = RayLink()
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._woken: dict[str, asyncio.Event] = {}
        self._heads: list[str] = []

    def take(self, raw: bytes) -> bytes:
        """What a `Reporter` sent; the machines that can be the head, as it wants to know them."""
        letter = _letter(raw)
        if not self._waiting:
            self._host.spawn(self._watch_heads())
        for listener in letter.listeners:
            if listener not in self._waiting:
                self._waiting[listener], self._woken[listener] = deque(maxlen=KEPT), asyncio.Event()
                self._host.spawn(self._carry(listener))
            self._waiting[listener].append(_Waiting(asyncio.get_running_loop().time(), letter.message))
            self._woken[listener].set()
        return _pack(self._heads)

    async def _carry(self, listener: str) -> None:
        """One bundle at a time, however long it takes to be heard. What comes meanwhile goes with the next one, and
        there only the newest figures of a node count: a listener with more than it can do gets less, not more."""
        waiting, woken, loop = self._waiting[listener], self._woken[listener], asyncio.get_running_loop()
        pause, lost, told = BUNDLE, 0, ""
        while True:
            await woken.wait()
            await self._sleep(pause)
            woken.clear()
            bundle = list(waiting)
            waiting.clear()
            try:
                async with asyncio.timeout(LONGEST):
                    await self._link.once(listener, "hear", [one.message for one in bundle])
                if lost:
                    self._host.log.warning("%s hears the nodes again; of what they said it missed %d", listener, lost)
                pause, lost, told = BUNDLE, 0, ""
            except (EliasError, TimeoutError) as error:
                passes, too_old = isinstance(error, Temporary | TimeoutError), loop.time() - HEARD
                again = [one for one in bundle if passes and one.since > too_old]
                gone = len(bundle) - len(again)
                if gone and (words := str(error) or f"no answer in {LONGEST:g} s") != told:
                    self._host.log.warning("%s did not hear %d messages of nodes: %s", listener, gone, words)
                    told = words
                pause, lost = min(2 * pause, SELDOM), lost + gone
                newer = list(waiting)
                waiting.clear()
                waiting.extend((*again, *newer))
                if again:
                    woken.set()

    async def _watch_heads(self) -> None:
        while True:
            self._heads = await asyncio.to_thread(_heads, self._heads)
            await asyncio.sleep(self._interval)


def _heads(before: list[str]) -> list[str]:
    """Those before where Ray does not say."""
    with contextlib.suppress(ray.exceptions.RayError):
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        able = [(node["NodeManagerAddress"], node["Labels"].get(HEAD)) for node in nodes if node["Alive"]]
        return sorted(f"{address}:{port}" for address, port in able if port)
    return before
