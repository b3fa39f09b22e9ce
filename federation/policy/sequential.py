"""Whether a challenger is better than the champion, tested while it runs; one may look after every observation.

Two tests by betting. Each observation comes from one unit of traffic that was given to the challenger with a known
probability, so its reward, weighted by the inverse of that (Horvitz and Thompson 1952), is an unbiased view of the
difference. "The challenger is no better" makes every bet on that difference a game that wins nothing on average, and
by Ville's inequality its stake ever becomes 1 / alpha with probability at most alpha: whoever stops there is wrong at
most that often, at whatever time it is. The other test bets that it is worse.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (JRSS B 86, 2024): the mixture of bets
is their diversified Kelly.
"""

import math
from enum import StrEnum

import msgspec

ALPHA = 0.05
"""Of challengers that are no better than their champion, at most this share is ever promoted."""

_BETS = (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125)
"""Shares of the stake, of the largest that cannot be lost whole. The right one is not known and lies further down the
smaller the difference is; a mixture is behind its best bet by a factor of seven at most."""

_FORGETS = 100.0
"""Observations over which the mean of the rewards is followed, so that what moves both policies is no noise."""


class Verdict(StrEnum):
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    GO_ON = "go on"


class Evidence(msgspec.Struct, frozen=True):
    """How the tests stand. better, worse: logarithm of what each bet has won. centre: what the rewards are about, of 0
    to 1. units, challenged: observations, and those of the challenger. total: sum of the views of the difference."""

    better: tuple[float, ...] = (0.0,) * len(_BETS)
    worse: tuple[float, ...] = (0.0,) * len(_BETS)
    centre: float = 0.5
    units: int = 0
    challenged: int = 0
    total: float = 0.0

    def difference(self) -> float:
        """The reward of the challenger less the champion's, estimated without bias, in units of the bounds' width."""
        return self.total / self.units if self.units else 0.0


def step(evidence: Evidence, reward: float, challenger: bool, share: float) -> Evidence:
    """The tests after one more observation. reward: of the unit, scaled to 0 to 1; see `scaled`. challenger: whether it
    was given to the challenger; share: the probability, between 0 and 1, with which it was going to be.

    The order of observations must not hang on their rewards; federation/policy/arms.py sees to it.
    """
    centre = evidence.centre
    off = reward - centre
    view = off / share if challenger else -off / (1 - share)
    least = max(centre / share, (1 - centre) / (1 - share))
    most = max((1 - centre) / share, centre / (1 - share))
    units = evidence.units + 1
    return Evidence(
        better=tuple(won + math.log1p(bet * view / least) for won, bet in zip(evidence.better, _BETS, strict=True)),
        worse=tuple(won + math.log1p(-bet * view / most) for won, bet in zip(evidence.worse, _BETS, strict=True)),
        centre=centre + off / min(units + 1, _FORGETS),
        units=units,
        challenged=evidence.challenged + challenger,
        total=evidence.total + view,
    )


def verdict(evidence: Evidence, alpha: float = ALPHA, beta: float = ALPHA) -> Verdict:
    """alpha: how often a challenger that is no better may be promoted; beta: how often one that is no worse may be
    rolled back. Neither hangs on when, or how often, one asks."""
    if log_evidence(evidence.worse) >= -math.log(beta):
        return Verdict.ROLL_BACK
    if log_evidence(evidence.better) >= -math.log(alpha):
        return Verdict.PROMOTE
    return Verdict.GO_ON


def log_evidence(won: tuple[float, ...]) -> float:
    """Natural logarithm of what a stake of 1 has become that was spread evenly over the bets."""
    most = max(won)
    return most + math.log(math.fsum(math.exp(one - most) for one in won) / len(won))


def scaled(reward: float, bounds: tuple[float, float]) -> float:
    """A reward as a share of what lies between its bounds; one beyond them counts as the bound."""
    low, high = bounds
    return min(1.0, max(0.0, (reward - low) / (high - low)))
