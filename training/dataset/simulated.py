"""Decisions of a simulated past: what a policy would have had on record, had it decided these questions alone.

For tests and measurements of what learns from a ledger. The world knows the outcome of every candidate; the example
gets that of the one that was taken.
"""

import hashlib
from collections.abc import Callable, Sequence
from random import Random

from federation.clock import SECOND
from federation.policy.exploration import propensities
from federation.policy.question import Question, Scores
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.scenarios.scenario import Example, Scenario, rounded

Many = Callable[[Sequence[Question]], list[Scores]]


def logged(
    scenario: Scenario,
    examples: Sequence[Example],
    answer: Many,
    explore: float,
    seed: int = 0,
    policy: str = "simulated",
) -> list[Logged]:
    """One decision a second, in the order of the examples. answer: the policy that decides. explore: share of the
    answers that is spread evenly over the candidates that it does not prefer."""
    found = []
    said = answer([example.question for example in examples])
    for number, (example, scores) in enumerate(zip(examples, said, strict=True)):
        name = hashlib.sha256(repr((seed, number, rounded(example.question))).encode()).hexdigest()
        indices = range(len(scores))
        best = max(indices, key=scores.__getitem__)
        chances = propensities(indices, best, indices, explore)
        choice = Random(name).choices(indices, chances)[0]
        found.append(
            Logged(
                decision=name[:32],
                attempt=0,
                at=number * SECOND,
                version=scenario.point.schema.version,
                bundle="",
                family=hashlib.sha256(repr(rounded(example.question)).encode()).hexdigest()[:32],
                question=example.question,
                choice=choice,
                tier=CHOSEN_BY_POLICY,
                policy=policy,
                preferred=best,
                logs=scores,
                propensities=tuple(chances),
                status="done",
                reward=example.outcomes[0][choice],
            )
        )
    return found
