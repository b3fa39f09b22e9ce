"""`elias evaluate`: how good policies are, what is known of it from before, and who is better for certain."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say
from training.cli import figures
from training.extra import require

if TYPE_CHECKING:
    from training.evaluation.contender import Contender
    from training.evaluation.result import Evaluation

Points = Annotated[
    list[str] | None, typer.Option(help="A decision point; can be given again. By default all that there are.")
]
Count = Annotated[int, typer.Option(min=200, help="Questions of each split of each point.")]


app = typer.Typer()


@app.command("evaluate")
def evaluate(
    context: typer.Context,
    policies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="POLICY",
            help="Folders of policies, or ids of evaluations that are kept; by default the policy that ships.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Measure on a data set of the ledger (`elias train dataset`), not in the simulated world."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Of the data set: test, or all for policies that learned nothing from it.")
    ] = "test",
    points: Points = None,
    count: Count = 2000,
    max_error: Annotated[
        float, typer.Option(min=0.1, max=50, help="With --data: percent that may be wrong of what is decided alone.")
    ] = 5.0,
    train: Annotated[
        int, typer.Option(min=0, help="Simulated questions for the baselines that learn; 0 leaves them out.")
    ] = 0,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also ask for general abilities, which training on decisions may destroy.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the evaluations that are kept, and stop.")] = False,
    json_: Json = False,
) -> None:
    """Measure policies on questions that they never saw, keep what came of it, and say which one is better.

    ACCURACY is the share that is right of what is decided alone, under `max_error`; COVERAGE the share decided alone;
    ECE how far the confidence is from the truth; RIGHT the share right of all choices; REGRET what a choice costs on
    average, in the unit of the point, overall as a share of choosing at random. Below each stands its 95 % interval.

    With --data, right is what an advisor or an operator answered, and REWARD is an estimate of what the policy would
    have reached where a policy decided. Most of what went up did so because it was hard, so these figures are of hard
    questions.

    Every evaluation is kept in the folder `evaluations` of the state folder. Of several, each is compared with the
    first one question by question, which needs the same questions: DIFFERENCE is less the first one's, with its 95 %
    interval by the paired bootstrap. All verdicts together are wrong in at most 5 % of comparisons of policies that
    are alike.

    Examples:

        elias evaluate policies/next

        elias evaluate policies/mini policies/next --count 5000

        elias evaluate 3f9a1c policies/next

        elias evaluate policies/next --data datasets/4f2a --split all

        elias evaluate policies/next --points ufm.dispatch --probe --json

        elias evaluate --list
    """
    if list_:
        _list(context, json_=json_)
        return
    kept = {name: _kept(context, name) for name in policies or () if not Path(name).is_dir()}
    folders: list[Path | None] = [Path(name) for name in policies or () if name not in kept]
    if not policies:
        folders = [None]
    measured: list[Evaluation] = []
    if folders and data is None:
        measured = simulated(folders, points, count, train)
    elif folders and data is not None:
        measured = _logged(folders, data, split, points, max_error / 100)
    if probe:
        measured = _probed(folders, measured)
    for id_, one in zip(keep(context, measured), measured, strict=True):
        say(f"{one.name}: kept as {id_[:12]}")
    fresh = iter(measured)
    found = [kept[name] if name in kept else next(fresh) for name in policies or ("",)]
    differences = [one for other in found[1:] for one in _differences(found[0], other)]
    if json_:
        emit({"evaluations": [{"id": one.digest, **plain(one)} for one in found], "differences": differences})
        return
    for one in found:
        figures.show(one)
    if differences:
        figures.show_differences(differences)


def simulated(
    folders: Sequence[Path | None], points: Sequence[str] | None, count: int, train: int
) -> "list[Evaluation]":
    """folders: of policies; None: the one that ships."""
    from training.evaluation.simulated import measure  # noqa: PLC0415
    from training.scenarios import generate  # noqa: PLC0415

    names = _known(points, generate.points(), "there is no simulated world for the decision point")
    with _opened(folders) as contenders, progress("points") as shown:
        for one in contenders:
            if one.outdated(generate.digest()):
                say(f"{one.name}: the generator has changed since it was calibrated; `elias policy calibrate` first")
        return measure(contenders, names, count, train, _now(), shown)


def keep(context: typer.Context, evaluations: "Sequence[Evaluation]") -> list[str]:
    """Their ids."""
    from training.evaluation.store import write  # noqa: PLC0415

    return [write(_folder(context), one).stem for one in evaluations]


def plain(evaluation: "Evaluation") -> dict[str, Any]:
    """For scripts: without the answers to each question, which are in the file."""
    import msgspec  # noqa: PLC0415

    found: dict[str, Any] = msgspec.to_builtins(evaluation)
    del found["answers"]
    for point in found["points"].values():
        if point["worth"] is not None:
            del point["worth"]["each"]
    return found


def _list(context: typer.Context, *, json_: bool) -> None:
    from training.evaluation.store import every  # noqa: PLC0415 - numpy, as all that is imported below

    found = list(every(_folder(context)))
    if json_:
        emit([{"id": id_, **plain(one)} for id_, one in found])
        return
    figures.show_list(found)


def _kept(context: typer.Context, name: str) -> "Evaluation":
    from training.evaluation.store import named, read  # noqa: PLC0415

    return read(named(_folder(context), name))


def _logged(
    folders: Sequence[Path | None], data: Path, split: str, points: Sequence[str] | None, max_error: float
) -> "list[Evaluation]":
    from managers.roster import POINTS  # noqa: PLC0415
    from training.dataset.store import load  # noqa: PLC0415
    from training.evaluation.logged import measure  # noqa: PLC0415
    from training.ope.target import parts  # noqa: PLC0415

    held = load(data)
    asked, _ = parts(held, split)
    there = {one.name: one for one in POINTS if any(example.point == one.name for example in asked)}
    names = _known(points, sorted(there), "this split has no decision of")
    if not names:
        cure = "name another data set, or --split all for a policy that learned nothing from it"
        raise Refused("no-decisions", f"the split `{split}` has no decision of a known point", cure=cure)
    chosen = {name: there[name] for name in names}
    with _opened(folders) as contenders, progress("points") as shown:
        return measure(contenders, held, chosen, split, max_error, _now(), shown)


def _probed(folders: Sequence[Path | None], evaluations: "Sequence[Evaluation]") -> "list[Evaluation]":
    import msgspec  # noqa: PLC0415

    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from training.evaluation.probe import of_folder  # noqa: PLC0415
    from training.learning import preset  # noqa: PLC0415

    require("the probe", ("torch", "transformers"), instead="leave out --probe")
    with progress("general abilities") as shown:
        found = []
        for done, (folder, one) in enumerate(zip(folders, evaluations, strict=True)):
            shown(done, len(folders))
            found.append(msgspec.structs.replace(one, kept=of_folder(folder or SHIPPED, preset.load("mini"))))
    return found


@contextmanager
def _opened(folders: Sequence[Path | None]) -> "Iterator[list[Contender]]":
    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from training.evaluation.contender import opened  # noqa: PLC0415 - ONNX Runtime

    with ExitStack() as stack:
        found = [stack.enter_context(opened(folder or SHIPPED)) for folder in folders]
        for one in found:
            if not one.calibrated:
                say(f"{one.name}: it is not calibrated and decides nothing alone; `elias policy calibrate` makes it so")
        yield found


def _known(points: Sequence[str] | None, there: Sequence[str], missing: str) -> list[str]:
    for name in points or ():
        if name not in there:
            cure = f"choose among: {', '.join(there)}" if there else "name another data set"
            raise Refused("no-world", f"{missing} `{name}`", place="--points", cure=cure)
    return list(dict.fromkeys(points or there))


def _differences(before: "Evaluation", after: "Evaluation") -> list[dict[str, Any]]:
    import msgspec  # noqa: PLC0415

    from training.evaluation.compare import differences  # noqa: PLC0415

    pair = {"before": before.name, "after": after.name}
    return [{"of": pair, **msgspec.to_builtins(one)} for one in differences(before, after)]


def _folder(context: typer.Context) -> Path:
    from training.evaluation.store import FOLDER  # noqa: PLC0415

    return settings_of(context).state / FOLDER


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
