"""The embedded policy, asked about simulated questions, and calibrated by what came of them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from federation.errors import Refused
from federation.policy import calibration
from federation.policy.calibration import Calibration
from federation.policy.embedded import Embedded
from federation.policy.fitting import Marked, of_policy
from federation.policy.question import Question, Scores
from federation.policy.rendering import render
from tiki.schema import Point
from training.policy.calibrate import scored
from training.scenarios import generate

BATCH = 64
PATIENCE = 60.0  # seconds that an engine in this process has for a batch

CALIBRATED_ON = 6000
"""Questions of each of the two splits of each point. Of 5,000 taken alone 4 % wrong show that at most 4.6 % are
wrong in truth; of 800, 5.5 %, which is no longer what the specs ask."""


def batched(engine: Embedded, point: Point) -> Callable[[Sequence[Question]], list[Scores]]:
    """Answers many questions of a point, a batch at a time."""

    async def answer(questions: Sequence[Question]) -> list[Scores]:
        prompts = [render(point, question) for question in questions]
        parts = [prompts[at : at + BATCH] for at in range(0, len(prompts), BATCH)]
        return [scores for part in parts for scores in await engine.score(part, PATIENCE)]

    return lambda questions: asyncio.run(answer(questions))


def calibrated(folder: Path, count: int, shown: Callable[[int, int], None]) -> Calibration:
    """Calibrates the policy of a folder at all points that it knows, and keeps that beside it. count: questions of each
    of the two splits. Each calibration of one policy has questions of its own, and a part of the error that all of
    them together may have.

    Raises Refused where the folder is no whole policy.
    """
    engine = Embedded(folder)
    path = folder / "calibration.json"
    try:
        before = calibration.load(path, engine.version)
    except Refused:  # none, or of another policy
        before = None
    names = [name for name in generate.points() if name in engine.card.points]
    found: dict[str, tuple[int, Marked, Marked]] = {}
    for done, name in enumerate(names):
        shown(done, len(names))
        scenario = generate.scenario(name)
        point = scenario.point.schema
        times = before.points[name].times if before is not None and name in before.points else 0
        answer = batched(engine, point)
        splits = [
            list(scenario.examples(split, count, start=times * count, completions=1))
            for split in ("temperature", "threshold")
        ]
        fitting, testing = (
            scored(examples, answer([example.question for example in examples]), scenario.world.epsilon)
            for examples in splits
        )
        found[name] = point.version, fitting, testing
    shown(len(names), len(names))
    asyncio.run(engine.close())
    made = of_policy(engine.version, generate.digest(), found, before)
    calibration.save(made, path)
    return made
