"""Distillation (Hinton et al. 2015): the policy learns the probabilities that a teacher gives to the labels.

The teacher is a larger policy, or the advisor: it gave one answer, and how sure it was. TRL's own trainer of this
matches a teacher on what the student says, token by token; a decision is one token after a prompt that stands fixed,
so nothing is sampled, and the divergence is computed from the teacher's probabilities.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.learning import soft
from training.learning.cases import Case, advised
from training.learning.trainer import Lesson, Setup, by_label

JUDGED = False


def takes(case: Case, teacher: Path | None) -> bool:
    """A policy that teaches has something to say to every question, an advisor to those that it was asked."""
    return teacher is not None or bool(advised(case.logged))


def weight(case: Case) -> float:
    return 1.0


def row(lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
    return soft.row(lesson.prompt.ids, lesson.teacher)


def divergence(logs: Tensor, begun: Tensor, teacher: Tensor) -> Tensor:
    """Kullback and Leibler's, of the teacher from the policy. See `soft.Loss`."""
    apart: Tensor = torch.special.xlogy(teacher, teacher) - teacher * logs.masked_fill(teacher == 0, 0.0)
    return apart.sum(1)


def score(logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """Minus the divergence from the teacher."""
    return -divergence(logs, logs, by_label([lesson.teacher for lesson in lessons]))


def trainer(setup: Setup) -> soft.Trainer:
    return soft.trainer(setup, divergence)
