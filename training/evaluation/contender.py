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
from federation.policy.calibration import PointCalibration
from federation.policy.embedded import Embedded
from federation.policy.question import Question
from federation.policy.rendering import render
from tiki.schema import Point
from training.evaluation.bench import Many
from training.evaluation.bootstrap import Numbers
from training.policy.embedded import batched

ALONE = 200
"""Questions that are timed one by one."""


class Contender(NamedTuple):
    """calibrated: digest of what made the questions that it was calibrated on; empty: it is not. points: what it may
    decide alone where, by point."""

    name: str
    version: str
    calibrated: str
    points: Mapping[str, PointCalibration]
    engine: Embedded

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


@contextmanager
def opened(folder: Path) -> Iterator[Contender]:
    """Raises Refused where there is no whole policy, and where its calibration is damaged or another one's."""
    engine = Embedded(folder)
    try:
        known = calibration.load(folder / "calibration.json", engine.version)
    except Refused as refused:
        if refused.code != "calibration_missing":
            raise
        known = calibration.Calibration(engine.version, "", {})
    try:
        yield Contender(folder.resolve().name, engine.version, known.data, known.points, engine)
    finally:
        asyncio.run(engine.close())
