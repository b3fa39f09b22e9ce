"""Which logged decisions can tell what another policy would have reached, and when none can."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from federation.errors import Refused
from federation.points import DecisionPoint
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.ope.estimators import Sample, sample

LEAST_EFFECTIVE = 100.0
"""Effective decisions below which an interval would be narrower than it claims."""

MOST_MISSING = 0.1
"""Share of decisions without a known outcome above which those that have one no longer stand for all."""

BELIEVED = 1e-9  # a probability below it comes from rounding


class Usable(NamedTuple):
    """examples: those that the policy decided alone and whose outcome is known. elsewhere: decided by somebody else.
    missing: without a known outcome."""

    examples: list[Logged]
    elsewhere: int
    missing: int


def usable(point: DecisionPoint, examples: Sequence[Logged]) -> Usable:
    """The decisions of a point that can be used. Who decides hangs on the question alone, so leaving out the others
    leaves a fair sample of the questions that the policy decides.

    Raises Refused where decisions change each other's outcomes, where propensities are missing, where too many
    outcomes are, and where none is left.
    """
    if point.interferes:
        raise Refused(
            "interference",
            f"decisions of `{point.name}` change what comes of one another, so logs of single decisions do not tell "
            "what another policy would have reached",
            cure="compare the policies in a canary that is randomised by blocks of time: elias policy register",
        )
    own = [example for example in examples if example.tier == CHOSEN_BY_POLICY]
    bare = [example for example in own if len(example.propensities) != len(example.question.candidates)]
    if bare:
        raise Refused(
            "no-propensities",
            f"{len(bare)} of {len(own)} decisions of `{point.name}` by the policy have no propensities, decision "
            f"{bare[0].decision} among them",
            cure="use decisions whose records carry propensities",
        )
    known = [example for example in own if example.reward is not None]
    if not known:
        raise Refused(
            "no-outcomes",
            f"the policy has decided nothing at `{point.name}` whose outcome is known",
            cure="wait for outcomes, or choose a longer time or another split",
        )
    if len(own) - len(known) > MOST_MISSING * len(own):
        raise Refused(
            "few-outcomes",
            f"{len(own) - len(known)} of {len(own)} decisions of `{point.name}` have no known outcome; the others need "
            "not be like them",
            cure="wait until their outcomes are due, or see why they are not reported",
        )
    return Usable(known, len(examples) - len(own), len(own) - len(known))


def supported(
    point: DecisionPoint, examples: Sequence[Logged], target: Sequence[Sequence[float]], predicted: Sequence[Any]
) -> Sample:
    """The decisions as tables, where they can tell what the target would have reached. examples: of `usable`. target:
    probability that it takes each candidate. predicted: by a model that did not see the example.

    Raises Refused where the target would take what never could have been taken, and where too few decisions are like
    its own.
    """
    beyond = [
        (example, index)
        for example, chances in zip(examples, target, strict=True)
        for index, (chance, logged) in enumerate(zip(chances, example.propensities, strict=True))
        if chance > BELIEVED and logged <= 0
    ]
    if beyond:
        example, index = beyond[0]
        actions = sorted({example.question.candidates[index].action for example, index in beyond})
        decisions = len({example.decision for example, _ in beyond})
        raise Refused(
            "no-support",
            f"in {decisions} of {len(examples)} decisions of `{point.name}` the policy would take what never could "
            f"have been taken ({', '.join(actions)}), in decision {example.decision} candidate {index + 1}",
            cure="let the spec explore these actions (`explore`) and wait, or compare the policies in a canary",
        )
    made = sample(
        [example.reward or 0.0 for example in examples],
        [example.choice for example in examples],
        [example.propensities for example in examples],
        target,
        predicted,
    )
    if made.effective() < LEAST_EFFECTIVE:
        raise Refused(
            "few-effective",
            f"{len(examples)} decisions of `{point.name}` tell as much about this policy as {made.effective():.0f} of "
            f"its own; {LEAST_EFFECTIVE:.0f} are needed",
            cure="take in more decisions, let the spec explore more, or compare the policies in a canary",
        )
    return made
