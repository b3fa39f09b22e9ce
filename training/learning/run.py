"""A training from a data set to better weights: read it from top to bottom."""

import fcntl
import importlib
import importlib.util
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import torch
import transformers
from datasets import Dataset, disable_progress_bars
from threadpoolctl import threadpool_limits
from torch import Tensor
from transformers import EarlyStoppingCallback, PrinterCallback

from federation import privatefile
from federation.errors import Refused
from training.dataset.example import Logged
from training.learning import policy as policies
from training.learning.cases import Case, Judged, advised, at_each_point, cases, unjudged
from training.learning.labels import Prompt, prompt
from training.learning.policy import Policy
from training.learning.preset import Preset
from training.learning.trainer import SCORE, Figures, Lesson, Method, Seen, Setup, Watch, logs_of

LEAST = 20
"""Decisions to learn from, and to validate on."""


class Trained(NamedTuple):
    """policy: with the best weights. before, after: score of each decision of the split `validation`, in order, by the
    policy that one began with and by this one. train: decisions that were learned from."""

    policy: Policy
    before: Tensor
    after: Tensor
    train: int
    steps: int
    ended: str


def method(name: str) -> Method:
    """One of METHODS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TRL, on a version of vLLM that is not used here
        return cast("Method", importlib.import_module(f"training.learning.{name}"))


def judge(
    name: str,
    preset: Preset,
    learned: Sequence[Logged],
    held: Sequence[Logged],
    left_out: Callable[[str, str], None] = lambda point, why: None,
) -> Judged:
    """The splits `train` and `validation`, with what a method needs to know of outcomes. left_out: told of each point
    that nothing can be learned of, and why. Raises Refused where there is no other."""
    judged = cases if method(name).JUDGED else unjudged
    with threadpool_limits(preset.threads):  # threads of scikit-learn that wait for a busy core take it from each other
        found, left = at_each_point(judged, learned, held)
    if left and not found[0]:
        said = f"there is no point to learn at: {'; '.join(left.values())}"
        raise Refused("few-outcomes", said, cure="wait for more outcomes, or take a longer time into the data set")
    for point, why in left.items():
        left_out(point, why)
    return found


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raises Refused where another process trains in this folder now. It ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cure = "wait for it (`elias jobs` shows the one that is a job), or name another folder with --out"
            raise Refused("training-now", "a training goes on here already", place=str(folder), cure=cure) from None
        yield


def train(
    name: str,
    preset: Preset,
    start: Path,
    judged: Judged,
    folder: Path,
    shown: Callable[[Seen], None],
    teacher: Path | None = None,
    figures: Figures = lambda step, values: None,
) -> Trained:
    """name: of METHODS. start: folder of the policy to begin with. judged: what there is to learn from, by `judge`.
    folder: for checkpoints and figures; a training that was interrupted goes on from the last checkpoint there.
    teacher: folder of the policy that distillation learns from; None: from what advisors said. figures: told everything
    that is measured, as well as the file.

    Raises Refused where there is too little to learn from, and where another training is under way in `folder`.
    """
    _quiet()
    torch.set_num_threads(preset.threads)
    transformers.set_seed(preset.seed)
    _claim(folder, name, preset, start, judged, teacher)
    taught, course = method(name), preset.course(name)
    known, told = ([case for case in each if taught.takes(case, teacher)] for each in judged)
    for count, split in ((len(known), "train"), (len(told), "validation")):
        if count < LEAST:
            cure = "take a longer time into the data set, or another method"
            said = f"{count} decisions of the split `{split}` fit `{name}`; {LEAST} are needed"
            raise Refused("few-examples", said, cure=cure)
    begin = policies.load(start, preset)
    asks = None if teacher is None else policies.load(teacher, preset)
    lessons = _lessons(begin, _drawn(known, taught, course.times(len(known)), preset.seed), asks, preset.rows)
    asked = _lessons(begin, [(case, None) for case in told], asks, preset.rows)

    def scores() -> Tensor:
        return taught.score(logs_of(begin, [lesson.prompt for lesson in asked], 2 * preset.rows), asked)

    before = scores()
    stop = EarlyStoppingCallback(preset.patience)
    trainer = taught.trainer(
        Setup(
            begin,
            preset,
            course,
            train=Dataset.from_list([taught.row(lesson, begin.labels) for lesson in lessons]),
            validation=Dataset.from_list([taught.row(lesson, begin.labels) for lesson in asked]),
            scored=lambda: float(scores().mean()),
            arguments=arguments(preset, name, folder, len(lessons), fresh=_last(folder) is None),
            callbacks=[stop, Watch(folder, shown, figures)],
            adapter=None if preset.adapter is None else policies.peft(preset.adapter),
        )
    )
    trainer.remove_callback(PrinterCallback)
    begin = begin._replace(model=trainer.model)
    trainer.train(resume_from_checkpoint=_last(folder))
    steps = trainer.state.global_step
    ended = "steps" if steps >= trainer.state.max_steps else f"no better for {preset.patience} validations"
    return Trained(begin, before, scores(), len(known), steps, ended)


def arguments(preset: Preset, name: str, folder: Path, count: int, *, fresh: bool) -> dict[str, Any]:
    """Of every trainer of transformers. One pass over rows that stand in their order already. count: of the rows."""
    course = preset.course(name)
    check = max(1, min(preset.check, count // course.batch // 4))
    together = min(preset.rows, course.batch)
    return {
        "output_dir": str(folder),
        "seed": preset.seed,
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": together,
        "per_device_eval_batch_size": together,
        "gradient_accumulation_steps": course.batch // together,
        "learning_rate": course.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": course.warm_up,
        "weight_decay": preset.decay,
        "optim": "paged_adamw_8bit" if preset.adapter is not None and preset.adapter.four_bit else "adamw_torch",
        "bf16": preset.precision == "bfloat16",
        "use_cpu": preset.cards == 0,
        "gradient_checkpointing": preset.checkpointing,
        "dataloader_pin_memory": preset.cards > 0,
        "eval_strategy": "steps",
        "eval_steps": check,
        "eval_on_start": fresh,
        "save_strategy": "steps",
        "save_steps": check,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": SCORE,
        "greater_is_better": True,
        "restore_callback_states_from_checkpoint": True,
        "logging_steps": max(1, check // 4),
        "report_to": _reports(),
        "disable_tqdm": True,
    }


def _claim(folder: Path, name: str, preset: Preset, start: Path, judged: Judged, teacher: Path | None) -> None:
    """So that nothing goes on from the checkpoints of a training of something else."""
    decisions = [(one.logged.decision, one.logged.attempt, one.logged.reward) for each in judged for one in each]
    of = sha256(repr(decisions).encode()).hexdigest()
    where = {"from": str(start.resolve()), "teacher": "" if teacher is None else str(teacher.resolve())}
    said = json.dumps({"method": name, "data": of, **where, "preset": preset.model_dump(mode="json")}, indent=2) + "\n"
    path = folder / "training.json"
    if path.exists() and path.read_text("utf-8") != said:
        cure = "remove the folder to begin anew, or name another one with --out"
        raise Refused("other-training", "another training is under way here", place=str(folder), cure=cure)
    folder.mkdir(parents=True, exist_ok=True)
    privatefile.write(path, said.encode())


def _quiet() -> None:
    """No telemetry, no bars of others, and what transformers has to say only where it matters."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()


