"""The way of events to their managers: what comes while calls are under way travels together with the next one."""

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from federation.errors import Bug, EliasError, Refused, Temporary
from federation.figures import SECONDS, Histogram
from federation.points import DecisionPoint
from federation.records import Event
from federation.replies import Rejected, Reply
from federation.runtime.link import Link

FLIGHTS = 4  # calls to one manager at a time: some being decided while others are being committed
LOAD = 2000  # events in one call

Result = list[Reply] | Rejected
_Waiting = tuple[list[Event], "asyncio.Future[list[Result]]"]

_encode = msgspec.msgpack.Encoder().encode
_results = msgspec.msgpack.Decoder(list[list[Reply] | Rejected])


class Lane:
    """The calls to one manager."""

    def __init__(self, link: Link, manager: str) -> None:
        self._link = link
        self._manager = manager
        self._waiting: list[_Waiting] = []
        self._flights: set[asyncio.Task[None]] = set()
        self.seconds = Histogram(SECONDS)  # from a post to its answer

    async def decide(self, events: list[Event]) -> list[Result]:
        """One result an event, in order. A manager that cannot be reached gives rejections with status 503."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Result]] = loop.create_future()
        begun = loop.time()
        self._waiting.append((events, future))
        self._launch()
        results = await future
        self.seconds.observe(loop.time() - begun)
        return results

    def _launch(self) -> None:
        while self._waiting and len(self._flights) < FLIGHTS:
            taken = [self._waiting.pop(0)]
            load = len(taken[0][0])
            while self._waiting and load + len(self._waiting[0][0]) <= LOAD:
                load += len(self._waiting[0][0])
                taken.append(self._waiting.pop(0))
            flight = asyncio.get_running_loop().create_task(self._fly(taken))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._launch()

    async def _fly(self, taken: list[_Waiting]) -> None:
        try:
            results = await self._send([event for events, _ in taken for event in events])
        except Exception as error:
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for events, future in taken:
            if not future.done():
                future.set_result(results[start : start + len(events)])
            start += len(events)

    async def _send(self, events: list[Event]) -> list[Result]:
        try:
            return _results.decode(await self._link.call(self._manager, "submit", _encode(events)))
        except Temporary as error:
            return [_unavailable(error)] * len(events)
        except Refused as error:
            return [Rejected(422, error.code, error.message, error.place, error.cure)] * len(events)
        except EliasError as error:
            if len(events) == 1:
                return [_broken(error)]
        # One of them brings the manager down: find out which, so that the others are answered.
        middle = len(events) // 2
        return await self._send(events[:middle]) + await self._send(events[middle:])


async def submitted(link: Link, manager: str, event: Event) -> Result:
    """What a manager says to an event that ELIAS itself sends. Raises EliasError."""
    (result,) = _results.decode(await link.call(manager, "submit", _encode([event])))
    return result


class Lanes:
    """Every event to the managers whose points its type names."""

    def __init__(self, link: Link, points: Iterable[DecisionPoint]) -> None:
        self._by_type: dict[str, tuple[str, ...]] = {}
        for point in points:
            manager = point.schema.manager
            for kind in (point.name, *point.events):
                others = self._by_type.get(kind, ())
                self._by_type[kind] = others if manager in others else (*others, manager)
        names = {manager for managers in self._by_type.values() for manager in managers}
        self._own = {f"elias/{name}" for name in (*names, "agent", "gate", "root", "peer")} | {"elias"}
        self._lanes = {manager: Lane(link, manager) for managers in self._by_type.values() for manager in managers}

    def own(self, source: str) -> bool:
        """Whether only a part of ELIAS speaks under this name."""
        return "/".join(source.split("/", 2)[:2]) in self._own

    @property
    def seconds(self) -> dict[str, Histogram]:
        """From a post to its answer, by manager."""
        return {manager: lane.seconds for manager, lane in self._lanes.items()}

    async def decide(self, events: Sequence[Event | Rejected]) -> list[Result]:
        """One result an event, in order; those that were refused before stay as they are."""
        results: list[Result | None] = [event if isinstance(event, Rejected) else None for event in events]
        shares: dict[str, list[int]] = {}
        for index, event in enumerate(events):
            if isinstance(event, Rejected):
                continue
            if self.own(event.source):
                results[index] = _reserved(event.source)
                continue
            managers = self._by_type.get(event.type)
            if managers is None:
                results[index] = _unknown(event.type, self._by_type)
                continue
            for manager in managers:
                shares.setdefault(manager, []).append(index)
        calls = [self._lanes[m].decide([_sound(events[i]) for i in share]) for m, share in shares.items()]
        answers = await asyncio.gather(*calls)
        for share, answer in zip(shares.values(), answers, strict=True):
            for index, result in zip(share, answer, strict=True):
                results[index] = _both(results[index], result)
        return [result for result in results if result is not None]


def _sound(event: Event | Rejected) -> Event:
    assert isinstance(event, Event)
    return event


def _both(first: Result | None, second: Result) -> Result:
    """What two managers say to the same event; a rejection outweighs, for the sender is to send it again."""
    if first is None or isinstance(second, Rejected):
        return second
    return first if isinstance(first, Rejected) else first + second


def _unknown(kind: str, known: Mapping[str, object]) -> Rejected:
    near = difflib.get_close_matches(kind, known, 1)
    cure = f"did you mean `{near[0]}`?" if near else "`GET /v1/points` lists the types"
    return Rejected(422, "unknown-type", f"no decision point takes events of type `{kind}`", "type", cure)


def _reserved(source: str) -> Rejected:
    cure = "name yourself in `source`"
    return Rejected(422, "reserved-source", f"`{source}` is a part of ELIAS and sends no events here", "source", cure)


def _unavailable(error: Temporary) -> Rejected:
    cure = "send it again: what was decided meanwhile is recognised by its id"
    return Rejected(503, "unavailable", str(error), cure=cure)


def _broken(error: EliasError) -> Rejected:
    what = str(error) if isinstance(error, Bug) else f"{type(error).__name__}: {error}"
    return Rejected(500, "bug", what, cure="please report it with the event; the log of the manager has the traceback")
