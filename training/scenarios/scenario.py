"""A world behind the spec of its point: its situations, asked as the federation asks them.

A world proposes a situation; the spec of its point decides it. What a rule answers is no question for a policy and is
dropped; what the spec consults on is offered to the policy as the desk would offer it. Every example stands by itself:
its random numbers follow from (point, split, family, index), so any slice of a split can be drawn alone, in any order
and any process.
"""

import hashlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

import msgspec

import tiki
from federation import decide
from federation.policy.question import Question
from federation.records import Asked, Candidate, Event
from training.scenarios.world import Seen, World

SEED = 0
"""Changes every example of every split."""

TRIES = 20_000  # situations that may come to nothing before a family counts as one that never consults
DIGITS = 3  # questions that differ in no number's first three digits count as one


class Split(NamedTuple):
    """completions: how often the rest of the world is drawn for each question. share: of all possible questions, in
    256ths; a question belongs to one split by its content, whoever draws it."""

    completions: int
    share: int


SPLITS: Mapping[str, Split] = {
    "train": Split(8, 96),
    "validation": Split(8, 32),
    "temperature": Split(64, 32),
    "threshold": Split(64, 32),
    "test": Split(64, 32),
    "held_out": Split(64, 32),
}


class Example(msgspec.Struct, frozen=True):
    """A question, and what comes of each of its candidates.

    outcomes: completions of the world x candidates, in the outcome unit of the point; the first is what happened.
    right: share of the completions in which each candidate is right; the largest is what the best possible policy
    reaches at this question.
    """

    question: Question
    family: str
    right: tuple[float, ...]
    outcomes: tuple[tuple[float, ...], ...]

    def happened(self, epsilon: float) -> tuple[bool, ...]:
        """Whether each candidate was right in what happened."""
        return rights(self.outcomes[0], epsilon)


class Scenario:
    """One world behind the spec of its point."""

    def __init__(self, world: World, program: tiki.Program) -> None:
        self.world = world
        self.point = world.point
        self.program = program

    def families(self, split: str) -> tuple[str, ...]:
        """In a split. The held-out one is in `held_out` alone."""
        if split == "held_out":
            return (self.world.held_out,)
        return tuple(family for family in self.world.families if family != self.world.held_out)

    def examples(self, split: str, count: int, start: int = 0, completions: int | None = None) -> Iterator[Example]:
        """Those from `start` on; families take turns. completions: other than the split has. The first ones are the
        same however many are drawn.

        Raises RuntimeError where the spec does not consult in any situation of a family.
        """
        families = self.families(split)
        for index in range(start, start + count):
            family = families[index % len(families)]
            yield self._example(split, family, index // len(families), completions or SPLITS[split].completions)

    def consulted(self, seen: Seen) -> tuple[Question, tuple[int, ...]] | None:
        """What the shipped spec asks the policy in this situation, and which of the candidates proposed it offers, by
        index; None: it asks nothing, or leaves no choice. A temporal condition counts as having held long enough."""
        program = self.program
        facts = program.facts_from(seen.facts)
        held = program.unwatched(facts)
        verdict = program.decide(facts, held)
        if verdict.kind != "consult":
            return None
        candidates = [guarded(program, candidate, facts, held) for candidate in seen.candidates]
        known = program.to_mapping(facts)
        version, offers = self.point.schema.version, list(verdict.actions)
        asked = Asked(_NO_EVENT, known, list(held), None, None, candidates, "", version, 0, offers=offers)
        offered = tuple(decide.offered(asked, self.point.terminal))
        if len(offered) < 2:
            return None
        chosen = tuple(candidates[index] for index in offered)
        return Question(self.point.name, program.settings, known, chosen), offered

    def _example(self, split: str, family: str, index: int, completions: int) -> Example:
        name = (SEED, self.point.name, split, family, index)
        seen, question, offered = self._question(split, family, Random(_hash(*name, "seen")))
        rest = Random(_hash(*name, "rest"))
        drawn = (self.world.outcomes(seen, rest) for _ in range(completions))
        outcomes = tuple(tuple(outcome[index] for index in offered) for outcome in drawn)
        right = zip(*(rights(outcome, self.world.epsilon) for outcome in outcomes), strict=True)
        return Example(question, family, tuple(sum(each) / completions for each in right), outcomes)

    def _question(self, split: str, family: str, random: Random) -> tuple[Seen, Question, tuple[int, ...]]:
        for _ in range(TRIES):
            seen = self.world.ask(family, random)
            consulted = self.consulted(seen)
            if consulted is not None and split_of(consulted[0]) == split:
                return seen, *consulted
        raise RuntimeError(f"{self.point.name}: the shipped spec consults in no situation of the family {family}")


def guarded(program: tiki.Program, candidate: Candidate, facts: tuple[Any, ...], held: tuple[Any, ...]) -> Candidate:
    """As the desk sees it: what a guard forbids names the guard."""
    guard = program.forbids(facts, held, candidate.action, candidate.args, candidate.attributes)
    return candidate if guard is None else msgspec.structs.replace(candidate, forbidden=guard)


def rights(outcome: tuple[float, ...], epsilon: float) -> tuple[bool, ...]:
    """Whether each candidate is right: its outcome is within epsilon of the best one."""
    least = max(outcome) - epsilon
    return tuple(one >= least for one in outcome)


def split_of(question: Question) -> str:
    """The one split that this question may stand in. It hangs on what a reader sees: numbers with their first three
    digits, so that not even near copies of a question stand on both sides."""
    place = _hash(SEED, rounded(question)) % 256
    for name, split in SPLITS.items():
        place -= split.share
        if place < 0:
            return name
    raise AssertionError("the shares of the splits sum to 256")


def rounded(question: Question) -> tuple[Any, ...]:
    """A question as a key: equal for questions that differ in no number's first three digits."""
    facts = tuple((name, _rounded(value)) for name, value in sorted(question.facts.items()))
    candidates = tuple(
        (one.action, *((name, _rounded(value)) for name, value in sorted((one.args | one.attributes).items())))
        for one in question.candidates
    )
    return question.point, facts, candidates


def _rounded(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return float(f"{value:.{DIGITS}g}")


_NO_EVENT = Event("", "", "")


def _hash(*parts: Any) -> int:
    """64 bits that follow from the parts, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")
