"""How good the examples of a ledger are: what they cover, how balanced they are, whether those who answer agree with
each other, and how often the answers are right."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log2
from random import Random

import msgspec

from federation.points import DecisionPoint
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.quality import Column, columns_of, entropy
from training.scenarios import generate
from training.scenarios.scenario import rights
from training.scenarios.world import Seen

LOOKED = 20_000
"""Examples of a point, drawn by chance, in which facts are counted."""

JUDGED = 200
"""Examples of a point, drawn by chance, that its simulated world judges."""

COMPLETIONS = 32  # of the world for each of them
_DIGITS = 6


class Action(msgspec.Struct, frozen=True):
    """offered, chosen: shares of the examples. rewarded: of those that chose it, how many have a reward; reward: the
    mean of these, in the unit of the point."""

    offered: float
    chosen: float
    rewarded: int
    reward: float | None


class Judged(msgspec.Struct, frozen=True):
    """By the simulated world. examples: that it could judge; one that lacks what the world always knows it cannot.
    right: how often the choice is right, on average over completions of the world; best: the best choice; random: one
    by chance."""

    examples: int
    right: float
    best: float
    random: float


class Quality(msgspec.Struct, frozen=True):
    """Of one point.

    tiers: who answered, and how often. statuses: of the outcomes; empty: none is known, or nothing was to be done.
    rewarded: share with a reward. explored: share of the policy's answers that took another candidate than the best.
    overridden: share of what somebody above the policy answered, having its scores, in which the choice is another than
    its best; agreed: share of the advice that was taken. columns, diversity: as in `training.quality`. entropy: of the
    actions chosen, in bits; balance: that, of the most that the actions offered allow. repeated: families that people
    or advisors answered more than once; differing: of these, answered in more than one way. judged: None where the
    point has no simulated world."""

    examples: int
    families: int
    tiers: Mapping[str, int]
    statuses: Mapping[str, int]
    rewarded: float
    explored: float | None
    overridden: float | None
    agreed: float | None
    columns: Mapping[str, Column]
    diversity: float
    actions: Mapping[str, Action]
    entropy: float
    balance: float
    repeated: int
    differing: int
    judged: Judged | None


class Measure:
    """Of the examples of one point, taken in one by one; holds a sample of them."""

    def __init__(self, point: DecisionPoint) -> None:
        self._point = point
        self._tiers: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._offered: Counter[str] = Counter()
        self._chosen: Counter[str] = Counter()
        self._rewards: dict[str, list[float]] = {}  # by action: how many, and their sum
        self._families: set[bytes] = set()
        self._above: dict[bytes, tuple[int, int, bool]] = {}  # by family: answers, the first of them, others
        self._shares: dict[str, list[int]] = {"explored": [0, 0], "overridden": [0, 0], "agreed": [0, 0]}
        self._sample: list[Logged] = []

    def add(self, example: Logged) -> None:
        family = bytes.fromhex(example.family)
        self._tiers[example.tier] += 1
        self._statuses[example.status] += 1
        self._families.add(family)
        candidates = example.question.candidates
        action = candidates[example.choice].action
        self._chosen[action] += 1
        self._offered.update({one.action for one in candidates})
        if example.reward is not None:
            rewards = self._rewards.setdefault(action, [0, 0.0])
            rewards[0] += 1
            rewards[1] += example.reward
        if example.preferred is not None:
            differs = example.choice != example.preferred
            self._share("explored" if example.tier == CHOSEN_BY_POLICY else "overridden", differs)
        if example.advice is not None and example.advice.choice is not None:
            self._share("agreed", example.advice.choice == example.choice)
        if example.tier != CHOSEN_BY_POLICY:
            count, first, others = self._above.get(family, (0, example.choice, False))
            self._above[family] = count + 1, first, others or example.choice != first
        self._sample.append(example)
        if len(self._sample) >= 2 * LOOKED:
            self._sample = _drawn(self._sample, LOOKED)

    def _share(self, name: str, hit: bool) -> None:
        self._shares[name][0] += hit
        self._shares[name][1] += 1

    def result(self) -> Quality:
        """Raises ZeroDivisionError without examples."""
        count = self._tiers.total()
        looked = _drawn(self._sample, LOOKED)
        columns = {
            name: Column(*map(_round, msgspec.structs.astuple(one)))
            for name, one in columns_of(self._point.schema, [one.question for one in looked]).items()
        }
        chosen = entropy(self._chosen)
        repeated = [one for one in self._above.values() if one[0] > 1]
        shares = {name: _round(hits / of) if of else None for name, (hits, of) in self._shares.items()}
        return Quality(
            examples=count,
            families=len(self._families),
            tiers=dict(sorted(self._tiers.items())),
            statuses=dict(sorted(self._statuses.items())),
            rewarded=_round(sum(int(known) for known, _ in self._rewards.values()) / count),
            **shares,
            columns=columns,
            diversity=_round(sum(one.entropy for one in columns.values()) / max(len(columns), 1)),
            actions={one.name: self._action(one.name) for one in self._point.schema.actions},
            entropy=_round(chosen),
            balance=_round(chosen / log2(len(self._offered))) if len(self._offered) > 1 else 0.0,
            repeated=len(repeated),
            differing=sum(others for _, _, others in repeated),
            judged=_judged(self._point, _drawn(looked, JUDGED)),
        )

    def _action(self, name: str) -> Action:
        count = self._tiers.total()
        known, total = self._rewards.get(name, (0, 0.0))
        reward = _round(total / known) if known else None
        return Action(_round(self._offered[name] / count), _round(self._chosen[name] / count), int(known), reward)


def _drawn(examples: Sequence[Logged], count: int) -> list[Logged]:
    """By chance, the same on every machine: a decision's name is a digest."""
    return sorted(examples, key=lambda one: (one.decision, one.attempt))[:count]


def _judged(point: DecisionPoint, sample: Sequence[Logged]) -> Judged | None:
    if point.name not in generate.points() or generate.scenario(point.name).point != point:
        return None
    world = generate.scenario(point.name).world
    rows = []
    for example in sample:
        question, random = example.question, Random(example.decision)
        seen = Seen(question.facts, question.candidates)
        try:
            drawn = [rights(world.outcomes(seen, random), world.epsilon) for _ in range(COMPLETIONS)]
        except (KeyError, TypeError):  # a fact or an attribute that the world always knows is missing
            continue
        right = [sum(each) / COMPLETIONS for each in zip(*drawn, strict=True)]
        rows.append((right[example.choice], max(right), sum(right) / len(right)))
    if not rows:
        return Judged(0, 0.0, 0.0, 0.0)
    return Judged(len(rows), *(_round(sum(column) / len(rows)) for column in zip(*rows, strict=True)))


def _round(value: float) -> float:
    """The last digits are the processor's, and the recipe has the same bytes everywhere."""
    return round(value, _DIGITS)
