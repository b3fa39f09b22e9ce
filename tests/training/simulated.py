"""Scores of a policy that knows something, and a world that goes on without it."""

import numpy as np
from numpy.random import Generator

from federation.policy.fitting import Marked

LABELS = 4


def scored(random: Generator, count: int, *, noise: float = 0.4, temperature: float = 1.0) -> Marked:
    """Questions have two to four labels; candidates nearly as good as the best are right too. noise: of the world
    beyond what the policy sees. temperature: above 1, the policy is too sure of itself."""
    worth = random.normal(size=(count, LABELS)) * 3
    worth[np.arange(LABELS) >= random.integers(2, LABELS + 1, size=(count, 1))] = -np.inf
    seen = (worth + random.normal(size=worth.shape) * 0.5) * temperature
    outcome = worth + random.gumbel(size=worth.shape) * noise
    scores = seen - np.logaddexp.reduce(seen, axis=1, keepdims=True)
    return Marked(scores, outcome >= outcome.max(axis=1, keepdims=True) - 0.3)
