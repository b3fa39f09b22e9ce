"""Group relative policy optimisation (Shao et al. 2024) on prompts of logged decisions.

The policy answers each prompt several times, among the offered labels alone, and what an answer is rewarded with is the
doubly robust estimate of its reward (training/ope/outcome.py): the log knows what came of one candidate only.

The advantage of an answer is its reward less the mean of the answers to the same prompt, not divided by their spread:
dividing makes a difference of nothing as large as one that matters (Liu et al. 2025). With `exact` nothing is sampled:
over a few labels the expected reward is a sum, and its gradient is known.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from training.learning import soft
from training.learning.cases import Case
from training.learning.head import answer_logs
from training.learning.trainer import Lesson, OverLabels, Setup, bare, by_label, padded


class Trainer(OverLabels, GRPOTrainer):  # type: ignore[misc]
    """TRL's, over the labels. An answer is one token, so a prompt is read once for all its answers."""

    def __init__(self, setup: Setup, **kwargs: Any) -> None:
        super().__init__(setup, **kwargs)
        self._labels = torch.tensor(setup.policy.labels, device=self.args.device)

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **kwargs: Any
    ) -> tuple[list[list[int]], None]:
        device = self._labels.device
        once = {tuple(ids): row for row, ids in enumerate(dict.fromkeys(map(tuple, prompt_ids)))}
        tokens, attended = padded(list(once))
        with torch.no_grad():
            last = attended.sum(1) - 1
            model = bare(self.accelerator.unwrap_model(self.model))
            logs = answer_logs(model, tokens.to(device), attended.to(device), last.to(device), self._labels)
        shares = logs.exp()[[once[tuple(ids)] for ids in prompt_ids]]
        drawn = torch.multinomial(shares, 1)
        return self._labels[drawn].tolist(), None


JUDGED = True


def takes(case: Case, teacher: Path | None) -> bool:
    return True


def weight(case: Case) -> float:
    return 1.0


def row(lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
    exact = soft.row(lesson.prompt.ids, lesson.robust, lesson.begun)
    return exact | {"prompt": lesson.prompt.text, "rewards": list(lesson.robust), "labels": list(labels)}


def score(logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """The doubly robust estimate of the reward that is to be expected of the policy's answer."""
    return (logs.exp() * by_label([lesson.robust for lesson in lessons])).sum(1)


def rewarded(
    completion_ids: Sequence[Sequence[int]], rewards: Sequence[Any], labels: Any, **kwargs: Any
) -> list[float]:
    """Of each answer, as TRL asks for it."""
    return [
        float(each[known.index(answer)]) for (answer,), each, known in zip(completion_ids, rewards, labels, strict=True)
    ]


def expected(beta: float) -> soft.Loss:
    """What sampling estimates: minus the expected reward, and `beta` times the divergence from the beginning."""

    def loss(logs: Tensor, begun: Tensor, rewards: Tensor) -> Tensor:
        shares = logs.exp()
        moved = logs.masked_fill(shares == 0, 0.0) - begun
        return (shares * (beta * moved - rewards)).sum(1)

    return loss


def trainer(setup: Setup) -> Any:
    if setup.course.exact:
        return soft.trainer(setup, expected(setup.course.beta))
    answers = setup.course.answers
    rows = setup.arguments["per_device_train_batch_size"] * answers
    together = {"per_device_train_batch_size": rows, "per_device_eval_batch_size": rows}
    arguments = GRPOConfig(
        **setup.arguments | together,
        num_generations=answers,
        max_completion_length=1,
        beta=setup.course.beta,
        loss_type="dr_grpo",
        scale_rewards="none",
        shuffle_dataset=False,
        remove_unused_columns=False,
    )
    return Trainer(setup, args=arguments, reward_funcs=rewarded)
