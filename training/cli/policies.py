"""What joins `elias policy`: how good a policy is, when it is sure enough, and who is better than it."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from managers.uim.cli.output import Json, emit, progress, table
from training.cli import evaluate as evaluations
from training.cli import figures
from training.cli.estimate import estimate
from training.cli.mirror import mirror
from training.cli.tournament import tournament

app = typer.Typer()
app.command()(estimate)
app.command()(mirror)
app.command()(tournament)


@app.command()
def evaluate(
    context: typer.Context,
    policy: Annotated[Path | None, typer.Option(help="Folder of the policy; by default the one that ships.")] = None,
    points: evaluations.Points = None,
    count: evaluations.Count = 2000,
    train: Annotated[
        int,
        typer.Option(min=0, help="Questions that the learning baselines are trained on; 0 leaves them out."),
    ] = 4000,
    json_: Json = False,
) -> None:
    """Measure a policy on questions of the simulated cluster that it never saw, beside rules, a linear model and trees.

    It is `elias evaluate` of one policy with the baselines that learn: see `elias evaluate --help` for what the
    figures are. SAVED is the regret of a baseline less the policy's, as a 95 % interval: above 0 the policy is better.
    BEST is the share right that can be reached at all.

    Examples:

        elias policy evaluate

        elias policy evaluate --points ufm.dispatch --points uam.restart --count 5000

        elias policy evaluate --policy build/policy --train 0 --json
    """
    (one,) = evaluations.simulated([policy], points, count, train)
    (id_,) = evaluations.keep(context, [one])
    if not json_:
        figures.show_beside(one)
        return
    told = evaluations.plain(one)
    data = {"calibrated": one.calibrated, "evaluated": one.source.digest, "kept": id_}
    emit({"policy": one.policy, "data": data, "overall": told["overall"], **told["points"]})


@app.command()
def calibrate(
    policy: Annotated[Path, typer.Argument(help="Folder of the policy.")],
    count: Annotated[int, typer.Option(min=200, help="Questions of each of the two splits of each point.")] = 6000,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a data set: by what was answered, not by the simulation; can be given again."),
    ] = None,
) -> None:
    """Find out how sure a policy has to be before it may decide alone.

    `elias train policy` does it at its end. Do it again when the world has changed: each time has questions of its own,
    and spends a part of the error that all calibrations of one policy together may have.

    With --data right is what advisors and people answered, and what the policy learned from is left out. Only answers
    that together are a fair sample of the questions are taken; where they are too few, it decides nothing alone.

    Examples:

        elias policy calibrate policies/mini

        elias policy calibrate policies/next --data datasets/4f2a --data datasets/91c0
    """
    from managers.roster import POINTS  # noqa: PLC0415
    from training.dataset.store import load  # noqa: PLC0415
    from training.policy import answered, embedded  # noqa: PLC0415 - loads a model, which no other command needs

    with progress("points") as shown:
        if data:
            made = answered.calibrated(policy, [load(folder) for folder in data], POINTS, shown)
        else:
            made = embedded.calibrated(policy, count, shown)
    rows = []
    for name, point in made.points.items():
        threshold = point.threshold(0.05)
        said = "not alone" if threshold is None else f"{threshold:.3f}"
        rows.append((name, said, f"{point.tested_on}", f"{point.times}"))
    table(("POINT", "SURE ENOUGH (5 %)", "TESTED ON", "CALIBRATION"), rows, "no points")


@app.command()
def defaults(
    out: Annotated[Path, typer.Argument(help="Folder for the models; what it holds of them is replaced.")],
    policy: Annotated[Path | None, typer.Option(help="Folder of the policy; by default the one that ships.")] = None,
    train: Annotated[int, typer.Option(min=500, help="Questions of each point to learn from.")] = 10_000,
    count: Annotated[
        int, typer.Option(min=200, help="Questions of each point to choose by, and to calibrate on.")
    ] = 4000,
) -> None:
    """Find the points at which a linear model or trees beat the policy, and keep these models as the default there.

    A model wins where the 95 % interval of the regret that it saves, on questions new to it, is above 0.

    Examples:

        elias policy defaults build/tables

        elias policy defaults build/tables --policy build/policy --train 20000
    """
    from federation.policy.embedded import Embedded  # noqa: PLC0415 - loads a model, which no other command needs
    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from training.policy.defaults import keep, winner  # noqa: PLC0415
    from training.policy.embedded import batched  # noqa: PLC0415
    from training.scenarios import generate  # noqa: PLC0415

    engine = Embedded(policy or SHIPPED)
    scenarios = {name: generate.scenario(name) for name in generate.points()}
    models, rows = {}, []
    with progress("points") as shown:
        for done, (name, scenario) in enumerate(scenarios.items()):
            shown(done, len(scenarios))
            found = winner(scenario, batched(engine, scenario.point.schema), train, count)
            if found is not None:
                models[name] = found.model
                low, high = found.saved
                rows.append(
                    (name, type(found.model).__name__.lower(), f"{low:.3g} to {high:.3g}", scenario.point.outcome.unit)
                )
    asyncio.run(engine.close())
    keep(out, scenarios, models, generate.digest(), count)
    table(("POINT", "DEFAULT", "SAVED", "UNIT"), rows, "the policy is beaten nowhere")
