"""A log to learn from: the shipped policy decided in a world that had changed under it."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.policy.embedded import Embedded
from federation.policy.question import Question, Scores
from federation.policy.rendering import render
from federation.policy.tier import SHIPPED
from training.dataset.drift import drifted
from training.dataset.example import Advice, Logged
from training.dataset.simulated import logged
from training.dataset.store import Recipe, write
from training.evaluation.bench import Many
from training.learning import preset as presets
from training.learning.cases import Judged
from training.learning.labels import Prompt
from training.learning.policy import Policy
from training.learning.preset import Course, Preset
from training.learning.run import judge
from training.learning.trainer import logs_of
from training.policy.defaults import regret
from training.policy.embedded import batched
from training.scenarios.generate import scenario
from training.scenarios.scenario import Example, Scenario

POINT = "urm.resource_pressure"
HELD = 201


@cache
def world() -> Scenario:
    """Moving a job has become dear."""
    return drifted(scenario(POINT), {"migrate": -0.5})


@cache
def log(count: int = 700) -> tuple[Logged, ...]:
    """Every third question was decided by an operator, every third by an advisor, both always in the best way."""
    examples = list(world().examples("train", count))
    by_policy = logged(world(), examples, shipped(), explore=0.3)
    pairs = zip(examples, by_policy, strict=True)
    return tuple(_decided(number, example, one) for number, (example, one) in enumerate(pairs))


def _decided(number: int, example: Example, by_policy: Logged) -> Logged:
    if number % 3 == 0:
        return by_policy
    best = max(range(len(example.right)), key=example.right.__getitem__)
    above: dict[str, Any] = {"choice": best, "reward": example.outcomes[0][best], "propensities": ()}
    if number % 3 == 1:
        return msgspec.structs.replace(by_policy, tier="operator", **above)
    return msgspec.structs.replace(by_policy, tier="advisor", advice=Advice("simulated", best, 0.9), **above)


def shipped() -> Many:
    return served(SHIPPED)


def served(folder: Path) -> Many:
    return batched(Embedded(folder, 1), world().point.schema)


def splits(count: int = 700) -> tuple[tuple[Logged, ...], tuple[Logged, ...]]:
    """To learn from, and to validate on."""
    return log(count)[:-HELD], log(count)[-HELD:]


@cache
def judged(method: str) -> Judged:
    """What a method knows of it; the outcome models are fitted once for all methods."""
    return _with_outcomes() if method in ("sft", "kto", "grpo") else judge(method, quick(), *splits())


@cache
def _with_outcomes() -> Judged:
    return judge("sft", quick(), *splits())


def data_set(out: Path, count: int = 700) -> Path:
    learned, held = splits(count)
    recipe = Recipe({POINT: world().point.schema.version})
    return write(out, recipe, {"train": learned, "validation": held, "test": ()})


def quick() -> Preset:
    """Some steps on few rows."""
    course = Course(passes=1, batch=32, rate=1e-3, beta=0.02, answers=4)
    every: dict[str, Any] = dict.fromkeys(presets.METHODS, course)
    return presets.load("mini").model_copy(update={**every, "rows": 32, "patience": 9})


@cache
def fresh(count: int = 250) -> tuple[Example, ...]:
    """Questions that nothing was learned from."""
    return tuple(world().examples("test", count, completions=8))


def regrets(answer: Many) -> NDArray[np.float64]:
    return regret(fresh(), answer)


def answers(policy: Policy) -> Many:
    """Of a policy as it is in training, without writing it out."""

    def answer(questions: Sequence[Question]) -> list[Scores]:
        texts = [render(world().point.schema, question).text for question in questions]
        prompts = [Prompt(policy.tokenizer(text)["input_ids"], text, (), log()[0]) for text in texts]
        counts = [len(question.candidates) for question in questions]
        return [tuple(row[:count]) for row, count in zip(logs_of(policy, prompts, 64).tolist(), counts, strict=True)]

    return answer
