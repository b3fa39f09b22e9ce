"""How good the examples of a decision point are: what they cover, how they differ, and how hard they are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import log1p, log2
from random import Random
from typing import Any

import msgspec

from federation.policy.question import Question
from tiki.schema import Attribute, Fact, Point, Type
from training.scenarios.rules import Rules
from training.scenarios.scenario import Example, Scenario, rounded

BINS = 10  # between the smallest and the largest value of a number
_BY_SCALE = {Type.BYTES, Type.DURATION, Type.RATE}  # bins are of equal width in the logarithm, else in the number
LOOKS = 400  # situations of each family of which the share that the spec consults in is told

_UNKNOWN = object()
_ABSENT = None


class Reach(msgspec.Struct, frozen=True):
    """Shares that are right, of examples of one kind: choosing at random, by the world's rules alone, and at best.

    candidates: on average. best: of the completions of each question, by the choice that is right in most of them.
    """

    examples: int
    candidates: float
    random: float
    rules: float
    best: float


class Family(Reach, frozen=True):
    """consults: share of the family's situations in which the shipped spec asks a policy."""

    consults: float


class Column(msgspec.Struct, frozen=True):
    """A fact, or an attribute of candidates. known, absent, unknown: shares. coverage: share of the values that there
    can be, or of the bins of a number, that occur. entropy: in bits, of values and bins, with absent and unknown."""

    known: float
    absent: float
    unknown: float
    coverage: float
    entropy: float


class Answers(msgspec.Struct, frozen=True):
    """By action. offered: share of the examples that offer it. right: share in which it is the best choice."""

    offered: float
    right: float


class Quality(msgspec.Struct, frozen=True):
    """Of one point.

    columns: by name. diversity: the mean of their entropies, in bits. actions: all that the point has. positions: share
    of the examples whose best choice stands there. entropy: of the actions that are the best choice, in bits. balance:
    that entropy, of the most that the actions offered allow, from 0 to 1. duplicates: share of the examples that repeat
    an earlier one; near: but for digits behind the third.
    """

    point: str
    overall: Reach
    families: Mapping[str, Family]
    columns: Mapping[str, Column]
    diversity: float
    actions: Mapping[str, Answers]
    positions: Sequence[float]
    entropy: float
    balance: float
    duplicates: float
    near: float


def measure(scenario: Scenario, examples: Iterable[Example]) -> Quality:
    """Raises ValueError without examples."""
    found = list(examples)
    if not found:
        raise ValueError("there is no example to measure")
    rules = Rules(scenario.world)
    chosen = [rules.choose(example.question) for example in found]
    best = [max(range(len(example.right)), key=example.right.__getitem__) for example in found]
    families = {family: [i for i, e in enumerate(found) if e.family == family] for family in scenario.world.families}
    answers = Counter(e.question.candidates[at].action for e, at in zip(found, best, strict=True))
    offered = Counter(action for e in found for action in {c.action for c in e.question.candidates})
    columns = columns_of(scenario.point.schema, [example.question for example in found])
    return Quality(
        point=scenario.point.name,
        overall=_reach(found, chosen),
        families={
            name: Family(
                **msgspec.structs.asdict(_reach([found[i] for i in at], [chosen[i] for i in at])),
                consults=_consults(scenario, name),
            )
            for name, at in families.items()
            if at
        },
        columns=columns,
        diversity=sum(column.entropy for column in columns.values()) / len(columns),
        actions={
            action.name: Answers(offered[action.name] / len(found), answers[action.name] / len(found))
            for action in scenario.point.schema.actions
        },
        positions=_shares(Counter(best), range(max(len(e.right) for e in found))),
        entropy=entropy(answers),
        balance=entropy(answers) / log2(len(offered)) if len(offered) > 1 else 0.0,
        duplicates=_repeated(_exact(example) for example in found),
        near=_repeated(rounded(example.question) for example in found),
    )


def _reach(examples: Sequence[Example], chosen: Sequence[int]) -> Reach:
    count = len(examples)
    return Reach(
        examples=count,
        candidates=sum(len(e.right) for e in examples) / count,
        random=sum(sum(e.right) / len(e.right) for e in examples) / count,
        rules=sum(e.right[choice] for e, choice in zip(examples, chosen, strict=True)) / count,
        best=sum(max(e.right) for e in examples) / count,
    )


def _consults(scenario: Scenario, family: str) -> float:
    random = Random(0)
    asked = (scenario.consulted(scenario.world.ask(family, random)) for _ in range(LOOKS))
    return sum(one is not None for one in asked) / LOOKS


def columns_of(schema: Point, questions: Sequence[Question]) -> dict[str, Column]:
    """The facts of the point, then the attributes that its candidates carry."""
    found = {
        fact.name: _column(fact, [question.facts.get(fact.name, _UNKNOWN) for question in questions])
        for fact in schema.facts
    }
    candidates = [candidate for question in questions for candidate in question.candidates]
    for attribute in schema.attributes:
        name = attribute.name
        values = [c.attributes.get(name, _UNKNOWN) for c in candidates if c.action in attribute.actions]
        if values:
            found[name] = _column(attribute, values)
    return found


def _column(declared: Fact | Attribute, values: Sequence[Any]) -> Column:
    known = [_hashable(value) for value in values if value is not _ABSENT and value is not _UNKNOWN]
    cells, possible = _cells(declared, known)
    without = Counter({mark: sum(value is mark for value in values) for mark in (_ABSENT, _UNKNOWN)})
    count = len(values)
    return Column(
        known=len(known) / count,
        absent=without[_ABSENT] / count,
        unknown=without[_UNKNOWN] / count,
        coverage=len(cells) / possible if known else 0.0,
        entropy=entropy(cells + without),
    )


def _hashable(value: Any) -> Any:
    """A list of names from JSON as one that can be counted."""
    return tuple(value) if isinstance(value, list) else value


def _cells(declared: Fact | Attribute, known: Sequence[Any]) -> tuple[Counter[Any], int]:
    """How often each value or bin occurs, and how many there can be."""
    match declared.type:
        case Type.FLAG:
            return Counter(known), 2
        case Type.NAME | Type.LIST:
            return Counter(known), len(declared.values) or len(set(known))
    if declared.type in _BY_SCALE:
        known = [log1p(value) for value in known]
    low, high = min(known, default=0), max(known, default=0)
    if declared.type is Type.COUNT and high - low < BINS:
        return Counter(known), int(high - low) + 1
    width = (high - low) / BINS or 1
    return Counter(min(int((value - low) / width), BINS - 1) for value in known), BINS


def entropy(counts: Counter[Any]) -> float:
    """Of what is counted, in bits (Shannon 1948)."""
    total = counts.total()
    return sum(count / total * log2(total / count) for count in counts.values() if count)


def _shares(counts: Counter[int], keys: Iterable[int]) -> list[float]:
    total = counts.total()
    return [counts[key] / total for key in keys]


def _exact(example: Example) -> bytes:
    return msgspec.json.encode((example.question.facts, example.question.candidates))


def _repeated(keys: Iterable[Any]) -> float:
    counts = Counter(keys)
    return 1 - len(counts) / counts.total()
