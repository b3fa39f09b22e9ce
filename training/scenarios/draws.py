"""Random numbers as the worlds need them."""

import math
from random import Random


def between(random: Random, low: float, high: float) -> float:
    """Log-uniform: each order of magnitude is as likely as the next."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def near(random: Random, spread: float) -> float:
    """A factor around 1. spread: standard deviation of its logarithm."""
    return math.exp(random.gauss(0, spread))


def rounded(value: float) -> float:
    """Two significant digits, as people and monitors report."""
    return float(f"{value:.1e}")
