"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024): answers that came to good are made likelier than they were at
the start, answers that came to bad less likely.

The paper estimates how far the policy has moved by pairing prompts with answers to others. Over a few labels that
distance is known exactly, so it is computed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trl import KTOConfig, KTOTrainer

from training.learning.cases import Case
from training.learning.cases import weight as counted
from training.learning.head import answer_logs
from training.learning.trainer import Lesson, OverLabels, Setup, bare, by_label

BETA = 0.1
"""Of the score, whatever a preset trains with: scores of two trainings can be compared."""

_SHARES = "shares"


class Trainer(OverLabels, KTOTrainer):  # type: ignore[misc]
    """TRL's, over the labels."""

    def __init__(self, setup: Setup, **kwargs: Any) -> None:
        super().__init__(setup, **kwargs)
        self._labels = torch.tensor(setup.policy.labels, device=self.args.device)

    def _compute_kl_logps(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """The mean of the logarithms that this model gives to answers of the policy, over all its answers. TRL asks
        for the policy first, then for what it began as: the difference is the divergence."""
        prompt = batch["attention_mask"] * (1 - batch["completion_mask"])
        with torch.no_grad():
            logs = answer_logs(bare(model), batch["input_ids"] * prompt, prompt, prompt.sum(1) - 1, self._labels)
        shares = batch.setdefault(_SHARES, logs.exp())
        return (shares * logs.masked_fill(shares == 0, 0.0)).sum(1)


JUDGED = True


def takes(case: Case, teacher: Path | None) -> bool:
    return case.good is not None


def weight(case: Case) -> float:
    return counted(case.logged)


def row(lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
    answer = [labels[lesson.prompt.logged.choice]]
    return {"prompt_ids": lesson.prompt.ids, "completion_ids": answer, "label": bool(lesson.good)}


def score(logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """The value of the paper's equation 8 at BETA, which is 0.5 at the start: above it where good answers have become
    likelier and bad ones less likely, of each as often as it counts."""
    rows = torch.arange(len(lessons))
    begun = by_label([lesson.begun for lesson in lessons])
    moved = logs.masked_fill(torch.isinf(logs), 0.0) - begun
    distance = (logs.exp() * moved).sum(1).mean()
    ahead = moved[rows, torch.tensor([lesson.prompt.logged.choice for lesson in lessons])] - distance
    signs = torch.tensor([1.0 if lesson.good else -1.0 for lesson in lessons])
    counts = torch.tensor([counted(lesson.prompt.logged) for lesson in lessons])
    return (BETA * signs * ahead).sigmoid() * counts / counts.mean()


def trainer(setup: Setup) -> Trainer:
    return Trainer(setup, args=KTOConfig(**setup.arguments, beta=setup.course.beta, max_length=setup.preset.length))
