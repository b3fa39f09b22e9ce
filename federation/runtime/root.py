"""The root supervisor: carries out the orders of the supervision tree on Ray actors.

It is the only actor that Ray restarts. Its children are named detached actors that Ray leaves dead; a child's process
is ended by its pid, on its node, before a replacement is made, because Ray calls an actor dead that may still write.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorAlreadyExistsError
from ray.experimental import internal_kv

from federation.clock import SECOND, SystemClock
from federation.errors import Refused
from federation.runtime.processes import ActorSpec, Process, actor_class, call, find, living_nodes, make
from federation.runtime.service import HEAD_RESOURCE, NAMESPACE, actor_name, log_to_file
from federation.supervision import Child, Exceeded, Order, Reason, Start, Status, Stop, Supervisor, Tree, members

_MEMORY = b"elias.root.memory"
_NODES_EVERY = 1.0
_PINGS = 100  # a second at most of those that are on every node; one costs this process some 0.5 ms
_log = logging.getLogger("elias.root")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """In seconds. every: between two pings, and longer for agents of more than 200 nodes; hung_after: a child that
    does not answer for so long is ended.

    start, drain: how long a child may take to serve and to finish; end: how long the kernel may take to end it.
    """

    every: float = 2.0
    hung_after: float = 6.0
    start: float = 60.0
    drain: float = 10.0
    end: float = 5.0


@dataclass(frozen=True, slots=True)
class Member:
    """A supervisor or child for the dashboard. since: ns; pid 0 and node "" where no process runs. elias: the version
    that it runs, empty where it has not said. ahead: by how many seconds the clock of its machine is before that of the
    head, give or take `within`; None: not known yet."""

    name: str
    supervisor: str
    status: str
    since: int
    restarts: int
    pid: int
    node: str
    elias: str = ""
    ahead: float | None = None
    within: float | None = None


class Root:
    """Hosts the tree. hook: the child whose `supervision_exceeded(dict)` hears of a supervisor that gave up."""

    def __init__(self, spec: Supervisor, actors: tuple[ActorSpec, ...], heartbeat: Heartbeat, hook: str) -> None:
        log_to_file("root")
        self._clock = SystemClock()
        self._heartbeat, self._hook = heartbeat, hook
        self._tree = Tree(spec)
        self._spread = [a for a in actors if a.per_node]
        self._supervisors = {s.name: s for s in members(spec) if isinstance(s, Supervisor)}
        self._specs = {a.name: a for a in actors if not a.per_node}
        self._processes: dict[str, Process] = {}
        self._turns: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[str, int] = {}  # the pids of those that were started, also by a root before this one
        self._begun = self._stopping = False
        self._node: str = ray.get_runtime_context().get_node_id()
        # Ray may have made this actor anew, and then nobody calls it to begin.
        ray.get_runtime_context().current_actor.begin.remote()

    async def begin(self) -> None:
        """Starts the tree. Made anew by Ray, it adopts what it had started and leaves down what had given up."""
        if self._begun:
            return
        self._begun = True
        memory = await asyncio.to_thread(_recall)
        self._known = memory.get("started", {})
        self._spawn(self._follow_nodes())
        self._obey(self._tree.start(self._clock.now(), gave_up=memory.get("gave_up", ())))

    async def ping(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "node": self._node}

    async def tree(self) -> list[Member]:
        """Every member, supervisors before what is below them, in start order."""
        found = []
        for state in self._tree.states():
            process = self._processes.get(state.name)
            here = (state.name, state.supervisor, state.status, state.since, state.restarts)
            if process is None:
                found.append(Member(*here, 0, ""))
            else:
                clock = process.clock.offset or (None, None)
                found.append(Member(*here, process.pid, process.node, process.elias, *clock))
        return found

    async def resume(self, supervisor: str) -> None:
        """A person says: try again. Refused if there is no such supervisor."""
        self._obey(self._tree.resume(supervisor, self._clock.now()))

    async def stop(self) -> None:
        """Drains and ends the children, the last first, for good. Returns when all are gone."""
        self._begun = self._stopping = True
        for order in self._tree.stop(self._clock.now()):
            for process in self._revoke(order.name) if isinstance(order, Stop) else ():
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(call(process.handle.drain), self._heartbeat.drain)
                await self._end(process)
        self._remember()

    def _obey(self, orders: list[Order]) -> None:
        """Carries out orders one after the other, beside whatever else is under way."""
        if not orders or self._stopping:
            return
        stops: list[Process] = []
        starts: list[tuple[Start, int]] = []
        news: list[Exceeded] = []
        for order in orders:
            match order:
                case Stop(name):
                    stops += self._revoke(name)
                case Start(name):
                    self._turns[name] = self._turns.get(name, 0) + 1
                    starts.append((order, self._turns[name]))
                case Exceeded():
                    news.append(order)
        self._remember()
        self._spawn(self._carry_out(stops, starts, news))

    def _revoke(self, name: str) -> list[Process]:
        """From now on nothing that was begun for this child counts. Its process, if there is one, is to be ended."""
        self._turns[name] = self._turns.get(name, 0) + 1
        self._known.pop(name, None)
        process = self._processes.pop(name, None)
        return [process] if process else []

    async def _carry_out(self, stops: list[Process], starts: list[tuple[Start, int]], news: list[Exceeded]) -> None:
        for process in stops:
            await self._end(process)
        for given_up in news:
            _log.error("%s gave up on %s", given_up.supervisor, given_up.child)
            self._spawn(self._report(given_up))
        if not starts:
            return
        # One answer of the tree starts all at one time. Processes come up beside each other, children serve in turn.
        await asyncio.sleep(max(0, starts[0][0].at - self._clock.now()) / SECOND)
        made = [asyncio.ensure_future(self._make(start.name, turn)) for start, turn in starts]
        for (start, turn), coming in zip(starts, made, strict=True):
            await self._begin(start.name, turn, coming)

    async def _begin(self, name: str, turn: int, coming: "asyncio.Future[Process | None]") -> None:
        process: Process | None = None
        try:
            async with asyncio.timeout(self._heartbeat.start):
                process = await coming
                if process is None:
                    return
                await process.greet()
                if not process.adopted:
                    await call(process.handle.start)
        except Exception as error:  # whatever a child raises is its crash, not ours
            _log.warning("%s did not start: %s", name, error)
            await self._ended(name, process, "crash", turn)
            return
        if self._turns[name] == turn:
            self._tree.started(name, self._clock.now())
            self._known[name] = process.pid
            self._remember()
            self._spawn(self._watch(name, process, turn))

    async def _make(self, name: str, turn: int) -> Process | None:
        """The process of this child: one that an earlier root started, or a new one. None: no longer wanted."""
        spec = self._specs[name]
        cls = await actor_class(spec)
        while self._turns[name] == turn:
            left = await find(name)
            if self._turns[name] != turn:
                return None
            if left is not None:
                self._processes[name] = left
                if await self._adopt(name, left):
                    return left
                await self._end(left)
                if self._turns[name] != turn:
                    return None
            try:
                made = self._processes[name] = make(cls, spec)
            except ActorAlreadyExistsError:  # Ray has not yet let go of the name
                await asyncio.sleep(0.02)
            else:
                return made
        return None

    async def _adopt(self, name: str, process: Process) -> bool:
        """Whether this process was started by a root before us, to the end, and answers."""
        try:
            async with asyncio.timeout(self._heartbeat.hung_after):
                await process.greet()
        except (TimeoutError, ray.exceptions.RayError):
            return False
        process.adopted = self._known.get(name) == process.pid
        return process.adopted

    async def _end(self, process: Process) -> None:
        await process.end(self._node, self._heartbeat.end)

    async def _watch(self, name: str, process: Process, turn: int) -> None:
        """Waits for the end of a child: its open call fails once Ray sees the process end; pings find it hung."""
        closed = asyncio.ensure_future(call(process.handle.wait_closed))
        reason: Reason | None = None
        try:
            while reason is None:
                await asyncio.wait({closed}, timeout=self._pause(name, process))
                if not closed.done():
                    reason = await self._answer(process, closed)
                if closed.done():
                    reason = "crash" if closed.exception() else "normal"
        finally:
            closed.cancel()
        await self._ended(name, process, reason, turn)

    def _pause(self, name: str, process: Process) -> float:
        """Seconds between two pings. The agent of the head carries the reports of all nodes."""
        if not self._on_every_node(name) or process.node == self._node:
            return self._heartbeat.every
        return max(self._heartbeat.every, len(self._processes) / _PINGS)

    async def _answer(self, process: Process, closed: "asyncio.Future[Any]") -> Reason | None:
        patience = max(self._heartbeat.every, self._heartbeat.hung_after - self._heartbeat.every)
        loop = asyncio.get_running_loop()
        asked, sent = loop.time(), time.time()
        pong = asyncio.ensure_future(call(process.handle.ping))
        await asyncio.wait({pong, closed}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if pong.done():
            if pong.exception():
                return "crash"
            if "time" in (told := pong.result()):
                process.clock.add(sent, told["time"], time.time())
            return None
        pong.cancel()
        # Had this process slept itself, the answer may lie unread: ask again.
        return None if loop.time() - asked > patience + 1 else "hung"

    async def _ended(self, name: str, process: Process | None, reason: Reason, turn: int) -> None:
        """The child's process is gone or to be gone; the tree says what follows."""
        if self._turns[name] != turn:
            return
        _log.warning("%s ended (%s)", name, reason)
        if process is not None:
            await self._end(process)
            if self._turns[name] != turn:
                return
            self._processes.pop(name, None)
        # A node that is gone takes its child with it; only the children of living nodes are started again.
        if self._on_every_node(name):
            await self._look_around()
            if self._turns.get(name) != turn or name not in self._specs:
                return
        self._obey(self._tree.exited(name, self._clock.now(), reason))

    def _on_every_node(self, name: str) -> bool:
        return any(name.startswith(f"{spec.name}.") for spec in self._spread)

    async def _follow_nodes(self) -> None:
        while not self._stopping:
            await self._look_around()
            await asyncio.sleep(_NODES_EVERY)

    async def _look_around(self) -> None:
        """Keeps one child for each living node, under each supervisor that a spec spreads."""
        try:
            nodes = await asyncio.to_thread(living_nodes)
        except Exception as error:
            _log.warning("the nodes are not known: %s", error)
            return
        now = self._clock.now()
        for spec in self._spread:
            wanted = {child.name: child for child in map(spec.on, sorted(nodes))}
            present = {name for name in self._specs if name.startswith(f"{spec.name}.")}
            for name in present - wanted.keys():
                self._obey(self._tree.remove(_over(name), now))
                del self._specs[name]
            for name in sorted(wanted.keys() - present):
                self._specs[name] = wanted[name]
                over = replace(self._supervisors[spec.name], name=_over(name), children=(Child(name),), escalate=False)
                self._obey(self._tree.add(spec.name, over, now))

    async def _report(self, order: Exceeded) -> None:
        """Tells the hook until it has heard, or until a person has resumed the supervisor."""
        what = {
            "supervisor": order.supervisor,
            "child": order.child,
            "restarts": order.restarts,
            "window": order.window,
        }
        pause = 0.5
        while order.supervisor in self._gave_up():
            try:
                hook = await asyncio.to_thread(ray.get_actor, actor_name(self._hook), NAMESPACE)
                await asyncio.wait_for(call(hook.supervision_exceeded, what), self._heartbeat.hung_after)
                return
            except Exception as error:
                _log.warning("%s did not hear that %s gave up: %s", self._hook, order.supervisor, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 30.0)

    def _gave_up(self) -> list[str]:
        return [s.name for s in self._tree.states() if s.status is Status.GAVE_UP]

    def _remember(self) -> None:
        memory = json.dumps({"started": self._known, "gave_up": self._gave_up()}).encode()
        internal_kv._internal_kv_put(_MEMORY, memory, overwrite=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("the root supervisor failed; Ray starts it anew", exc_info=error)
            os._exit(2)


def launch(
    spec: Supervisor, actors: tuple[ActorSpec, ...], heartbeat: Heartbeat | None = None, hook: str = "gate"
) -> ActorHandle[Any]:
    """The root of this cluster, made on this node if there is none yet; this process is to be connected.

    Refused if the tree names a child without a spec, or a spec no member of the tree.
    """
    known = {m.name: isinstance(m, Supervisor) for m in members(spec)}
    for actor in actors:
        if known.get(actor.name) is not actor.per_node:
            what = "supervisor" if actor.per_node else "child"
            cure = f"name a {what} of the tree"
            raise Refused("actor-spec", f"the tree has no {what} {actor.name}", place=actor.name, cure=cure)
    if missing := {name for name, above in known.items() if not above} - {a.name for a in actors}:
        raise Refused("actor-spec", f"nothing says how to make {min(missing)}", place=min(missing), cure="add its spec")
    root: ActorHandle[Any] = (
        ray.remote(Root)
        .options(  # type: ignore[assignment]
            name=actor_name("root"),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=-1,
            num_cpus=0,
            # Nowhere else: from another machine it ends each process of the head by a task that first has to start
            # there. By a resource, for which Ray waits; an affinity ends it where a node does not know the head yet.
            resources={HEAD_RESOURCE: 0.001},
        )
        .remote(spec, actors, heartbeat or Heartbeat(), hook)
    )
    return root


def _over(name: str) -> str:
    """The supervisor of a child that stands alone on its node."""
    return f"{name}.supervisor"


def _recall() -> dict[str, Any]:
    raw = internal_kv._internal_kv_get(_MEMORY)
    return json.loads(raw) if raw else {}
