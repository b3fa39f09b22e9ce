"""A policy of a folder, as something that answers questions."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from federation.errors import Refused
from federation.policy import calibration
from federation.policy.calibration import Calibration, PointCalibration
from federation.policy.embedded import Embedded
from federation.policy.question import Question
from federation.policy.rendering import render
from tiki.schema import Point
from training.evaluation.bench import Many
from training.evaluation.bootstrap import Numbers
from training.evaluation.result import Answers, AtPoint, Evaluation, Reached, Source
from training.policy.embedded import batched

ALONE = 200
"""Questions that are timed one by one."""


class Contender(NamedTuple):
    """calibration: one of no point, and of no data, where it is not calibrated."""

    name: str
    version: str
    calibration: Calibration
    engine: Embedded

    @property
    def calibrated(self) -> str:
        """Digest of what made the questions that it was calibrated on; empty: it is not."""
        return self.calibration.data

    @property
    def points(self) -> Mapping[str, PointCalibration]:
        """What it may decide alone where, by point."""
        return self.calibration.points

    def outdated(self, generator: str) -> bool:
        """Whether it was calibrated on simulated questions of another generator than this one. generator: digest."""
        return self.calibration.source == "simulated" and self.calibrated not in ("", generator)

    def answers(self, point: Point) -> Many:
        return batched(self.engine, point)

    def took(self, point: Point, questions: Sequence[Question]) -> Numbers:
        """Milliseconds of the first ALONE questions, each asked alone."""
        answer, found = self.answers(point), []
        for question in questions[:ALONE]:
            began = time.perf_counter()
            answer([question])
            found.append(1000 * (time.perf_counter() - began))
        return np.array(found)

    def read(self, point: Point, questions: Sequence[Question]) -> Numbers:
        """Tokens of each question."""
        return np.array(self.engine.lengths([render(point, question) for question in questions]), float)

    def evaluation(
        self, source: Source, at: str, overall: Reached, points: dict[str, AtPoint], answers: dict[str, Answers]
    ) -> Evaluation:
        """What it reached, to be kept. at: the time, RFC 3339. points, answers: by point."""
        return Evaluation(
            policy=self.version,
            name=self.name,
            at=at,
            source=source,
            calibrated=self.calibrated,
            overall=overall,
            points=points,
            answers=answers,
        )


@contextmanager
def opened(folder: Path) -> Iterator[Contender]:
    """Raises Refused where there is no whole policy, and where its calibration is damaged or another one's."""
    engine = Embedded(folder)
    try:
        known = calibration.load(folder / "calibration.json", engine.version)
    except Refused as refused:
        if refused.code != "calibration_missing":
            raise
        known = Calibration(engine.version, "", {})
    try:
        yield Contender(folder.resolve().name, engine.version, known, engine)
    finally:
        asyncio.run(engine.close())
