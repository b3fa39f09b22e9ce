"""The series that ULM watches: means over a minute, a detector for far values and one for moved levels each."""

from collections.abc import Iterator
from typing import NamedTuple

from federation.clock import SECOND
from managers.ulm.detectors import Anomaly, Shift, confidence_of

STEP = 60 * SECOND  # the spacing of values: figures of a few seconds are too nervous and too alike to learn from
SERIES = 200  # watched at once, at most; full after 3.5 days, they take 170 kB each
SILENT = 3600 * SECOND  # after which a series makes room for another
RESOLUTION = 1.0  # all series are in percent: what differs by less than this is the same
ALARM = 4.7  # the score that did best on the Numenta Anomaly Benchmark, see docs/learning.md


class Finding(NamedTuple):
    """magnitude, confidence: percent. duration: seconds. See the facts of ulm.suggestion."""

    finding: str
    subject: str
    kind: str
    confidence: float
    score: float | None
    magnitude: float | None
    samples: int
    duration: float


class Series:
    """One series, in percent."""

    def __init__(self, subject: str, kind: str, now: int) -> None:
        self.subject, self.kind = subject, kind
        self.at = now
        self._ends = now + STEP
        self._sum, self._count = 0.0, 0
        self._anomaly = Anomaly(resolution=RESOLUTION)
        self._shift = Shift()

    def add(self, value: float, now: int) -> Iterator[Finding]:
        """A sample; at the end of a minute, what its mean gives away."""
        self.at = now
        if now >= self._ends and self._count:
            yield from self._update(self._sum / self._count)
            self._ends, self._sum, self._count = now + STEP, 0.0, 0
        self._sum += value
        self._count += 1

    def _update(self, mean: float) -> Iterator[Finding]:
        score = self._anomaly.update(mean)
        if score >= ALARM:
            sure, samples = confidence_of(score), self._anomaly.samples
            yield Finding("anomaly", self.subject, self.kind, sure, score, None, samples, STEP / SECOND)
        move = self._shift.update(mean)
        if move is not None:
            lasting = move.lasting * STEP / SECOND
            yield Finding(
                "drift", self.subject, self.kind, move.confidence, None, move.magnitude, move.samples, lasting
            )


class Watch:
    """All series, by subject and kind. `left_out`: series that found no room and are not watched."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._series)

    def add(self, subject: str, kind: str, value: float, now: int) -> Iterator[Finding]:
        series = self._series.get((subject, kind))
        if series is None:
            if len(self._series) >= SERIES:
                self._make_room(now)
            if len(self._series) >= SERIES:
                self.left_out += 1
                return
            series = self._series[subject, kind] = Series(subject, kind, now)
        yield from series.add(value, now)

    def _make_room(self, now: int) -> None:
        for key in [key for key, series in self._series.items() if now - series.at > SILENT]:
            del self._series[key]
