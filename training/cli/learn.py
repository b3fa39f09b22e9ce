"""`elias train sft|dpo|kto|grpo|distil`: a policy learns from what is on record."""

import inspect
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from federation.errors import Refused
from managers.uim.cli import job
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say
from training.cli.watching import watched
from training.extra import LEARNING, require

if TYPE_CHECKING:
    from federation.settings import Settings
    from training.dataset.store import DataSet
    from training.evaluation.result import Kept
    from training.learning.estimate import Length, Memory
    from training.learning.preset import Preset
    from training.learning.run import Trained
    from training.learning.trainer import Seen

SAMPLE = 500  # decisions whose prompts are measured to foretell how many tokens there are

DataFolder = Annotated[
    Path, typer.Option("--data", help="Folder of the data set, as `elias train dataset` made it.", show_default=False)
]
PresetName = Annotated[str, typer.Option("--preset", help="How, and on which machine: by name, or a YAML file.")]
Start = Annotated[
    Path | None, typer.Option("--from", help="Folder of the policy to begin with; by default the one that ships.")
]
Out = Annotated[Path | None, typer.Option(help="Folder of the new policy; by default policies/METHOD.")]
Passes = Annotated[int | None, typer.Option(min=1, help="How often each example is seen, other than the preset says.")]
Seed = Annotated[int | None, typer.Option(help="Another one than the preset's.")]
AsJob = Annotated[bool, typer.Option("--as-job", help="Run it as a job on the cluster, as `elias run` does.")]
Probe = Annotated[
    bool, typer.Option("--probe", help="Ask for general abilities before and after; the card says what was forgotten.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what it takes and what would be written, and stop.")]
Teacher = Annotated[
    Path | None, typer.Option(help="Folder of the policy to learn from; by default what advisors said.")
]

SFT = """Teach the policy to answer as was answered where it came to good, and as operators did.

An interrupted training goes on with the same command; what it did so far is in `<out>.run`, with every figure in
`metrics.jsonl`. Remove that folder to begin anew. It ends early where validation gets no better. As a job it goes on by
itself where its node dies, and Ctrl-C leaves it running.

Examples:

    elias train sft --data datasets/4f1c... --dry-run

    elias train sft --data datasets/4f1c... --out policies/next

    elias train sft --data datasets/4f1c... --out policies/next --as-job

    elias train sft --data datasets/4f1c... --preset deepseek-coder-6.7b-16gb --from models/deepseek-coder-6.7b
"""

OTHER = """{does}.

An interrupted training goes on with the same command; see `elias train sft --help`.

Example:

    elias train {name} --data datasets/4f1c... --out policies/next{more}
"""

OTHERS = (
    ("dpo", "Teach the policy what operators and advisors preferred to its own answers", ""),
    ("kto", "Make answers that came to good likelier, and answers that came to bad less likely", ""),
    (
        "grpo",
        "Let the policy answer logged questions again, rewarded by a doubly robust estimate of what would have come of "
        "it",
        " --passes 5",
    ),
    (
        "distil",
        "Teach the policy the probabilities of a teacher: what advisors said, or a larger policy",
        " --teacher models/deepseek-coder-6.7b",
    ),
)


class _Asked(NamedTuple):
    """What the command line says, under its names."""

    method: str
    data: Path
    preset: str
    start: Path | None
    teacher: Path | None
    out: Path | None
    passes: int | None
    seed: int | None
    probe: bool


class _Run(NamedTuple):
    method: str
    preset: "Preset"
    named: str
    data: Path
    start: Path
    out: Path
    teacher: Path | None
    probe: bool


def add_to(app: typer.Typer) -> None:
    app.command("sft", help=SFT)(_command("sft"))
    for name, does, more in OTHERS:
        app.command(name, help=OTHER.format(name=name, does=does, more=more))(_command(name))


