"""One subject at one decision point, on a clock that only moves when told: what `elias tiki repl` tries facts on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import tiki
from managers.uim.cli.specs.facts import values_of
from tiki.trace import Considered, consider, describe
from tiki.values import show
from tiki.windows import SECOND

if TYPE_CHECKING:
    from managers.uim.cli.specs.facts import Candidate

STEP = SECOND  # between two samples while time passes; facts stay as they are
STEPS = 100_000  # at most for one advance: over a day they are further apart than a second


class Moment(NamedTuple):
    """What is decided at one time. at: ns since the session began; fires: as opposed to what is in force already."""

    at: int
    trace: tiki.Trace
    fires: bool
    since: int

    def __str__(self) -> str:
        how = "" if self.fires else f"; in force since {seconds(self.since)}, it does not fire again"
        return f"{seconds(self.at):>6}  {describe(self.trace.verdict)}{how}"

    def same(self, other: "Moment") -> bool:
        return self.trace.verdict == other.trace.verdict and not self.fires


@dataclass
class Session:
    """Facts that are not set are unknown. Every change of a fact is a sample; so is every second that passes."""

    program: tiki.Program
    facts: dict[str, tiki.Known] = field(default_factory=dict)
    candidates: "list[Candidate]" = field(default_factory=list)
    now: int = 0
    _memory: tiki.Memory = field(default_factory=tiki.Memory)
    _latch: tiki.Latch | None = None

    def use(self, program: tiki.Program) -> None:
        """Other specs: facts and time stay, changed windows start cold, as they do in ELIAS."""
        self.program = program
        names = {fact.name for fact in program.point.facts}
        self.facts = {name: value for name, value in self.facts.items() if name in names}

    def reset(self) -> None:
        """Facts, time and what was in force are forgotten; the specs stay."""
        self.facts, self.candidates, self.now = {}, [], 0
        self._memory, self._latch = tiki.Memory(), None

    def look(self) -> Moment:
        """Takes a sample of now, and decides."""
        facts = values_of(self.program, self.facts)
        trace = self.program.explain(facts, self.program.sample(self._memory, self.now, facts))
        self._latch, fires = self.program.latch(self._latch, trace.verdict, self.now)
        return Moment(self.now, trace, fires, self._latch.fired if self._latch else self.now)

    def advance(self, duration: int) -> list[Moment]:
        """Lets time (ns) pass; the moments at which something else was decided or something fired, and the last."""
        until, step = self.now + duration, max(STEP, duration // STEPS)
        before, found = self.look(), []
        while self.now < until:
            self.now = min(self.now + step, until)
            moment = self.look()
            if not moment.same(before) and not _rests(moment, before):
                found.append(moment)
            before = moment
        return found if found and found[-1].at == before.at else [*found, before]

    def considered(self) -> list[Considered]:
        """What the guards say to the candidates."""
        facts = values_of(self.program, self.facts)
        return [consider(self.program.plan, facts, one.action, one.attributes) for one in self.candidates]

    def windows(self) -> list[str]:
        """How far the conditions are that are judged over time."""
        tracks = self._memory.fit(tuple(window.key for window in self.program.windows))
        found = []
        for window, track in zip(self.program.windows, tracks, strict=True):
            if track.since is not None and window.duration:
                wanted = seconds(round(window.duration * SECOND))
                found.append(f"{window.clause} has held for {seconds(self.now - track.since)}, it takes {wanted}")
        return found


def _rests(moment: Moment, before: Moment) -> bool:
    """Whether the same is decided as before, and deciding it again is no news: nothing is done, or every event is
    answered."""
    point = moment.trace.plan.point
    verdict = moment.trace.verdict
    return verdict == before.trace.verdict and (point.trigger == "every" or verdict.action == point.terminal)


def seconds(ns: int) -> str:
    """`90s` as TIKI writes it: `90s`, `2m`, `1h`."""
    return show(tiki.Type.DURATION, ns / SECOND)
