"""ULM's anomaly detector on the Numenta Anomaly Benchmark (https://github.com/numenta/NAB, v1.1), and published ones.

    python -m benchmarks.nab [--data FOLDER] [--json]

The folder, by default `nab` under $ELIAS_DATA (itself `data/` by default), holds the corpus or a part of it, its
windows, the profiles and `published_raw_scores.csv` (detector, profile, file, raw_score). The score is that of Lavin
and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015): one threshold for the whole corpus, the
best one; 100 for a detector that fires at the start of every window and nowhere else, 0 for one that never fires.
"""

import argparse
import csv
import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from managers.ulm.detectors import Anomaly

PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
PROBATION, LONGEST = 0.15, 5000  # the first 15 % of a file, of 5,000 rows at most, are not scored


class Series(NamedTuple):
    """windows: first and last row of each labelled window."""

    name: str
    values: list[float]
    windows: list[tuple[int, int]]

    @property
    def probation(self) -> int:
        return int(PROBATION * min(len(self.values), LONGEST))


class Weights(NamedTuple):
    hit: float
    miss: float
    false: float


class Detection(NamedTuple):
    """What a detection at one row is worth. window: file and number, None outside of all."""

    score: float
    window: tuple[str, int] | None
    worth: float


def corpus(folder: Path) -> list[Series]:
    labels = json.loads((folder / "combined_windows.json").read_text())
    found = []
    for name in sorted(labels):
        path = folder / "data" / name
        if path.exists():
            with path.open() as file:
                rows = list(csv.DictReader(file))
            row_of = {row["timestamp"]: number for number, row in enumerate(rows)}
            windows = [(row_of[first[:19]], row_of[last[:19]]) for first, last in labels[name]]
            found.append(Series(name, [float(row["value"]) for row in rows], windows))
    return found


def weights_of(folder: Path, profile: str) -> Weights:
    costs = json.loads((folder / "profiles.json").read_text())[profile]["CostMatrix"]
    return Weights(costs["tpWeight"], costs["fnWeight"], costs["fpWeight"])


def scores_of(series: Series) -> list[float]:
    """The detector's score at each row, from nothing but the values so far."""
    detector = Anomaly()
    return [detector.update(value) for value in series.values]


def detections(series: Series, scores: Sequence[float], weights: Weights) -> Iterator[Detection]:
    ahead, inside, past = list(enumerate(series.windows)), None, None
    for row, score in enumerate(scores):
        if ahead and row == ahead[0][1][0]:
            inside = ahead.pop(0)
        window = None
        if inside is not None:
            number, (first, last) = inside
            window = series.name, number
            worth = weights.hit * _sigmoid(-(last - row + 1) / (last - first + 1)) / _sigmoid(-1.0)
        elif past is not None:
            worth = weights.false * _sigmoid((row - past[1]) / (past[1] - past[0]))
        else:
            worth = -weights.false
        if row >= series.probation:
            yield Detection(score, window, worth)
        if inside is not None and row == inside[1][1]:
            past, inside = inside[1], None


def _sigmoid(position: float) -> float:
    """1 well before the end of a window, 0 at its end, -1 well past it; positions in widths of the window."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def best(found: Iterable[Detection], windows: int, miss: float) -> tuple[float, float]:
    """The threshold under which the corpus scores most, and that raw score. In a window the best one counts."""
    ordered = sorted(found, key=lambda detection: -detection.score)
    in_window: dict[tuple[str, int], float] = defaultdict(lambda: -miss)
    total = most = -miss * windows
    threshold = math.inf
    for detection, following in zip(ordered, [*ordered[1:], None], strict=True):
        if detection.window is None:
            total += detection.worth
        elif detection.worth > in_window[detection.window]:
            total += detection.worth - in_window[detection.window]
            in_window[detection.window] = detection.worth
        if (following is None or following.score < detection.score) and total > most:
            threshold, most = detection.score, total
    return threshold, most


def normalised(raw: float, windows: int, weights: Weights) -> float:
    nothing = -weights.miss * windows
    return 100.0 * (raw - nothing) / (weights.hit * windows - nothing)


def published(folder: Path, profile: str, files: set[str]) -> dict[str, float]:
    """The published detectors' raw scores, summed over the same files."""
    sums: dict[str, float] = defaultdict(float)
    with (folder / "published_raw_scores.csv").open() as file:
        for row in csv.DictReader(file):
            if row["profile"] == profile and row["file"] in files:
                sums[row["detector"]] += float(row["raw_score"])
    return sums


def measure(folder: Path) -> dict[str, Any]:
    series = corpus(folder)
    windows = sum(len(one.windows) for one in series)
    began = time.process_time()
    scores = {one.name: scores_of(one) for one in series}
    seconds = time.process_time() - began
    table: dict[str, dict[str, float]] = defaultdict(dict)
    thresholds = {}
    for profile in PROFILES:
        weights = weights_of(folder, profile)
        found = [d for one in series for d in detections(one, scores[one.name], weights)]
        thresholds[profile], raw = best(found, windows, weights.miss)
        table["ELIAS"][profile] = normalised(raw, windows, weights)
        for detector, total in published(folder, profile, set(scores)).items():
            table[detector][profile] = normalised(total, windows, weights)
    rows = sum(len(one.values) for one in series)
    return {
        "files": len(series),
        "windows": windows,
        "rows": rows,
        "rows_per_s": rows / seconds,
        "thresholds": thresholds,
        "scores": table,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ELIAS_DATA", "data")) / "nab")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not (args.data / "combined_windows.json").exists():
        print(f"{args.data}: no corpus here; fetch https://github.com/numenta/NAB and name its folder", file=sys.stderr)
        return 2
    result = measure(args.data)
    if args.json:
        print(json.dumps(result))
        return 0
    print("{files} files, {windows} windows, {rows} rows; {rows_per_s:,.0f} rows/s".format(**result))
    print(f"{'detector':20}" + "".join(f"{profile:>20}" for profile in PROFILES))
    for detector, row in sorted(result["scores"].items(), key=lambda item: -item[1]["standard"]):
        print(f"{detector:20}" + "".join(f"{row[profile]:20.1f}" for profile in PROFILES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
