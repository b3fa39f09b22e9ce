"""`elias train sft|dpo|kto|grpo|distil`: a policy learns from what is on record."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, say
from training.cli.watching import watched

if TYPE_CHECKING:
    from training.dataset.example import Logged
    from training.dataset.store import DataSet
    from training.learning.preset import Preset
    from training.learning.trainer import Seen

NEEDS = ("torch", "transformers", "trl", "peft", "datasets", "safetensors", "sklearn")
SAMPLE = 500  # decisions whose prompts are measured to foretell how many tokens there are

DataFolder = Annotated[
    Path, typer.Option("--data", help="Folder of the data set, as `elias train dataset` made it.", show_default=False)
]
PresetName = Annotated[str, typer.Option("--preset", help="How, and on which machine: by name, or a YAML file.")]
Start = Annotated[
    Path | None, typer.Option("--from", help="Folder of the policy to begin with; by default the one that ships.")
]
Out = Annotated[Path | None, typer.Option(help="Folder of the new policy; by default policies/<method>.")]
Passes = Annotated[int | None, typer.Option(min=1, help="How often each example is seen, other than the preset says.")]
Seed = Annotated[int | None, typer.Option(help="Another one than the preset's.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what it takes and what would be written, and stop.")]


class _Run(NamedTuple):
    method: str
    preset: "Preset"
    named: str
    data: Path
    start: Path
    out: Path
    teacher: Path | None


def sft(
    data: DataFolder,
    preset: PresetName = "mini",
    start: Start = None,
    out: Out = None,
    passes: Passes = None,
    seed: Seed = None,
    dry_run: Dry = False,
    json_: Json = False,
) -> None:
    """Teach the policy to answer as was answered where it came to good, and as operators did.

    An interrupted training goes on with the same command; what it did so far is in `<out>.run`, with every figure in
    `metrics.jsonl`. Remove that folder to begin anew. It ends early where validation gets no better.

    Examples:

        elias train sft --data datasets/4f1c... --dry-run

        elias train sft --data datasets/4f1c... --out policies/next

        elias train sft --data datasets/4f1c... --preset deepseek-coder-6.7b-16gb --from models/deepseek-coder-6.7b
    """
    _learn("sft", data, preset, start, out, passes, seed, None, dry_run=dry_run, json_=json_)


def dpo(
    data: DataFolder,
    preset: PresetName = "mini",
    start: Start = None,
    out: Out = None,
    passes: Passes = None,
    seed: Seed = None,
    dry_run: Dry = False,
    json_: Json = False,
) -> None:
    """Teach the policy what operators and advisors preferred to its own answers.

    An interrupted training goes on with the same command; see `elias train sft --help`.

    Example:

        elias train dpo --data datasets/4f1c... --out policies/next
    """
    _learn("dpo", data, preset, start, out, passes, seed, None, dry_run=dry_run, json_=json_)


def kto(
    data: DataFolder,
    preset: PresetName = "mini",
    start: Start = None,
    out: Out = None,
    passes: Passes = None,
    seed: Seed = None,
    dry_run: Dry = False,
    json_: Json = False,
) -> None:
    """Make answers that came to good likelier, and answers that came to bad less likely.

    An interrupted training goes on with the same command; see `elias train sft --help`.

    Example:

        elias train kto --data datasets/4f1c... --out policies/next
    """
    _learn("kto", data, preset, start, out, passes, seed, None, dry_run=dry_run, json_=json_)


def grpo(
    data: DataFolder,
    preset: PresetName = "mini",
    start: Start = None,
    out: Out = None,
    passes: Passes = None,
    seed: Seed = None,
    dry_run: Dry = False,
    json_: Json = False,
) -> None:
    """Let the policy answer logged questions again, rewarded by a doubly robust estimate of what would have come of it.

    An interrupted training goes on with the same command; see `elias train sft --help`.

    Example:

        elias train grpo --data datasets/4f1c... --out policies/next --passes 5
    """
    _learn("grpo", data, preset, start, out, passes, seed, None, dry_run=dry_run, json_=json_)


def distil(
    data: DataFolder,
    preset: PresetName = "mini",
    start: Start = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of the policy to learn from; by default what advisors said.")
    ] = None,
    out: Out = None,
    passes: Passes = None,
    seed: Seed = None,
    dry_run: Dry = False,
    json_: Json = False,
) -> None:
    """Teach the policy the probabilities of a teacher: what advisors said, or a larger policy.

    An interrupted training goes on with the same command; see `elias train sft --help`.

    Examples:

        elias train distil --data datasets/4f1c... --out policies/next

        elias train distil --data datasets/4f1c... --teacher models/deepseek-coder-6.7b --out policies/next
    """
    _learn("distil", data, preset, start, out, passes, seed, teacher, dry_run=dry_run, json_=json_)


def _learn(
    method: str,
    data: Path,
    named: str,
    start: Path | None,
    out: Path | None,
    passes: int | None,
    seed: int | None,
    teacher: Path | None,
    *,
    dry_run: bool,
    json_: bool,
) -> None:
    from federation.policy.tier import SHIPPED  # noqa: PLC0415 - loads what other commands need not
    from training.dataset.store import load  # noqa: PLC0415
    from training.learning import preset as presets  # noqa: PLC0415

    preset = presets.load(named)
    course = preset.course(method)
    changed = course if passes is None else course.model_copy(update={"passes": passes})
    changes: dict[str, Any] = {method: changed} | ({} if seed is None else {"seed": seed})
    preset = preset.model_copy(update=changes)
    run = _Run(method, preset, Path(named).stem, data, start or SHIPPED, out or Path("policies") / method, teacher)
    if run.out.exists() and not dry_run:
        cure = "name another folder with --out, or remove this one"
        raise Refused("policy-there", "there is something here already", place=str(run.out), cure=cure)
    known = load(data)
    if dry_run:
        _foretell(run, known, json_=json_)
        return
    missing = [module for module in NEEDS if importlib.util.find_spec(module) is None]
    if missing:
        cure = "pip install 'elias[train]'"
        raise Refused("no-torch", f"training needs {', '.join(missing)}, which is not installed", cure=cure)
    _made(run, known, json_=json_)


def _foretell(run: _Run, data: "DataSet", *, json_: bool) -> None:
    from federation.policy.rendering import render  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from training.learning import estimate  # noqa: PLC0415

    schemas = {point.name: point.schema for point in POINTS}
    preset = run.preset
    here = (run.start / "config.json").exists()
    shape = preset.shape if preset.shape is not None and not here else estimate.shape(run.start)
    sample = _spread(data.train, SAMPLE)
    texts = [render(schemas[one.point], one.question).text for one in sample if one.point in schemas]
    length = estimate.lengths(run.start, texts) if here else estimate.Length(preset.length, preset.length)
    count = estimate.fit(run.method, data.train, teacher=run.teacher is not None)
    memory = estimate.memory(shape, preset, run.method, length.longest)
    found = {
        "method": run.method,
        "preset": run.named,
        "from": str(run.start),
        "parameters": estimate.parameters(shape),
        "data": data.digest,
        "examples": count,
        "validated_on": estimate.fit(run.method, data.validation, teacher=run.teacher is not None),
        "steps": estimate.steps(count, preset, run.method),
        "tokens": round(count * preset.course(run.method).passes * length.mean),
        "longest_prompt": length.longest,
        "memory_gib": {
            **{name: round(getattr(memory, name) / estimate.GIB, 2) for name in memory.__struct_fields__},
            "total": round(memory.total / estimate.GIB, 2),
            "allowed": preset.memory * max(preset.cards, 1),
        },
        "writes": [*(str(run.out / name) for name in (*estimate.written(run.start), "card.json")), f"{run.out}.run/"],
    }
    if json_:
        emit(found)
        return
    for key, value in found.items():
        print(f"{key}: {value}")


def _spread(examples: "Sequence[Logged]", count: int) -> "Sequence[Logged]":
    return examples[:: max(1, len(examples) // count)]


def _made(run: _Run, data: "DataSet", *, json_: bool) -> None:
    from managers.roster import POINTS  # noqa: PLC0415
    from training.learning.export import export  # noqa: PLC0415 - torch
    from training.learning.run import judge, train  # noqa: PLC0415
    from training.policy.evaluate import interval  # noqa: PLC0415

    folder = run.out.with_name(f"{run.out.name}.run")
    with watched("reading what is on record") as shown:

        def seen(now: "Seen") -> None:
            shown(now.share, f"step {now.step}  loss {now.loss:.3f}  validation {now.score:.4f}")

        judged = judge(run.method, run.preset, data.train, data.validation)
        trained = train(run.method, run.preset, run.start, judged, folder, seen, run.teacher)
    low, high = interval((trained.after - trained.before).double().numpy())
    score = {"before": float(trained.before.mean()), "after": float(trained.after.mean()), "low": low, "high": high}
    versions = {point.name: point.schema.version for point in POINTS}
    card = export(
        run.out,
        run.start,
        trained,
        preset={"method": run.method, "name": run.named, **run.preset.model_dump(mode="json", exclude_none=True)},
        data={"digest": data.digest, "train": trained.train, "validation": len(trained.after), "from": _version(run)},
        points={name: versions[name] for name in sorted({one.point for one in data.train})},
        metrics={"overall": score},
    )
    if json_:
        emit(
            {"policy": str(run.out), "version": card.version, "score": score, "steps": card.steps, "ended": card.ended}
        )
        return
    print(f"score on validation: {score['before']:.4f} before, {score['after']:.4f} after")
    print(f"better by {low:.4f} to {high:.4f} (95 %)")
    say(f"{run.out}: version {card.version[:12]}, {card.steps} steps, ended by {card.ended}")
    say(f"it may decide alone once it is calibrated: elias policy calibrate {run.out}")


def _version(run: _Run) -> str:
    """Of the policy that one begins with; empty for one that is no policy of ELIAS yet."""
    from federation.policy.card import CARD, version_of  # noqa: PLC0415

    return version_of(run.start) if (run.start / CARD).exists() else ""
