"""Gives a job to a peer, once, and awaits its end there.

The offer is sent one time. Where no answer comes, the peer is asked what it knows of the job until it says so: either
it has it, or it has not and will refuse it from then on. So nothing runs twice, however the network fails; while the
peer is away the job is neither here nor lost, and its outcome comes when the peer is back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import msgspec

from federation.effects import Order
from federation.errors import Refused, Temporary
from federation.peers.messages import LOOK, OFFER, Look, Offer, Standing, Work
from federation.records import Outcome
from managers.ufm.peers.line import Unsent

SOON, SELDOM = 0.5, 10.0  # seconds between two looks, at first and at most

T = TypeVar("T")


class Asks(Protocol):
    async def ask(self, path: str, message: msgspec.Struct, answer: type[T], hops: tuple[str, ...] = ()) -> T: ...


class Forward:
    """The doer of `job.forward`. lines: to the peers that the settings name."""

    def __init__(
        self, lines: Mapping[str, Asks], log: logging.Logger, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._lines, self._log, self._sleep = lines, log, sleep

    async def do(self, order: Order) -> Outcome:
        peer, hops = str(order.args["peer"]), tuple(order.payload["hops"][:-1])
        line = self._lines.get(peer)
        if line is None:
            return Outcome("refused", f"the settings name no peer `{peer}` any more")
        offer = Offer(order.decision, order.subject, msgspec.convert(order.payload["work"], Work))
        try:
            standing = await line.ask(OFFER, offer, Standing, hops)
        except (Unsent, Refused) as error:
            return Outcome("refused", f"{peer} does not have it: {error}")
        except Temporary as error:
            self._log.warning("job %s: %s; it is not sent again, but asked for", order.subject, error)
            return await self._end(line, order)
        return _outcome(standing, peer) or await self._end(line, order)

    async def probe(self, order: Order) -> Outcome:
        peer = str(order.args["peer"])
        line = self._lines.get(peer)
        if line is None:
            return Outcome("unknown", f"the settings name no peer `{peer}` any more, which may have it")
        return await self._end(line, order)

    async def _end(self, line: Asks, order: Order) -> Outcome:
        """What became of the job, as soon as the peer can tell."""
        peer, pause, told = str(order.args["peer"]), SOON, ""
        while True:
            try:
                outcome = _outcome(await line.ask(LOOK, Look(order.decision, order.subject), Standing), peer)
                if outcome is not None:
                    return outcome
                problem = ""
            except (Temporary, Refused) as error:
                problem = error.message if isinstance(error, Refused) else str(error)
            if bool(problem) != bool(told):
                self._log.warning("job %s: %s", order.subject, problem or f"{peer} can be asked again")
            told = problem
            await self._sleep(pause)
            pause = min(2 * pause, SELDOM)


def _outcome(standing: Standing, peer: str) -> Outcome | None:
    """None: it has not ended."""
    if standing.state == "here":
        return None
    if standing.state == "absent":
        return Outcome("refused", f"{peer} does not have it, and takes it no more")
    status = standing.status or "unknown"
    data = {"peer": peer, "exit_code": standing.exit_code, "seconds": standing.seconds}
    reward = {"done": 1.0, "failed": 0.0}.get(status)
    return Outcome(status, standing.detail, data, reward)
