"""Calibrates a policy on what people and advisors answered: what is right in the world that is there now.

Whom a question went to hung on another policy, so not every answer is a fair sample of the questions. Three kinds are
used: all answers of a time in which that policy might decide nothing alone, so that every question went up; answers to
questions that were drawn for a check; and of those that went up because it was not sure, a random part as large as the
part of the sure ones that was drawn. So each question was as likely to be here as any other of its time.

What the policy learned from is left out. On the split `validation`, by which its training ended, confidences are
fitted, for that needs no promise; thresholds are tested on questions that it never met.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy import calibration
from federation.policy.audit import ABOVE
from federation.policy.calibration import Calibration
from federation.policy.embedded import Embedded
from federation.policy.fitting import Marked, marked, of_policy
from tiki.schema import Point
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.dataset.store import DataSet
from training.policy.embedded import batched


def fair(examples: Iterable[Logged]) -> list[Logged]:
    """Those that together are a fair sample of the questions. examples: of one point, in the order of time. Which of
    the unsure ones stay hangs on their ids, and on nothing else."""
    known = list(examples)
    sure = [one for one in known if one.tier == CHOSEN_BY_POLICY or one.why == "drawn"]
    share = sum(one.why == "drawn" for one in sure) / len(sure) if sure else 0.0
    return [
        one
        for one in known
        if one.tier in ABOVE
        and (one.why in ("all", "drawn") or (one.why == "unsure" and int(one.decision[:8], 16) < share * 2**32))
    ]


class Answers(NamedTuple):
    """Fair samples of questions of one point, in the order of time, and no decision twice. validation: by which the
    policy's training ended; test: that its data set held back; fresh: of other data sets, which it never met."""

    validation: list[Logged]
    test: list[Logged]
    fresh: list[Logged]


def answers(data: Iterable[DataSet], learned: str, point: Point) -> Answers:
    """learned: digest of the data set that the policy learned from. What that one has is not fresh in another one."""
    own, other = list[DataSet](), list[DataSet]()
    for one in data:
        (own if one.digest == learned else other).append(one)
    found = Answers([], [], [])
    seen = {_id(each) for one in own for each in (*one.train, *one.validation, *one.test)}
    for one in own[:1]:
        chosen = {_id(each) for each in _fair(one, point)}
        for kept, split in ((found.validation, one.validation), (found.test, one.test)):
            kept += sorted((each for each in split if _id(each) in chosen), key=_time)
    for one in other:
        new = [each for each in _fair(one, point) if _id(each) not in seen]
        found.fresh.extend(new)
        seen |= {_id(each) for each in new}
    return found


def _fair(data: DataSet, point: Point) -> list[Logged]:
    every = (*data.train, *data.validation, *data.test)
    mine = (one for one in every if (one.point, one.version) == (point.name, point.version))
    return fair(sorted(mine, key=_time))


def _id(example: Logged) -> tuple[str, int]:
    return example.decision, example.attempt


def halves(data: Iterable[DataSet], learned: str, point: Point) -> tuple[list[Logged], list[Logged]]:
    """What is fitted on and what is tested on; of what is fresh every second question is fitted on."""
    known = answers(data, learned, point)
    return known.validation + known.fresh[::2], known.test + known.fresh[1::2]


def calibrated(
    folder: Path,
    data: Sequence[DataSet],
    points: Iterable[DecisionPoint],
    shown: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Calibrates the policy of a folder at those of the points that the data sets know, and keeps that beside it.

    Raises Refused where the folder is no whole policy, and where it was calibrated before: what is left of these
    questions has been seen.
    """
    engine = Embedded(folder)
    path = folder / "calibration.json"
    if path.exists() and calibration.load(path, engine.version).points:
        cure = "a policy that is in use is calibrated anew by `ulm.calibration`"
        raise Refused("calibrated", "it was calibrated before", place=str(path), cure=cure)
    there = {each.point for one in data for split in (one.train, one.validation, one.test) for each in split}
    names = [point for point in points if point.name in there]
    found: dict[str, tuple[int, Marked, Marked]] = {}
    for done, point in enumerate(names):
        shown(done, len(names))
        answer = batched(engine, point.schema)
        current = halves(data, str(engine.card.data.get("digest", "")), point.schema)
        said = [answer([one.question for one in half]) for half in current]
        first, second = (marked(s, [right(one) for one in half]) for s, half in zip(said, current, strict=True))
        found[point.name] = point.schema.version, first, second
    shown(len(names), len(names))
    asyncio.run(engine.close())
    made = of_policy(engine.version, "+".join(one.digest for one in data), found)
    made = msgspec.structs.replace(made, source="answered")
    calibration.save(made, path)
    return made


def right(example: Logged) -> list[bool]:
    """By candidate. An answer that came to nothing was not right after all (as in federation/policy/evidence.py)."""
    failed = example.reward is not None and example.reward <= 0
    return [index == example.choice and not failed for index in range(len(example.question.candidates))]


def _time(example: Logged) -> tuple[int, str]:
    return example.at, example.decision
