"""Watches in use what a calibration promised.

A random slice of what a policy decides alone goes to the tier above as well. A test by betting, valid however often one
looks at it, plays against "at most `max_error` of them are wrong"; when it has won so much that this happens in at most
`ALPHA` of all honest worlds, the promise is taken for broken and the point goes up a tier until it is calibrated anew.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (JRSS B 86, 2024); the bets that begin
later are an e-detector's (Shin, Ramdas and Rinaldo, E-detectors, NEJSDS 2024) with weights that sum to 1, so the error
is bounded for all time and not only on average.
"""

import math
from functools import cache

import msgspec

ALPHA = 0.05
"""Of all points that keep their promise for ever, at most this share is ever taken off."""

ABOVE = ("advisor", "operator")
"""The tiers above the policy, whose answers are taken for right."""

_BLOCK = 50
"""Audits between two fresh beginnings: a world that breaks after years of honesty is then noticed as soon as another,
but for the logarithm of its age. More frequent ones would have to weigh less."""
_FACTORS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""The errors that are bet on, as multiples of the odds promised."""


class Audit(msgspec.Struct, frozen=True):
    """How the test stands for one policy at one point, under one `max_error`.

    policy: its version. times: number of its calibration here. checked, wrong: audits so far. wealth: logarithm of what
    each bet has won, in the order of the errors bet on. broken: the bets have won; that stays so.

    runs, begun: by bet, what it has won since it last had nothing, and the ledger time (ns) of the first answer that it
    won by.
    """

    policy: str
    max_error: float
    checked: int = 0
    wrong: int = 0
    wealth: tuple[float, ...] = ()
    broken: bool = False
    times: int = 1
    runs: tuple[float, ...] = ()
    begun: tuple[int, ...] = ()

    @property
    def since(self) -> int:
        """Once it is broken, the likeliest ledger time (ns) at which it began to be, under the likeliest of the errors
        bet on (Page, Biometrika 41, 1954; Lorden, Annals of Mathematical Statistics 42, 1971). 0: nothing was checked.
        """
        return max(zip(self.runs, self.begun, strict=True), default=(0.0, 0))[1]

    def evidence(self) -> float:
        """What a stake of 1 has become; a fair game's exceeds 1 / ALPHA at any time with probability at most ALPHA."""
        if not self.wealth:
            return 1.0
        unspent = 1 / (_blocks(self.checked) + 1)
        return unspent + math.fsum(math.exp(min(won, 700.0)) for won in self.wealth) / len(self.wealth)


def step(audit: Audit, wrong: bool, at: int = 0) -> Audit:
    """The test after one more audit, of an answer at ledger time `at` (ns). A broken promise stays broken and is tested
    no more; 0 % and 100 % cannot break: the one lets nothing be decided alone, the other everything."""
    if audit.broken or not 0 < audit.max_error < 1:
        return audit
    checked = audit.checked + 1
    block = _blocks(checked)
    stake = 1 / (block * (block + 1)) if block > _blocks(audit.checked) else 0.0
    before = audit.wealth or (-math.inf,) * len(_FACTORS)
    won = _gains(audit.max_error)[wrong]
    wealth = tuple(_log_sum(kept, stake) + gain for kept, gain in zip(before, won, strict=True))
    had = audit.runs or (0.0,) * len(_FACTORS)
    runs = tuple(max(0.0, run + gain) for run, gain in zip(had, won, strict=True))
    begun = tuple(first if run else at for run, first in zip(had, audit.begun or (at,) * len(_FACTORS), strict=True))
    seen = {"checked": checked, "wrong": audit.wrong + wrong, "wealth": wealth, "runs": runs, "begun": begun}
    after = msgspec.structs.replace(audit, **seen)
    return msgspec.structs.replace(after, broken=after.evidence() >= 1 / ALPHA)


def resumed(audit: Audit | None, policy: str, max_error: float, times: int = 1) -> Audit:
    """The test to go on with: a new one where the policy, its calibration or the promise is another."""
    if audit is None or (audit.policy, audit.max_error, audit.times) != (policy, max_error, times):
        return Audit(policy, max_error, times=times)
    return audit


def _blocks(checked: int) -> int:
    """Blocks begun by then."""
    return -(-checked // _BLOCK)


@cache
def _gains(max_error: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What each bet wins on a right answer, and on a wrong one, as logarithms: the likelihood ratio of the error bet on
    against `max_error`. The odds are multiplied, so an error bet on stays below 1 for any promise."""
    odds = max_error / (1 - max_error)
    bets = [factor * odds / (1 + factor * odds) for factor in _FACTORS]
    right = tuple(math.log((1 - bet) / (1 - max_error)) for bet in bets)
    return right, tuple(math.log(bet / max_error) for bet in bets)


def _log_sum(log: float, amount: float) -> float:
    if not amount:
        return log
    added = math.log(amount)
    high, low = max(log, added), min(log, added)
    return high + math.log1p(math.exp(low - high))
