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

import msgspec

from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy import calibration
from federation.policy.audit import ABOVE
from federation.policy.calibration import Calibration
from federation.policy.embedded import Embedded
from federation.policy.fitting import Marked, marked, of_policy
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


def halves(data: Sequence[DataSet], learned: str, point: str) -> tuple[list[Logged], list[Logged]]:
    """What is fitted on and what is tested on. learned: digest of the data set that the policy learned from; of the
    others every second question is fitted on."""
    fitting, testing, fresh = list[Logged](), list[Logged](), list[Logged]()
    for one in data:
        mine = [[each for each in split if each.point == point] for split in (one.train, one.validation, one.test)]
        if one.digest == learned:
            every = fair(sorted((each for split in mine for each in split), key=_time))
            chosen = {each.decision for each in every}
            fitting += [each for each in mine[1] if each.decision in chosen]
            testing += [each for each in mine[2] if each.decision in chosen]
        else:
            fresh += fair(sorted((each for split in mine for each in split), key=_time))
    return fitting + fresh[::2], testing + fresh[1::2]


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
        fitting, testing = halves(data, str(engine.card.data.get("digest", "")), point.name)
        current = [[one for one in half if one.version == point.schema.version] for half in (fitting, testing)]
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
