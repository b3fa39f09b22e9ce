"""What is known of the policies in force and of what they could learn from, counted record by record."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from federation.clock import SECOND
from federation.manager import Follow
from federation.policy.audit import ABOVE
from federation.policy.promotions import Promotion, Registered
from federation.policy.registry import Stage
from federation.policy.tier import CHAMPION
from federation.records import Answered, Effect, Entry, Event, Kind, Outcome, Scored
from managers.ulm.accuracy import Accuracy
from managers.ulm.inputs import Inputs
from managers.ulm.training_points import BASE, METHOD, METHODS, RETRAIN, SHOULD_TRAIN

FOLLOWS = (
    Follow(Kind.ASKED, cases=True),
    Follow(Kind.SCORED),
    Follow(Kind.ANSWERED, cases=True),
    Follow(Kind.OUTCOME),
    Follow(Kind.POLICY),
)

DAY = 86400 * SECOND
WEEK = 7
POLICIES = 8  # watched at once, and policies registered of which it is remembered when
OPEN = 2_000  # questions of which it is remembered what the policy said; the oldest are forgotten first
RUNS = 20  # trainings that a view shows
TABLES = "tables"  # the engine of models of numbers, which are fitted by a command of their own

T = TypeVar("T")


class Seen(msgspec.Struct):
    """Of a policy at a point."""

    accuracy: Accuracy = msgspec.field(default_factory=Accuracy)
    inputs: Inputs = msgspec.field(default_factory=Inputs)


class Watched(msgspec.Struct):
    """A policy that is asked. since: ledger time (ns) of its registration, else of the first question. examples: on
    record when the data of its training ended; 0 for a policy that learned from none of them. parameters: None: not
    known from its registration. days: questions by day, of the last week."""

    version: str
    since: int
    examples: int = 0
    parameters: int | None = None
    days: dict[int, int] = {}
    points: dict[str, Seen] = {}


class Waiting(msgspec.Struct, frozen=True):
    """What a policy said to a question that is not answered yet. alone: it was sure of it, and is checked."""

    attempt: int
    policy: str
    choice: int
    alone: bool


class Run(msgspec.Struct, frozen=True):
    """A training that was started. policy: name of the one that it is to replace. at: ledger time (ns). examples: on
    record then. status: running, or that of its outcome. trained: version of the policy that came of it; empty: none
    was registered."""

    decision: str
    policy: str
    base: str
    at: int
    examples: int
    status: str = "running"
    detail: str = ""
    trained: str = ""


def name_of(version: str) -> str:
    return version[:12]


class Training(msgspec.Struct):
    """examples, rewarded, overridden, advised: as the facts of ulm.training_method. watched: by name of the policy.
    in_force: by point, the name of the policy that was asked last. asked: facts of questions that the policy is asked
    right now. waiting: by decision. on_trial: by point, the challenger. unrewarded: examples of whose outcome nothing
    is known, the oldest first."""

    examples: int = 0
    rewarded: int = 0
    overridden: int = 0
    advised: int = 0
    watched: dict[str, Watched] = {}
    in_force: dict[str, str] = {}
    asked: dict[str, dict[str, Any]] = {}
    waiting: dict[str, Waiting] = {}
    on_trial: dict[str, str] = {}
    unrewarded: dict[str, None] = {}
    runs: list[Run] = []

    @property
    def running(self) -> bool:
        return any(run.status == "running" for run in self.runs)

    def learned(self, name: str) -> tuple[int, int]:
        """When a policy was trained, or anything was that began with it, ledger time in ns; and the examples that were
        on record then."""
        policy = self.watched[name]
        done = [(run.at, run.examples) for run in self.runs if run.policy == name and run.status == "done"]
        return max([(policy.since, policy.examples), *done])

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        match entry.kind:
            case Kind.ASKED if body.waits == "policy":
                _put(self.asked, entry.decision, body.facts, OPEN)
            case Kind.SCORED:
                self._fold_scored(entry, body)
            case Kind.ANSWERED:
                self._fold_answered(entry, body)
            case Kind.EFFECT if entry.point == BASE.name and body.verdict == "released":
                self._fold_started(entry, body)
            case Kind.OUTCOME:
                self._fold_outcome(entry, body)
            case Kind.POLICY:
                self._fold_registered(body)
            case Kind.PROMOTION:
                self._fold_promotion(entry, body)

    def _fold_scored(self, entry: Entry, body: Scored) -> None:
        facts = self.asked.pop(entry.decision, None)
        if not body.policy or body.choice is None or body.engine == TABLES:
            return
        name = name_of(body.policy)
        policy = self.watched.get(name)
        if policy is None:
            policy = Watched(body.policy, body.at)
            self._watch(name, policy)
        if body.lot is None or body.lot.arm == CHAMPION:
            self.in_force[entry.point] = name
        _count(policy.days, body.at // DAY)
        seen = policy.points.setdefault(entry.point, Seen())
        alone = body.audit or body.tier == "policy"
        seen.accuracy.asked(alone=alone, may=body.threshold is not None)
        if facts is not None:
            seen.inputs.add(facts)
        if body.tier != "policy":
            _put(self.waiting, entry.decision, Waiting(body.attempt, name, body.choice, alone), OPEN)

    def _watch(self, name: str, policy: Watched) -> None:
        if len(self.watched) >= POLICIES:
            used = set(self.in_force.values())
            oldest = min(self.watched, key=lambda one: (one in used, max(self.watched[one].days, default=0)))
            del self.watched[oldest]
            self.in_force = {point: one for point, one in self.in_force.items() if one != oldest}
        self.watched[name] = policy

    def _fold_answered(self, entry: Entry, body: Answered) -> None:
        self.asked.pop(entry.decision, None)
        said = self.waiting.pop(entry.decision, None)
        if body.tier not in ("policy", *ABOVE) or body.choice is None:
            return
        self.examples += 1
        self.advised += body.tier == "advisor"
        _put(self.unrewarded, entry.decision, None, OPEN)
        if said is None or said.attempt != body.attempt or body.tier not in ABOVE:
            return
        self.overridden += said.choice != body.choice
        policy = self.watched.get(said.policy)
        if policy is not None:
            seen = policy.points.setdefault(entry.point, Seen())
            seen.accuracy.checked(alone=said.alone, right=said.choice == body.choice)

    def _fold_started(self, entry: Entry, body: Effect) -> None:
        run = Run(entry.decision, entry.subject, body.args["base"], body.at, self.examples)
        self.runs = [*self.runs[1 - RUNS :], run]

    def _fold_outcome(self, entry: Entry, body: Outcome) -> None:
        if body.reward is not None and entry.decision in self.unrewarded:
            del self.unrewarded[entry.decision]
            self.rewarded += 1
        if entry.point == BASE.name:
            self.runs = [
                msgspec.structs.replace(run, status=body.status, detail=body.detail)
                if run.decision == entry.decision
                else run
                for run in self.runs
            ]

    def _fold_registered(self, body: Registered) -> None:
        """A policy that was trained here learned from what was on record when its training began."""
        name = name_of(body.policy)
        if name not in self.watched:
            self._watch(name, Watched(body.policy, body.at))
        policy = self.watched[name]
        made = [run for run in self.runs if run.decision in body.source.split("/")]
        policy.since, policy.parameters = body.at, body.parameters
        policy.examples = made[-1].examples if made else self.examples
        self.runs = [msgspec.structs.replace(run, trained=body.policy) if run in made else run for run in self.runs]

    def _fold_promotion(self, entry: Entry, body: Promotion) -> None:
        if body.stage in (Stage.SHADOW, Stage.CANARY):
            self.on_trial[entry.point] = name_of(body.challenger)
        else:
            self.on_trial.pop(entry.point, None)

    # -- what follows ------------------------------------------------------------------------------------------------

    def aged(self, now: int, source: str) -> Iterator[Event]:
        """What ulm.retrain is asked: about each policy that is in force somewhere."""
        for name in sorted(set(self.in_force.values())):
            yield Event(f"{name} {now}", source, RETRAIN.events[0], name)

    def follow_up(self, entry: Entry, body: Any, source: str) -> Iterator[Event]:
        """The next question about a training, once one is answered."""
        if entry.kind != Kind.ANSWERED or entry.point not in _NEXT:
            return
        actions, following = _NEXT[entry.point]
        if body.action in actions:
            data = {"method": body.action, **body.args} if entry.point == METHOD.name else {}
            yield Event(entry.decision, source, following, entry.subject, None, data)

    def view(self, now: int) -> dict[str, Any]:
        """policies: how each one stands, in the units of the facts. trainings: the newest first."""
        return {
            "policies": [
                {
                    "policy": policy.version,
                    "points": sorted(point for point, of in self.in_force.items() if of == name),
                    "age": (now - policy.since) / SECOND,
                    "new_examples": self.examples - policy.examples,
                    "quality": quality(policy),
                    "moved": {
                        point: {"fact": seen.inputs.moved, "index": seen.inputs.shift}
                        for point, seen in policy.points.items()
                        if seen.inputs.shift is not None
                    },
                }
                for name, policy in self.watched.items()
            ],
            "trainings": [msgspec.to_builtins(run) for run in reversed(self.runs)],
        }


_NEXT: Mapping[str, tuple[tuple[str, ...], str]] = {
    RETRAIN.name: (("retrain",), SHOULD_TRAIN.events[0]),
    SHOULD_TRAIN.name: (("train",), METHOD.events[0]),
    METHOD.name: (METHODS, BASE.events[0]),
}


def quality(policy: Watched) -> float | None:
    """Share of right answers in the newest full blocks of its points, in percent, by their questions."""
    last = [seen.accuracy.last for seen in policy.points.values() if seen.accuracy.last is not None]
    asked = sum(block.asked for block in last)
    return 100 * sum(block.accuracy() * block.asked for block in last) / asked if asked else None


def volume(policy: Watched, now: int) -> float:
    """Questions a second, over the last week or as long as the policy is there, at least a day."""
    first = now // DAY - WEEK + 1
    asked = sum(count for day, count in policy.days.items() if day >= first)
    return asked / (max(DAY, now - max(policy.since, first * DAY)) / SECOND)


def _put(kept: dict[str, T], key: str, value: T, most: int) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def _count(days: dict[int, int], day: int) -> None:
    days[day] = days.get(day, 0) + 1
    for old in [one for one in days if one <= day - WEEK]:
        del days[old]
