"""When a process ends, which processes are stopped, which are started and when: OTP supervision as a state machine.

Strategies, restart types and restart intensity are those of Erlang/OTP's `supervisor` (OTP Design Principles,
"Supervisor Behaviour"); back-off is ours. Nothing here touches the world: `Tree` is told what happened, at which time,
and answers with orders. The caller carries out the orders of one answer one after the other, and reports each start
with `started` or `exited`. It must have ended a process before it goes on after its `Stop`; a `Stop` also revokes a
`Start` of that child which is still to be carried out.

All times are nanoseconds of ledger time, all durations in specs are seconds.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from federation.clock import SECOND
from federation.errors import Refused

Reason = Literal["crash", "normal", "hung"]
Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a restart waits (seconds): the first in the window not at all, then `initial`, growing by `factor`."""

    initial: float = 0.2
    factor: float = 2.0
    maximum: float = 30.0

    def __post_init__(self) -> None:
        if not (0 <= self.initial <= self.maximum and self.factor >= 1 and math.isfinite(self.maximum)):
            raise Refused(
                "backoff",
                f"back-off {self.initial} s, factor {self.factor}, at most {self.maximum} s",
                cure="0 <= initial <= maximum and factor >= 1",
            )

    def delay(self, earlier: int) -> int:
        """Nanoseconds to wait after `earlier` restarts in the window."""
        if earlier == 0:
            return 0
        try:
            wait = self.initial * self.factor ** (earlier - 1)
        except OverflowError:
            wait = self.maximum
        return round(min(wait, self.maximum) * SECOND)


@dataclass(frozen=True, slots=True)
class Child:
    """A process. permanent: always restarted; transient: unless it ended normally; temporary: never."""

    name: str
    restart: Restart = "permanent"

    def __post_init__(self) -> None:
        _one_of("restart", self.restart, ("permanent", "transient", "temporary"), self.name)


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Restarts its children by `strategy`, at most `intensity` times in any `window` seconds; then it gives up.

    A supervisor that gives up stops its children and ends, which its parent treats as the exit of a permanent child. At
    the top, or with `escalate` off, there is nobody to escalate to: its children stay down until a person resumes it,
    and all else runs on.
    """

    name: str
    strategy: Strategy
    intensity: int
    window: float
    children: tuple["Child | Supervisor", ...]
    backoff: Backoff = Backoff()
    escalate: bool = True

    def __post_init__(self) -> None:
        _one_of("strategy", self.strategy, ("one_for_one", "one_for_all", "rest_for_one"), self.name)
        if self.intensity < 0 or not self.window > 0:
            raise Refused(
                "intensity",
                f"{self.intensity} restarts in {self.window} s",
                place=self.name,
                cure="intensity is 0 or more, the window more than 0 seconds",
            )


@dataclass(frozen=True, slots=True)
class Stop:
    """End this process for good before the next order."""

    name: str


@dataclass(frozen=True, slots=True)
class Start:
    """Start this process at that time (ns)."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The supervisor gave up after `restarts` in its window (seconds); `child` ended last. A person must resume it."""

    supervisor: str
    child: str
    restarts: int
    window: float


Order = Stop | Start | Exceeded


class Status(StrEnum):
    STARTING = "starting"  # a start is ordered and not yet reported
    RUNNING = "running"
    FINISHED = "finished"  # ended, and its restart type leaves it so
    STOPPED = "stopped"
    GAVE_UP = "gave up"  # supervisors only


@dataclass(frozen=True, slots=True)
class State:
    """A member as it is now. since: last change (ns); restarts: since the tree was made; at: of its last start (ns)."""

    name: str
    supervisor: str
    status: Status
    since: int
    restarts: int
    at: int