def _reports() -> str:
    """TensorBoard's event files where its writer is installed; the lines of `metrics.jsonl` are written always."""
    found = any(importlib.util.find_spec(name) is not None for name in ("tensorboard", "tensorboardX"))
    return "tensorboard" if found else "none"


def _drawn(known: Sequence[Case], taught: Method, passes: int, seed: int) -> Iterator[tuple[Case, Random]]:
    """As many cases as all passes together have, each as often as it counts; with what puts its candidates in order.
    Where all count the same every pass has each of them once."""
    weights = [taught.weight(case) for case in known]
    for number in range(passes):
        random = Random(f"{seed} {number}")
        even = min(weights) == max(weights)
        part = random.sample(known, len(known)) if even else random.choices(known, weights, k=len(known))
        yield from ((case, random) for case in part)


def _lessons(
    learner: Policy, drawn: Iterable[tuple[Case, Random | None]], teacher: Policy | None, rows: int
) -> list[Lesson]:
    pairs = [(case, prompt(learner.tokenizer, case.logged, random)) for case, random in drawn]
    asked = [made for _, made in pairs]
    begun = _of_offered(logs_of(learner, asked, rows), asked)
    if teacher is None:
        taught = [advised(made.logged) for made in asked]
    else:
        read = [prompt(teacher.tokenizer, made.logged, None) for made in asked]
        taught = _of_offered(logs_of(teacher, read, rows).exp(), read)
    return [
        Lesson(made, tuple(case.robust[index] for index in made.order if case.robust), case.good, shares, logs)
        for (case, made), shares, logs in zip(pairs, taught, begun, strict=True)
    ]


def _of_offered(values: Tensor, prompts: Sequence[Prompt]) -> list[tuple[float, ...]]:
    """values: prompts x LABELS."""
    return [tuple(each[: len(one.order)]) for each, one in zip(values.tolist(), prompts, strict=True)]


def _last(folder: Path) -> str | None:
    """The newest whole checkpoint: the state of the trainer is the last file that is written into one."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json") if path.stat().st_size]
    return str(max(whole, key=lambda path: int(path.name.partition("-")[2]))) if whole else None
