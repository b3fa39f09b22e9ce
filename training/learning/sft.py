"""Supervised fine-tuning: the policy learns to answer as was answered where that came to good, and as operators did.

A cross entropy over the labels. What the policy itself took counts the more the less likely it was taken, or the
training would only repeat the policy's habits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trl import SFTConfig, SFTTrainer

from training.learning.cases import Case
from training.learning.cases import weight as counted
from training.learning.head import IGNORED
from training.learning.trainer import Lesson, OverLabels, Setup, taken_as_is

OPERATOR = "operator"


class Trainer(OverLabels, SFTTrainer):  # type: ignore[misc]
    """TRL's, over the labels."""


JUDGED = True


def takes(case: Case, teacher: Path | None) -> bool:
    """What an operator decided is right unless its outcome says otherwise."""
    return bool(case.good) or (case.logged.tier == OPERATOR and case.good is None)


def weight(case: Case) -> float:
    return counted(case.logged)


def row(lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
    ids = lesson.prompt.ids
    answer = labels[lesson.prompt.logged.choice]
    return {"input_ids": [*ids, answer], "labels": [*[IGNORED] * len(ids), answer]}


def score(logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """The logarithm of the probability of the good answer, of each as often as it counts."""
    counts = torch.tensor([counted(lesson.prompt.logged) for lesson in lessons])
    said = logs[torch.arange(len(lessons)), torch.tensor([lesson.prompt.logged.choice for lesson in lessons])]
    return said * counts / counts.mean()


def trainer(setup: Setup) -> Trainer:
    return Trainer(setup, args=SFTConfig(**setup.arguments, **taken_as_is(setup.preset)))
