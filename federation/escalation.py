"""The section `escalation` of `elias.yaml`: how urgent a case is, and who hears of it when nobody takes it."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from federation.sections import DAYS, Day, Duration, Section, Zone
from federation.targets import PRIORITIES, Priority

HOUR = 3600.0


def _local(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("write the local time, such as `2026-01-05T09:00`; `timezone` says where")
    return moment


Local = Annotated[datetime, AfterValidator(_local)]


class AnswerWithin(Section):
    """How soon a case ought to be answered; one that waits longer is raised by one priority."""

    critical: Duration = 0.25 * HOUR
    """Of critical cases."""
    high: Duration = HOUR
    """Of high ones."""
    normal: Duration = 4 * HOUR
    """Of normal ones."""
    low: Duration = 24 * HOUR
    """Of low ones."""


class ForgottenAfter(Section):
    """How long whoever has a case may be silent about it; then it comes back to everybody."""

    critical: Duration = 0.25 * HOUR
    """Of critical cases."""
    high: Duration = 0.5 * HOUR
    """Of high ones."""
    normal: Duration = 2 * HOUR
    """Of normal ones."""
    low: Duration = 8 * HOUR
    """Of low ones."""


class Contact(Section):
    """How a person is reached."""

    through: tuple[str, ...] = Field(min_length=1, max_length=8)
    """Names of outbound targets; all of them are used."""


class Layer(Section):
    """People who take turns, in the hours of this layer."""

    people: tuple[str, ...] = Field(min_length=1, max_length=100)
    """Who takes turns, in this order."""
    starts: Local
    """Local time at which the first one's first turn begins, and the time of day of every handover."""
    rotate: Duration = Field(168 * HOUR, ge=HOUR)
    """Length of a turn; whole days keep the local time of the handover when clocks are changed."""
    days: tuple[Day, ...] = Field(DAYS, min_length=1)
    """Days of the week on which its hours begin."""
    opens: time = time(0, 0)
    """Local time at which its hours begin."""
    closes: time = time(0, 0)
    """Local time at which they end, on the next day if it is not later than `opens`."""


class Stand(Section):
    """A person who is on call whatever the layers say."""

    person: str
    """Who."""
    starts: Local
    """Local time."""
    ends: Local
    """Local time."""

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.ends <= self.starts:
            raise ValueError("`ends` is not later than `starts`")
        return self


class Schedule(Section):
    """Who is on call when. A later layer goes before an earlier one, an override before all of them."""

    timezone: Zone = "UTC"
    """Time zone of all its times."""
    layers: tuple[Layer, ...] = Field((), max_length=20)
    """Rotations, the one that counts least first."""
    overrides: tuple[Stand, ...] = Field((), max_length=500)
    """Swaps and holidays; the last one that fits counts."""


class Step(Section):
    """Who is told when."""

    after: Duration = 0.0
    """Since nobody has the case."""
    notify: tuple[str, ...] = Field(min_length=1, max_length=20)
    """Names of people and of schedules; of a schedule, whoever is on call then."""


class Chain(Section):
    """Who is told one after another until somebody takes the case."""

    steps: tuple[Step, ...] = Field(min_length=1, max_length=20)
    """In the order of time."""
    rounds: int = Field(3, ge=1, le=100)
    """How often all of it is done."""
    pause: Duration = Field(0.5 * HOUR, ge=60)
    """Between the last step and the next round."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        times = [step.after for step in self.steps]
        if times != sorted(times):
            raise ValueError("the steps are not in the order of `after`")
        return self


class Route(Section):
    """Which chain a case takes; the first route that fits counts."""

    cases: str = "*"
    """Decision point, `manager.*`, or `*` for all."""
    priorities: tuple[Priority, ...] = PRIORITIES
    """Of these priorities only."""
    chain: str
    """Name of the chain."""


class Escalation(Section):
    """Cases: how urgent they are, which are alike, and who hears of them when nobody takes them."""

    group_within: Duration = 600.0
    """Alike cases that open no longer than this after one another are one group."""
    answer_within: AnswerWithin = AnswerWithin()
    forgotten_after: ForgottenAfter = ForgottenAfter()
    priorities: dict[str, Priority] = Field({}, max_length=1000)
    """Priority by `point/action` (an action that the case offers), point, or `manager.*`, in place of the built-in."""
    people: dict[str, Contact] = Field({}, max_length=1000)
    """People by the name under which they sign in."""
    schedules: dict[str, Schedule] = Field({}, max_length=1000)
    """Schedules by name."""
    chains: dict[str, Chain] = Field({}, max_length=1000)
    """Chains by name."""
    routes: tuple[Route, ...] = Field((), max_length=200)
    """Without one that fits nobody is told, and the page alone shows the case."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        both = sorted(self.people.keys() & self.schedules.keys())
        if both:
            raise ValueError(f"`{both[0]}` is the name of a person and of a schedule")
        on_duty = (
            name
            for schedule in self.schedules.values()
            for name in [p for layer in schedule.layers for p in layer.people] + [o.person for o in schedule.overrides]
        )
        told = (name for chain in self.chains.values() for step in chain.steps for name in step.notify)
        _known("person", on_duty, self.people)
        _known("person or schedule", told, {*self.people, *self.schedules})
        _known("chain", (route.chain for route in self.routes), self.chains)
        return self

    def check_targets(self, targets: Iterable[str]) -> None:
        """Raises ValueError where a person is reached through a target that is not there."""
        known = set(targets)
        _known("outbound target", (name for person in self.people.values() for name in person.through), known)


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    there = sorted(known)
    missing = next((name for name in names if name not in there), None)
    if missing is not None:
        raise ValueError(f"there is no {what} `{missing}`; known are: {', '.join(there) or 'none'}")
