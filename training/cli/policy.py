"""`elias train policy`: a small policy from scratch, on the simulated cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table
from training.cli.watching import watched
from training.extra import FROM_NOTHING, require

if TYPE_CHECKING:
    from federation.policy.card import Card
    from federation.settings import Settings
    from training.policy.preset import Preset
    from training.policy.train import Seen


def policy(
    context: typer.Context,
    preset: Annotated[str, typer.Option(help="What to train: a preset by name, or a YAML file.")] = "mini",
    out: Annotated[Path | None, typer.Option(help="Folder of the policy; by default policies/<preset>.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Train no longer than this.")] = None,
    examples: Annotated[int | None, typer.Option(min=100, help="Questions of each decision point.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, as a card says them.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another one than the preset's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and stop.")] = False,
    json_: Json = False,
) -> None:
    """Train a small policy from scratch on the questions of the simulated cluster, on the processor.

    What was drawn and learned so far is kept in a folder beside it (`<out>.run`): the same command goes on after an
    interruption. Remove that folder to begin anew. The policy's card says what it was made of; the same preset, seed
    and versions make it again.

    Examples:

        elias train policy --dry-run

        elias train policy --preset mini

        elias train policy --preset mini --out policies/quick --minutes 5 --examples 2000
    """
    from training.policy.preset import load  # noqa: PLC0415 - pydantic and YAML

    changes = {"minutes": minutes, "examples": examples, "steps": steps, "seed": seed}
    name = Path(preset).stem
    chosen = load(preset).model_copy(update={key: value for key, value in changes.items() if value is not None})
    folder = out or Path("policies") / name
    if dry_run:
        _foretell(chosen, folder, json_)
        return
    require("training", FROM_NOTHING)
    made = _made(chosen, folder, settings_of(context))
    if json_:
        emit({"policy": str(folder), "version": made.version, **_plain(made)})
        return
    rows = [(name, f"{100 * found['right']:.1f} %", f"{found['nll']:.3f}") for name, found in made.metrics.items()]
    table(("POINT", "RIGHT", "LOSS"), rows, "no points")
    say(f"{folder}: {made.parameters} parameters, version {made.version[:12]}")
    say(f"see how good it is: elias policy evaluate --policy {folder}")


def _foretell(preset: "Preset", folder: Path, json_: bool) -> None:
    from training.policy.gather import words  # noqa: PLC0415
    from training.scenarios.generate import digest, points  # noqa: PLC0415

    found = {
        "policy": str(folder),
        "preset": preset.model_dump(mode="json"),
        "points": list(preset.points or points()),
        "words": len(words().ids),
        "data": digest(),
    }
    if json_:
        emit(found)
        return
    for key, value in found.items():
        print(f"{key}: {value}")


def _made(preset: "Preset", folder: Path, settings: "Settings") -> "Card":
    from training.policy.embedded import CALIBRATED_ON, calibrated  # noqa: PLC0415 - ONNX Runtime
    from training.policy.export import export  # noqa: PLC0415 - torch
    from training.policy.gather import gather, words  # noqa: PLC0415
    from training.policy.train import train  # noqa: PLC0415
    from training.scenarios.generate import digest, points, scenario  # noqa: PLC0415
    from training.tracking.run import Training, tracked  # noqa: PLC0415

    run = folder.with_name(f"{folder.name}.run")
    run.mkdir(parents=True, exist_ok=True)
    names, source = preset.points or points(), digest()
    with progress("questions to train on") as shown:
        learned = gather(names, "train", preset.examples, run, shown)
    with progress("questions to choose by") as shown:
        held = gather(names, "validation", preset.validation, run, shown)
    plain = preset.model_dump(mode="json")
    told = Training(folder.name, {"method": "policy", **plain}, source)
    with watched("training") as said, tracked(settings, run, told) as tracking:

        def seen(now: "Seen") -> None:
            text = f"step {now.step}  loss {now.loss:.3f}"
            if now.right:
                text += f"  validation {now.nll:.3f}, {100 * now.right:.1f} % right"
            said(now.share, text)
            if now.step % preset.check == 0:
                tracking.figures(now.step, {"loss": now.loss, "eval_nll": now.nll, "eval_right": now.right})

        trained = train(preset, words(), learned, held, run, seen)
        card = export(
            folder,
            trained.network,
            words(),
            points={name: scenario(name).point.schema.version for name in names},
            preset=plain,
            data={"digest": source, "train": len(learned), "validation": len(held)},
            metrics=trained.metrics,
            steps=trained.steps,
            ended=trained.ended,
        )
        tracking.made(folder, card)
    with progress("points to calibrate") as shown:
        calibrated(folder, CALIBRATED_ON, shown)
    return card


def _plain(made: "Card") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    return dict(msgspec.to_builtins(made))
