"""What the trainers of all methods have in common, around TRL's own: the head over labels, validation, and arguments.

A method is a module: which decisions it learns from, a row of each for its trainer, and its score, by which the best
weights are chosen and by which it is seen whether it got better.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor
from transformers import TrainerCallback

from federation.policy.question import LABELS
from training.learning.cases import Case
from training.learning.head import answer_logs, restrict
from training.learning.labels import Prompt
from training.learning.policy import Policy
from training.learning.preset import Course, Preset

if TYPE_CHECKING:
    from datasets import Dataset

SCORE = "eval_score"
METRICS = "metrics.jsonl"

Figures = Callable[[int, dict[str, float]], None]
"""Takes a step, and what was measured there."""


class Seen(NamedTuple):
    """How far a training is. share: done, 0 to 1. loss: of the last steps. score: on the split `validation`, when last
    looked at; higher is better."""

    step: int
    share: float
    loss: float
    score: float


class Lesson(NamedTuple):
    """A prompt to learn from. Candidates of `prompt` stand in its order, and so do the values here: robust, see `Case`;
    teacher: probabilities, where the method has a teacher. begun: log-probabilities by the policy that one begins
    with."""

    prompt: Prompt
    robust: tuple[float, ...]
    good: bool | None
    teacher: tuple[float, ...]
    begun: tuple[float, ...]


class Setup(NamedTuple):
    """Of one training. train, validation: lessons in the order in which they are taken. arguments: of the trainer's
    configuration, beside those of the method. adapter: PEFT's configuration of an adapter; None: all weights are
    trained."""

    policy: Policy
    preset: Preset
    course: Course
    train: "Dataset"
    validation: "Dataset"
    scored: Callable[[], float]
    arguments: dict[str, Any]
    callbacks: list[TrainerCallback]
    adapter: Any


class Method(Protocol):
    """A module of this folder."""

    JUDGED: bool
    """It learns from outcomes."""

    def takes(self, case: Case, teacher: Path | None) -> bool:
        """Whether there is something to learn from this decision. teacher: folder of a policy; None: none teaches."""
        ...

    def weight(self, case: Case) -> float:
        """How often it is seen, beside others."""
        ...

    def row(self, lesson: Lesson, labels: Sequence[int]) -> dict[str, Any]:
        """For the trainer's data set. labels: tokens of LABELS."""
        ...

    def score(self, logs: Tensor, lessons: Sequence[Lesson]) -> Tensor:
        """Of each lesson; higher is better. logs: of the labels, rows x LABELS. Returns rows."""
        ...

    def trainer(self, setup: Setup) -> Any:
        """TRL's trainer of the method."""
        ...


class OverLabels:
    """Before a trainer of TRL among the bases: it works over the offered labels, its rows are tokens already, and it
    validates by the score of the method."""

    model: Any
    args: Any
    state: Any
    control: Any
    callback_handler: Any

    def __init__(self, setup: Setup, **kwargs: Any) -> None:
        super().__init__(  # type: ignore[call-arg]
            model=setup.policy.model,
            train_dataset=setup.train,
            eval_dataset=setup.validation,
            processing_class=setup.policy.tokenizer,
            callbacks=setup.callbacks,
            peft_config=setup.adapter,
            **kwargs,
        )
        self._scored = setup.scored
        for model in (self.model, getattr(self, "ref_model", None)):
            if model is not None:
                restrict(bare(model), setup.policy.labels)

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """What came about stands in the policy's card."""

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        metrics = {SCORE: self._scored()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)  # type: ignore[misc]


def taken_as_is(preset: Preset) -> dict[str, Any]:
    """For TRL's supervised trainer: its rows are tokens already."""
    return {"max_length": preset.length, "dataset_kwargs": {"skip_prepare_dataset": True}}


def bare(model: Any) -> Any:
    """The model of transformers, without the adapter around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def logs_of(policy: Policy, prompts: Sequence[Prompt], rows: int) -> Tensor:
    """Log-probabilities of the labels, over the offered ones: prompts x LABELS, float32, on the processor. rows: that
    go through the network together."""
    model = bare(policy.model)
    device = next(model.parameters()).device
    labels = torch.tensor(policy.labels, device=device)
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at].ids))
    found = torch.empty(len(prompts), len(LABELS))
    learns = policy.model.training
    policy.model.eval()
    with torch.no_grad():
        for begin in range(0, len(order), rows):
            part = order[begin : begin + rows]
            tokens, attended = padded([prompts[at].ids for at in part])
            last = attended.sum(1) - 1
            logs = answer_logs(model, tokens.to(device), attended.to(device), last.to(device), labels)
            found[part] = logs.cpu()
    policy.model.train(learns)
    return found


def padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """tokens, attended: rows x the longest, padded behind."""
    longest = max(map(len, ids))
    tokens = torch.zeros(len(ids), longest, dtype=torch.int64)
    attended = torch.zeros(len(ids), longest, dtype=torch.int64)
    for row, each in enumerate(ids):
        tokens[row, : len(each)] = torch.tensor(each)
        attended[row, : len(each)] = 1
    return tokens, attended


def by_label(values: Sequence[Sequence[float]]) -> Tensor:
    """Rows x LABELS, 0 where no candidate is."""
    return torch.tensor([[*each, *[0.0] * (len(LABELS) - len(each))] for each in values])


class Watch(TrainerCallback):
    """Tells of the progress, and writes every figure to a line of METRICS: the step, and what was measured."""

    def __init__(self, folder: Path, shown: Callable[[Seen], None], figures: Figures) -> None:
        self._path = folder / METRICS
        self._shown, self._figures = shown, figures
        self._seen = Seen(0, 0.0, 0.0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What an interrupted training wrote after the checkpoint from which it goes on comes once more."""
        lines = list(self._lines()) if state.global_step and self._path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        self._path.write_text("".join(kept), "utf-8")

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        figures = {name: value for name, value in kwargs["logs"].items() if isinstance(value, int | float)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step} | figures) + "\n")
        self._figures(state.global_step, figures)
        self._seen = self._seen._replace(
            loss=figures.get("loss", self._seen.loss), score=figures.get(SCORE, self._seen.score)
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._seen = self._seen._replace(step=state.global_step, share=state.global_step / max(state.max_steps, 1))
        self._shown(self._seen)

    def _lines(self) -> Iterator[str]:
        with self._path.open(encoding="utf-8") as file:
            yield from (line for line in file if line.endswith("\n"))
