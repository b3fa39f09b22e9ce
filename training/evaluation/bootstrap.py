"""How sure a figure is: 95 % intervals by resampling the questions (Efron and Tibshirani 1993).

Every figure of a set of answers is made of sums over questions, so one resampling does for all of them; and where two
policies answered the same questions, both are resampled together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

BINS = 15
"""Of the calibration error, with the same number of questions each."""
RESAMPLES = 1000
SEED = 0
"""Of all sets alike: two of one size are resampled in the same way, which is what makes a comparison paired."""
LEVEL = (0.025, 0.975)

_AT_ONCE = 8_000_000  # draws held in memory together


class Judged(NamedTuple):
    """By question: confidence, whether the choice was right, whether it is taken alone, what it cost (NaN where that is
    not known)."""

    sure: Numbers
    right: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    regret: Numbers


def pooled(parts: Sequence[Judged], scales: Sequence[float]) -> Judged:
    """Regrets of points have different units, so each is taken as a share of `scales`, what choosing at random costs
    there."""
    return Judged(
        np.concatenate([one.sure for one in parts]),
        np.concatenate([one.right for one in parts]),
        np.concatenate([one.alone for one in parts]),
        np.concatenate([one.regret / scale for one, scale in zip(parts, scales, strict=True)]),
    )


def interval(differences: Numbers) -> tuple[float, float]:
    """The percentile interval of the mean."""
    return bounds(means(differences))


def means(values: Numbers) -> Numbers:
    """Of RESAMPLES resamples."""
    return np.asarray(_resampled(values[:, None])[:, 0] / len(values))


def of_median(values: Numbers) -> tuple[float, float]:
    """The percentile interval of the median."""
    random = np.random.default_rng(SEED)
    return bounds(np.median(values[random.integers(0, len(values), (RESAMPLES, len(values)))], axis=1))


def estimated(of: Judged) -> dict[str, float]:
    """accuracy, coverage, ece, right, regret of all questions; NaN where there is none."""
    if not len(of.sure):
        return dict.fromkeys(("accuracy", "coverage", "ece", "right", "regret"), float("nan"))
    return {name: float(values[0]) for name, values in _figures(_columns(of).sum(axis=0)[None], len(of.sure)).items()}


def drawn(of: Judged) -> Mapping[str, Numbers]:
    """The same figures of RESAMPLES resamples each; the same questions are drawn of any two sets of one size."""
    return _figures(_resampled(_columns(of)), len(of.sure))


def intervals(of: Judged) -> dict[str, tuple[float, float]]:
    """Of the figures that there are, by name.

    Resampling adds to the calibration error as much as having few questions does, for noise is an error to it whichever
    way it goes. So its interval is the basic one, which takes off what was added; the others are percentiles.
    """
    if not len(of.sure):
        return {}
    now, again = estimated(of), drawn(of)
    found = {name: bounds(values) for name, values in again.items() if np.isfinite(now[name])}
    low, high = found["ece"]
    found["ece"] = max(0.0, 2 * now["ece"] - high), max(0.0, 2 * now["ece"] - low)
    return found


def bounds(values: Numbers) -> tuple[float, float]:
    low, high = np.nanquantile(values, LEVEL)
    return float(low), float(high)


def _columns(of: Judged) -> Numbers:
    """Questions x what the figures are sums of. The bins of the calibration error are those of all questions (equal
    mass, Nixon et al. 2019)."""
    gaps = np.zeros((len(of.sure), BINS))
    for number, part in enumerate(np.array_split(np.argsort(of.sure, kind="stable"), BINS)):
        gaps[part, number] = of.sure[part] - of.right[part]
    return np.column_stack([of.alone, of.alone & of.right, of.right, of.regret, gaps])


def _figures(sums: Numbers, count: int) -> dict[str, Numbers]:
    """sums: resamples x columns. count: of the questions."""
    alone, good, right, regret, *gaps = sums.T
    return {
        "accuracy": np.divide(good, alone, out=np.full_like(good, np.nan), where=alone > 0),
        "coverage": alone / count,
        "ece": np.abs(gaps).sum(axis=0) / count,
        "right": right / count,
        "regret": regret / count,
    }


def _resampled(columns: Numbers) -> Numbers:
    """RESAMPLES x columns: the sums over as many questions, drawn with replacement."""
    return np.vstack([counts @ columns for counts in _counts(len(columns))])


def _counts(count: int) -> Iterator[Numbers]:
    """How often each question is drawn, resamples x questions, in portions."""
    random = np.random.default_rng(SEED)
    portion = max(1, _AT_ONCE // count)
    for begin in range(0, RESAMPLES, portion):
        draws = random.integers(0, count, (min(portion, RESAMPLES - begin), count))
        yield np.array([np.bincount(row, minlength=count) for row in draws], float)
