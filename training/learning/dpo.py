"""Direct preference optimisation (Rafailov et al. 2023): what an operator or an advisor decided over what the policy
would have.

The two answers stand in one prompt, so their difference does not hang on what else is offered.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trl import DPOConfig, DPOTrainer

from training.learning.cases import Case
from training.learning.trainer import Lesson, OverLabels, Setup


class Trainer(OverLabels, DPOTrainer):  # type: ignore[misc]
    """TRL's, over the labels."""


JUDGED = False


def takes(case: Case, teacher: Path | None) -> bool:
    return case.logged.overridden


def weight(case: Case) -> float:
    return 1.0


def row(lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
    logged = lesson.prompt.logged
    assert logged.preferred is not None, "an override without a preference"
    return {
        "prompt_ids": lesson.prompt.ids,
        "chosen_ids": [labels[logged.choice]],
        "rejected_ids": [labels[logged.preferred]],
    }


def score(logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """The logarithm of the probability of the answer that stood, given that it is one of the two."""
    rows = torch.arange(len(lessons))
    chosen = logs[rows, torch.tensor([lesson.prompt.logged.choice for lesson in lessons])]
    rejected = logs[rows, torch.tensor([lesson.prompt.logged.preferred for lesson in lessons])]
    return torch.nn.functional.logsigmoid(chosen - rejected)


def trainer(setup: Setup) -> Trainer:
    return Trainer(setup, args=DPOConfig(**setup.arguments, beta=setup.course.beta, max_length=setup.preset.length))