def _command(method: str) -> Callable[..., None]:
    def learn(
        context: typer.Context,
        data: DataFolder,
        preset: PresetName = "mini",
        start: Start = None,
        teacher: Teacher = None,
        out: Out = None,
        passes: Passes = None,
        seed: Seed = None,
        probe: Probe = False,
        as_job: AsJob = False,
        dry_run: Dry = False,
        json_: Json = False,
    ) -> None:
        asked = _Asked(method, data, preset, start, teacher, out, passes, seed, probe)
        _learn(context, asked, as_job=as_job, dry_run=dry_run, json_=json_)

    if method != "distil":  # the others have no teacher, and so no option for one
        whole = inspect.signature(learn)
        kept = [one for one in whole.parameters.values() if one.name != "teacher"]
        learn.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    return learn


def _learn(context: typer.Context, asked: _Asked, *, as_job: bool, dry_run: bool, json_: bool) -> None:
    from training.dataset.store import load  # noqa: PLC0415 - loads what other commands need not

    run = _run(asked)
    if run.out.exists() and not dry_run:
        cure = "name another folder with --out, or remove this one"
        raise Refused("policy-there", "there is something here already", place=str(run.out), cure=cure)
    known = load(run.data)
    if dry_run:
        _foretell(run, known, json_=json_)
        return
    if as_job:
        _submit(context, asked, run, known, json_=json_)
        return
    require("training", LEARNING)
    _made(run, known, settings_of(context), json_=json_)


def _run(asked: _Asked) -> _Run:
    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from training.learning import preset as presets  # noqa: PLC0415

    preset, method = presets.load(asked.preset), asked.method
    course = preset.course(method)
    changed = course if asked.passes is None else course.model_copy(update={"passes": asked.passes, "steps": 0})
    changes: dict[str, Any] = {method: changed} | ({} if asked.seed is None else {"seed": asked.seed})
    preset = preset.model_copy(update=changes)
    out = asked.out or Path("policies") / method
    return _Run(
        method, preset, Path(asked.preset).stem, asked.data, asked.start or SHIPPED, out, asked.teacher, asked.probe
    )


def _submit(context: typer.Context, asked: _Asked, run: _Run, data: "DataSet", *, json_: bool) -> None:
    """The same command without `--as-job`, as a job with the memory, the cores and the cards that it takes."""
    memory = _needs(run, data).memory.total
    config = ["--config", str(context.obj)] if context.obj is not None else []
    options = {
        "--data": asked.data,
        "--preset": asked.preset,
        "--from": asked.start,
        "--teacher": asked.teacher,
        "--out": asked.out,
        "--passes": asked.passes,
        "--seed": asked.seed,
    }
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    given += ["--probe"] if asked.probe else []
    job.submit(
        Api(settings_of(context)),
        f"train-{run.method}-{secrets.token_hex(4)}",
        {
            "command": [sys.executable, "-m", "managers.uim.cli", *config, "train", run.method, *given],
            "cpus": run.preset.threads,
            "memory": 0 if run.preset.cards else memory,  # of the machine; that of cards is theirs
            "gpus": run.preset.cards,
            "cwd": os.getcwd(),
            "restartable": True,
        },
        json_=json_,
    )


class _Needs(NamedTuple):
    """What a training takes. parameters: of the policy."""

    parameters: int
    length: "Length"
    memory: "Memory"


