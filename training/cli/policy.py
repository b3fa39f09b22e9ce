"""`elias train policy`: a small policy from scratch, on the simulated cluster."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from federation.policy.card import Card
    from training.policy.preset import Preset
    from training.policy.train import Seen

NEEDS = ("torch", "onnx", "onnxscript", "safetensors")
TOLD = 30.0  # seconds between lines where no terminal is


def policy(
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
    missing = [module for module in NEEDS if importlib.util.find_spec(module) is None]
    if missing:
        cure = "pip install 'elias[train]'"
        raise Refused("no-torch", f"training needs {', '.join(missing)}, which is not installed", cure=cure)
    made = _made(chosen, folder)
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


def _made(preset: "Preset", folder: Path) -> "Card":
    from training.policy.embedded import CALIBRATED_ON, calibrated  # noqa: PLC0415 - ONNX Runtime
    from training.policy.export import export  # noqa: PLC0415 - torch
    from training.policy.gather import gather, words  # noqa: PLC0415
    from training.policy.train import train  # noqa: PLC0415
    from training.scenarios.generate import digest, points, scenario  # noqa: PLC0415

    run = folder.with_name(f"{folder.name}.run")
    run.mkdir(parents=True, exist_ok=True)
    names, source = preset.points or points(), digest()
    with progress("questions to train on") as shown:
        learned = gather(names, "train", preset.examples, run, shown)
    with progress("questions to choose by") as shown:
        held = gather(names, "validation", preset.validation, run, shown)
    with _watched() as watch:
        trained = train(preset, words(), learned, held, run, watch)
    card = export(
        folder,
        trained.network,
        words(),
        points={name: scenario(name).point.schema.version for name in names},
        preset=preset.model_dump(mode="json"),
        data={"digest": source, "train": len(learned), "validation": len(held)},
        metrics=trained.metrics,
        steps=trained.steps,
        ended=trained.ended,
    )
    with progress("points to calibrate") as shown:
        calibrated(folder, CALIBRATED_ON, shown)
    return card


@contextmanager
def _watched() -> "Iterator[Callable[[Seen], None]]":
    """A bar with loss and share of right choices; a line now and then where no terminal is."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    began = told = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)

        def shown(seen: "Seen") -> None:
            nonlocal told
            text = f"step {seen.step}  loss {seen.loss:.3f}"
            if seen.right:
                text += f"  validation {seen.nll:.3f}, {100 * seen.right:.1f} % right"
            bar.update(task, completed=seen.share, description=text)
            now = time.monotonic()
            if not console.is_terminal and now - told > TOLD:
                told = now
                say(f"{text}  {100 * seen.share:.0f} % done, {(now - began) / 60:.1f} minutes")

        yield shown


def _plain(made: "Card") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    return dict(msgspec.to_builtins(made))
