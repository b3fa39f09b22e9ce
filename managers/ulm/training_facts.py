"""The facts and candidates of the decisions about training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from federation.clock import SECOND
from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy import card
from federation.policy.tier import SHIPPED
from federation.records import Candidate, Event
from federation.settings import PolicySettings
from managers.ulm.calibration import Lapse
from managers.ulm.training import Training, Watched, name_of, quality, volume
from managers.ulm.training_points import BASES, METHOD, METHODS, OBJECTIVES, RETRAIN, SHOULD_TRAIN, TRAINABLE

ENOUGH: Mapping[str, tuple[str, int]] = {
    "grpo": ("rewarded", 500),
    "dpo": ("overridden", 200),
    "kto": ("rewarded", 500),
    "distil": ("advised", 200),
    "sft": ("examples", 0),
}
"""Which examples an objective learns from, and how many it needs."""


class Machine(NamedTuple):
    """memory: bytes."""

    gpus: int
    memory: int


class Asking:
    """What is known beside the record: the machines, and the policy that the settings name."""

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._machines: dict[str, Machine] = {}
        self._named: card.Card | None = None

    def observe(self, node: str, report: Mapping[str, Any]) -> None:
        if "memory_total" in report:
            self._machines[node] = Machine(len(report.get("gpus", ())), int(report["memory_total"]))

    def facts(
        self, point: DecisionPoint, event: Event, training: Training, lapses: Mapping[str, Lapse], now: int
    ) -> dict[str, Any]:
        """What the event says counts more than what ULM knows, for people ask about other models than its own.

        Raises Refused where no policy goes by the subject and the question is about one.
        """
        policy = training.watched.get(event.subject)
        if point is RETRAIN:
            if policy is None:
                raise _unknown(event, training)
            return retrain(training, policy, lapses, now)
        if point is SHOULD_TRAIN:
            return {**worth(policy, now), **event.data}
        if point is METHOD:
            return {**record(training), **self._machine(), **self._size(policy), **event.data}
        return {**self._need(policy), **self._machine(), **self._size(policy), **event.data}

    def _need(self, policy: Watched | None) -> dict[str, Any]:
        """Of a model that takes the policy's place."""
        if policy is None:
            return {}
        return {
            "role": "operator",
            "complexity": complexity(quality(policy)),
            "latency": self._settings.deadline,
        }

    def _machine(self) -> dict[str, Any]:
        if not self._machines:
            return {}
        best = max(self._machines.values(), key=lambda one: one.memory)
        gpu = any(one.gpus for one in self._machines.values())
        return {"hardware": "gpu" if gpu else "cpu", "memory": best.memory}

    def _size(self, policy: Watched | None) -> dict[str, Any]:
        if policy is None or policy.parameters is not None:
            return {"parameters": None if policy is None else policy.parameters}
        if self._named is None:
            self._named = card.read(self._settings.folder or SHIPPED)
        return {"parameters": self._named.parameters if self._named.version == policy.version else None}


def candidates(point: DecisionPoint, facts: Mapping[str, Any]) -> list[Candidate]:
    """The terminal action last."""
    if point is METHOD:
        return [*_methods(facts), Candidate("hold")]
    if point is RETRAIN or point is SHOULD_TRAIN:
        return [Candidate(action.name) for action in point.schema.actions]
    method = facts.get("method")  # absent where somebody plans, and asks about the model alone
    bases = [base for base in BASES if method not in METHODS or (base, method) in TRAINABLE]
    return [*(Candidate("train", {"base": base}) for base in bases), Candidate("hold")]


def _methods(facts: Mapping[str, Any]) -> list[Candidate]:
    """With each objective that the record has enough for, the best first. Weights in 4 bits need a GPU."""

    def known(name: str) -> int:
        found = facts.get(name)
        return found if isinstance(found, int) else 0

    fit = [one for one in OBJECTIVES if known(ENOUGH[one][0]) >= ENOUGH[one][1]]
    possible = METHODS if facts.get("hardware") == "gpu" else [one for one in METHODS if one != "qlora"]
    return [Candidate(method, {"objective": one}) for method in possible for one in fit]


def retrain(training: Training, policy: Watched, lapses: Mapping[str, Lapse], now: int) -> dict[str, Any]:
    """lapses: where promises are broken, by subject."""
    drops = [drop for seen in policy.points.values() if (drop := seen.accuracy.drop()) is not None]
    shifts = [seen.inputs.shift for seen in policy.points.values() if seen.inputs.shift is not None]
    lapsed = [lapse for lapse in lapses.values() if lapse.drift.policy == policy.version]
    at, examples = training.learned(name_of(policy.version))
    return {
        "drift": 100 * max(drops) if drops else None,
        "input_shift": max(shifts, default=None),
        "lapsed": len(lapsed),
        "uncalibrated": sum(lapse.used > 0 for lapse in lapsed),
        "age": (now - at) / SECOND,
        "new_examples": training.examples - examples,
        "training": training.running,
        "on_trial": len(training.on_trial),
    }


def worth(policy: Watched | None, now: int) -> dict[str, Any]:
    """A training of ELIAS itself costs no money and has time."""
    known = {} if policy is None else {"quality": quality(policy), "volume": volume(policy, now)}
    return {"budget": None, "timeline": None, **known}


def record(training: Training) -> dict[str, Any]:
    """What there is to learn from."""
    return {
        "examples": training.examples,
        "rewarded": training.rewarded,
        "overridden": training.overridden,
        "advised": training.advised,
        "time": None,
    }


def complexity(share: float | None) -> str | None:
    """share: of right answers, in percent."""
    if share is None:
        return None
    return "easy" if share >= 90 else "medium" if share >= 75 else "hard"


def _unknown(event: Event, training: Training) -> Refused:
    known = ", ".join(sorted(training.watched)) or "none was asked yet"
    return Refused(
        "no-policy",
        f"no policy `{event.subject[:100]}` is asked here",
        place=f"event {event.id}: subject",
        cure=f"policies to ask about: {known}",
    )
