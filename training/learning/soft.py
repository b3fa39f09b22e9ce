"""A trainer whose loss needs a value for every label, not one answered token: a teacher's probabilities, or rewards."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from trl import SFTConfig, SFTTrainer

from federation.policy.question import LABELS
from training.learning.head import answer_logs
from training.learning.trainer import OverLabels, Setup, bare, padded, taken_as_is

VALUES = "values"

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of the log-probabilities of the policy, those of the policy that one began with, and the values; each rows x LABELS.
Returns rows."""


class Trainer(OverLabels, SFTTrainer):  # type: ignore[misc]
    """TRL's supervised one with such a loss."""

    def __init__(self, setup: Setup, loss: Loss, **kwargs: Any) -> None:
        super().__init__(setup, **kwargs)
        self._labels = torch.tensor(setup.policy.labels, device=self.args.device)
        self._loss = loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        logs = self._logs(inputs)
        loss = self._loss(logs, inputs["begun"], inputs[VALUES]).mean()
        return (loss, None) if return_outputs else loss

    def _logs(self, inputs: dict[str, Tensor]) -> Tensor:
        attended = inputs["attention_mask"]
        model = bare(self.accelerator.unwrap_model(self.model))
        return answer_logs(model, inputs["input_ids"], attended, attended.sum(1) - 1, self._labels)


def row(ids: list[int], values: Sequence[float], begun: Sequence[float] = ()) -> dict[str, Any]:
    """values, begun: of the candidates, in the order of the prompt."""
    blank = [0.0] * len(LABELS)
    return {"input_ids": ids, VALUES: [*values, *blank][: len(LABELS)], "begun": [*begun, *blank][: len(LABELS)]}


def trainer(setup: Setup, loss: Loss) -> Trainer:
    arguments = SFTConfig(**setup.arguments, **taken_as_is(setup.preset), remove_unused_columns=False)
    return Trainer(setup, loss, args=arguments, data_collator=_collate)


def _collate(rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    tokens, attended = padded([row["input_ids"] for row in rows])
    given = {name: torch.tensor([row[name] for row in rows]) for name in (VALUES, "begun")}
    return {"input_ids": tokens, "attention_mask": attended, **given}