@dataclass(slots=True)
class _Member:
    spec: Child | Supervisor
    parent: "_Member | None"
    members: list["_Member"] = field(default_factory=list)
    history: list[tuple[int, str]] = field(default_factory=list)  # a supervisor's restarts in its window: when, of whom
    status: Status = Status.STOPPED
    since: int = 0
    restarts: int = 0
    at: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def live(self) -> bool:
        return self.status in (Status.STARTING, Status.RUNNING)

    @property
    def supervisor(self) -> Supervisor:
        assert isinstance(self.spec, Supervisor)
        return self.spec

    def become(self, status: Status, now: int) -> None:
        self.status, self.since = status, now

    def state(self) -> State:
        above = self.parent.name if self.parent else ""
        return State(self.name, above, self.status, self.since, self.restarts, self.at)

    def walk(self) -> Iterator["_Member"]:
        yield self
        for member in self.members:
            yield from member.walk()

    def leaves(self) -> list["_Member"]:
        return [m for m in self.walk() if isinstance(m.spec, Child)]


class Tree:
    """The state of a supervision tree. Names of children and supervisors are unique in it, else `Refused`."""

    def __init__(self, spec: Supervisor) -> None:
        self._members: dict[str, _Member] = {}
        self._top = self._join(spec, None)

    def start(self, now: int, gave_up: Collection[str] = ()) -> list[Order]:
        """Starts, in order, whatever is not running and did not give up; `gave_up` names those that had before."""
        for member in self._members.values():
            if member.name in gave_up and isinstance(member.spec, Supervisor):
                member.become(Status.GAVE_UP, now)
        return self._starts(self._top, now, now)

    def stop(self, now: int) -> list[Order]:
        """Stops everything, the last first. Exits that follow from it are expected and order nothing."""
        return self._stops([self._top], now)

    def started(self, name: str, now: int) -> None:
        """The child serves. Ignored unless its start was ordered: it may have been revoked meanwhile."""
        child = self._child(name)
        if child.status is Status.STARTING:
            child.become(Status.RUNNING, now)

    def exited(self, name: str, now: int, reason: Reason = "crash") -> list[Order]:
        """The child ended, failed to start, or hangs (then it is stopped first). Ignored where it was to be down."""
        child = self._child(name)
        if not child.live:
            return []
        orders: list[Order] = [Stop(name)] if reason == "hung" else []
        assert isinstance(child.spec, Child)
        restart = child.spec.restart
        if restart == "temporary" or (restart == "transient" and reason == "normal"):
            child.become(Status.FINISHED, now)
            return orders
        child.become(Status.STOPPED, now)
        return orders + self._restart(child, child, now)

    def resume(self, supervisor: str, now: int) -> list[Order]:
        """A person says: try again. Starts what is below a supervisor that gave up, with a clean count."""
        member = self._find(supervisor)
        if member.status is not Status.GAVE_UP:
            above = member.parent
            while above is not None and above.status is not Status.GAVE_UP:
                above = above.parent
            if above is not None:
                cure = f"resume {above.name}, which gave up above it"
                raise Refused("gave-up-above", f"{supervisor} is down with {above.name}", place=supervisor, cure=cure)
            return []
        for below in member.walk():
            below.history.clear()
            if below.status is Status.GAVE_UP:
                below.become(Status.RUNNING, now)
        return self._starts(member, now, now)

    def add(self, supervisor: str, spec: Child | Supervisor, now: int) -> list[Order]:
        """Puts a member last under a supervisor and starts it, unless that one or one above it gave up."""
        parent = self._find(supervisor)
        if isinstance(parent.spec, Child):
            cure = "name its supervisor"
            raise Refused("not-a-supervisor", f"{supervisor} is a process", place=supervisor, cure=cure)
        member = self._join(spec, parent)
        above: _Member | None = parent
        while above is not None:
            if above.status is Status.GAVE_UP:
                return []
            above = above.parent
        return self._starts(member, now, now)

    def remove(self, name: str, now: int) -> list[Order]:
        """Stops a member and everything below it, and forgets it."""
        member = self._find(name)
        if member.parent is None:
            raise Refused("top", f"{name} is the top of the tree", place=name, cure="stop the tree")
        orders = self._stops([member], now)
        member.parent.members.remove(member)
        for below in member.walk():
            del self._members[below.name]
        return orders

    def states(self) -> list[State]:
        """Every member, supervisors before what is below them, in start order."""
        return [m.state() for m in self._top.walk()]

    def state(self, name: str) -> State:
        return self._find(name).state()

    def _restart(self, failed: _Member, culprit: _Member, now: int) -> list[Order]:
        """`failed` ended under its supervisor; `culprit` is the process at the bottom of it."""
        parent = failed.parent
        if parent is None:
            return []
        spec = parent.supervisor
        oldest = now - round(spec.window * SECOND)
        parent.history = [(time, name) for time, name in parent.history if time > oldest]
        if len(parent.history) >= spec.intensity:
            return self._give_up(parent, culprit, now)
        at = now + spec.backoff.delay(sum(name == failed.name for _, name in parent.history))
        parent.history.append((now, failed.name))
        group = self._group(failed, parent)
        orders = self._stops([m for m in group if m is not failed], now)
        for member in group:
            # Of a group, a temporary child ends with the others and is not brought back (OTP).
            if member is failed or not (isinstance(member.spec, Child) and member.spec.restart == "temporary"):
                orders += self._starts(member, now, at, again=True)
        return orders

    def _give_up(self, member: _Member, culprit: _Member, now: int) -> list[Order]:
        spec = member.supervisor
        restarts = len(member.history)
        orders = self._stops([member], now)
        member.history.clear()
        if member.parent is not None and spec.escalate:
            return orders + self._restart(member, culprit, now)
        member.become(Status.GAVE_UP, now)
        return [*orders, Exceeded(spec.name, culprit.name, restarts, spec.window)]

    @staticmethod
    def _group(failed: _Member, parent: _Member) -> list[_Member]:
        """The members that a failure concerns, in start order."""
        match parent.supervisor.strategy:
            case "one_for_one":
                return [failed]
            case "one_for_all":
                return list(parent.members)
            case "rest_for_one":
                return parent.members[parent.members.index(failed) :]

    @staticmethod
    def _stops(members: list[_Member], now: int) -> list[Order]:
        leaves = [leaf for member in members for leaf in member.leaves() if leaf.live]
        for leaf in leaves:
            leaf.become(Status.STOPPED, now)
        return [Stop(leaf.name) for leaf in reversed(leaves)]

    def _starts(self, member: _Member, now: int, at: int, again: bool = False) -> list[Order]:
        if member.status is Status.GAVE_UP:
            return []  # a person resumes it, whatever is restarted around it
        if isinstance(member.spec, Supervisor):
            if again:
                member.history.clear()
                member.restarts += 1
            member.become(Status.RUNNING, now)
            return [order for below in member.members for order in self._starts(below, now, at, again)]
        if member.live:
            return []
        member.become(Status.STARTING, now)
        member.at = at
        member.restarts += again
        return [Start(member.name, at)]

    def _join(self, spec: Child | Supervisor, parent: _Member | None) -> _Member:
        names = [s.name for s in members(spec)]
        twice = {n for n in names if names.count(n) > 1 or n in self._members}
        if twice:
            cure = "give each its own name"
            raise Refused("name-taken", f"two members are named {min(twice)}", place=spec.name, cure=cure)
        member = self._make(spec, parent)
        if parent is not None:
            parent.members.append(member)
        return member

    def _make(self, spec: Child | Supervisor, parent: _Member | None) -> _Member:
        member = self._members[spec.name] = _Member(spec, parent)
        if isinstance(spec, Supervisor):
            member.members = [self._make(below, member) for below in spec.children]
        return member

    def _find(self, name: str) -> _Member:
        if name not in self._members:
            cure = f"known are {', '.join(self._members)}"
            raise Refused("unknown-member", f"no member is named {name}", place=self._top.name, cure=cure)
        return self._members[name]

    def _child(self, name: str) -> _Member:
        member = self._find(name)
        if isinstance(member.spec, Supervisor):
            raise Refused("not-a-process", f"{name} is a supervisor", place=name, cure="name one of its children")
        return member


def members(spec: Child | Supervisor) -> Iterator[Child | Supervisor]:
    """A member and everything below it, in start order."""
    yield spec
    if isinstance(spec, Supervisor):
        for below in spec.children:
            yield from members(below)


def _one_of(what: str, value: str, known: tuple[str, ...], place: str) -> None:
    if value not in known:
        raise Refused(what, f"{what} `{value}`", place=place, cure=f"one of {', '.join(known)}")