def _needs(run: _Run, data: "DataSet") -> _Needs:
    from federation.policy.rendering import render  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from training.learning import estimate  # noqa: PLC0415

    schemas = {point.name: point.schema for point in POINTS}
    preset = run.preset
    here = (run.start / "config.json").exists()
    shape = preset.shape if preset.shape is not None and not here else estimate.shape(run.start)
    sample = data.train[:: max(1, len(data.train) // SAMPLE)]
    texts = [render(schemas[one.point], one.question).text for one in sample if one.point in schemas]
    length = estimate.lengths(run.start, texts) if here else estimate.Length(preset.length, preset.length)
    return _Needs(estimate.parameters(shape), length, estimate.memory(shape, preset, run.method, length.longest))


def _foretell(run: _Run, data: "DataSet", *, json_: bool) -> None:
    from managers.roster import POINTS  # noqa: PLC0415
    from training.learning import estimate  # noqa: PLC0415

    preset = run.preset
    needs = _needs(run, data)
    names = {point.name for point in POINTS}
    count, held = (
        estimate.fit(run.method, [one for one in split if one.point in names], teacher=run.teacher is not None)
        for split in (data.train, data.validation)
    )
    found = {
        "method": run.method,
        "preset": run.named,
        "from": str(run.start),
        "parameters": needs.parameters,
        "data": data.digest,
        "examples": count,
        "validated_on": held,
        "steps": estimate.steps(count, preset, run.method),
        "tokens": round(count * preset.course(run.method).times(count) * needs.length.mean),
        "longest_prompt": needs.length.longest,
        "memory_gib": {
            **{name: round(getattr(needs.memory, name) / estimate.GIB, 2) for name in needs.memory.__struct_fields__},
            "total": round(needs.memory.total / estimate.GIB, 2),
            "allowed": preset.memory * max(preset.cards, 1),
        },
        "writes": [*(str(run.out / name) for name in (*estimate.written(run.start), "card.json")), f"{run.out}.run/"],
    }
    if json_:
        emit(found)
        return
    for key, value in found.items():
        print(f"{key}: {value}")


def _made(run: _Run, data: "DataSet", settings: "Settings", *, json_: bool) -> None:
    from managers.roster import POINTS  # noqa: PLC0415
    from training.evaluation.bootstrap import interval  # noqa: PLC0415
    from training.evaluation.probe import changed, of_folder  # noqa: PLC0415
    from training.learning.export import export  # noqa: PLC0415 - torch
    from training.learning.run import alone, judge, train  # noqa: PLC0415
    from training.tracking.run import Training, tracked  # noqa: PLC0415

    folder = run.out.with_name(f"{run.out.name}.run")
    preset = {"method": run.method, "name": run.named, **run.preset.model_dump(mode="json", exclude_none=True)}
    began = _version(run)
    about = Training(run.out.name, {**preset, "from": began or str(run.start)}, data.digest)
    with (
        alone(folder),
        watched("reading what is on record") as shown,
        tracked(settings, folder, about) as tracking,
    ):

        def seen(now: "Seen") -> None:
            shown(now.share, f"step {now.step}  loss {now.loss:.3f}  validation {now.score:.4f}")

        begun = of_folder(run.start, run.preset) if run.probe else None
        judged = judge(run.method, run.preset, data.train, data.validation, _left_out)
        trained = train(run.method, run.preset, run.start, judged, folder, seen, run.teacher, tracking.figures)
        low, high = interval((trained.after - trained.before).double().numpy())
        score = {"before": float(trained.before.mean()), "after": float(trained.after.mean()), "low": low, "high": high}
        versions = {point.name: point.schema.version for point in POINTS}
        card = export(
            run.out,
            run.start,
            trained,
            preset=preset,
            data={"digest": data.digest, "train": trained.train, "validation": len(trained.after), "from": began},
            points={name: versions[name] for name in sorted({case.logged.point for case in judged[0]})},
            metrics={"overall": score} | ({} if begun is None else {"probe": changed(begun, _probed(trained))}),
        )
        tracking.made(run.out, card)
    if json_:
        emit(
            {"policy": str(run.out), "version": card.version, "score": score, "steps": card.steps, "ended": card.ended}
        )
        return
    print(f"score on validation: {score['before']:.4f} before, {score['after']:.4f} after")
    print(f"better by {low:.4f} to {high:.4f} (95 %)")
    if "probe" in card.metrics:
        probed = card.metrics["probe"]
        before, after, chance = (probed[name] for name in ("before", "after", "chance"))
        print(f"probe: {before:.1%} right before, {after:.1%} after, {chance:.0%} by chance")
        print(f"nats a byte of true endings rose by {probed['low']:.3f} to {probed['high']:.3f} (95 %)")
    say(f"{run.out}: version {card.version[:12]}, {card.steps} steps, ended by {card.ended}")
    say(f"it may decide alone once it is calibrated: elias policy calibrate {run.out}")


def _left_out(point: str, why: str) -> None:
    say(f"{point} is left out: {why}")


def _probed(trained: "Trained") -> "Kept":
    from training.evaluation.probe import probe  # noqa: PLC0415

    return probe(trained.policy.model, trained.policy.tokenizer)


def _version(run: _Run) -> str:
    """Of the policy that one begins with; empty for one that is no policy of ELIAS yet."""
    from federation.policy.card import CARD, version_of  # noqa: PLC0415

    return version_of(run.start) if (run.start / CARD).exists() else ""
