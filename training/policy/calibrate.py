"""The questions of a split as `federation.policy.fitting` takes them."""

from collections.abc import Sequence

from federation.policy.fitting import Marked, marked
from federation.policy.question import Scores
from training.scenarios.scenario import Example


def scored(examples: Sequence[Example], scores: Sequence[Scores], epsilon: float) -> Marked:
    """epsilon: of the point."""
    return marked(scores, [example.happened(epsilon) for example in examples])
