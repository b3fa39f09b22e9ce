"""`elias policy evaluate`: what a policy reaches, beside what it must beat."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress, say, table
from training.cli.estimate import estimate

if TYPE_CHECKING:
    from federation.policy.embedded import Embedded
    from federation.policy.question import Question, Scores
    from training.policy.evaluate import Latency, Result

app = typer.Typer()
app.command()(estimate)

ALONE = 200  # questions that are timed one by one


@app.command()
def evaluate(
    policy: Annotated[Path | None, typer.Option(help="Folder of the policy; by default the one that ships.")] = None,
    points: Annotated[
        list[str] | None, typer.Option(help="A decision point; can be given again. By default all that have a world.")
    ] = None,
    count: Annotated[int, typer.Option(min=200, help="Questions of each split of each point.")] = 2000,
    train: Annotated[
        int,
        typer.Option(min=0, help="Questions that the learning baselines are trained on; 0 leaves them out."),
    ] = 4000,
    json_: Json = False,
) -> None:
    """Measure a policy on questions of the simulated cluster that it never saw.

    ACCURACY is the share that is right of what is decided alone, under the `max_error` of the shipped spec; COVERAGE
    the share decided alone; ECE how far the confidence is from the truth; REGRET what a choice costs on average, in the
    unit of the point, overall as a share of choosing at random; BEST the share right that can be reached at all.
    SAVED is the regret of a baseline less the policy's, as a 95 % interval: above 0 the policy is better.

    Examples:

        elias policy evaluate

        elias policy evaluate --points ufm.dispatch --points uam.restart --count 5000

        elias policy evaluate --policy build/policy --train 0 --json
    """
    from federation.policy import calibration  # noqa: PLC0415 - loads a model, which no other command needs
    from federation.policy.embedded import Embedded  # noqa: PLC0415
    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from training.policy.evaluate import overall  # noqa: PLC0415
    from training.scenarios import generate  # noqa: PLC0415

    chosen = tuple(dict.fromkeys(points or generate.points()))
    for name in chosen:
        if name not in generate.points():
            cure = f"choose among: {', '.join(generate.points())}"
            raise Refused("no-world", f"there is no simulated world for the decision point `{name}`", cure=cure)
    folder = policy or SHIPPED
    engine = Embedded(folder)
    known = calibration.load(folder / "calibration.json", engine.version)
    results = {}
    with progress("points") as shown:
        for done, name in enumerate(chosen):
            shown(done, len(chosen))
            results[name] = _measured(engine, known.points.get(name), name, count, train)
    asyncio.run(engine.close())
    said: dict[str, Any] = {
        "policy": engine.version,
        "data": {"calibrated": known.data, "evaluated": generate.digest()},
        "overall": _plain(overall(list(results.values()))),
        **{name: _plain(result.entry()) for name, result in results.items()},
    }
    if json_:
        emit(said)
        return
    _show(said, chosen)
    if known.data != generate.digest():
        say("the generator has changed since this policy was calibrated; train it anew before you believe the figures")


@app.command()
def calibrate(
    policy: Annotated[Path, typer.Argument(help="Folder of the policy.")],
    count: Annotated[int, typer.Option(min=200, help="Questions of each of the two splits of each point.")] = 6000,
) -> None:
    """Find out how sure a policy has to be before it may decide alone.

    `elias train policy` does it at its end. Do it again when the world has changed: each time has questions of its own,
    and spends a part of the error that all calibrations of one policy together may have.

    Example:

        elias policy calibrate policies/mini
    """
    from training.policy.embedded import calibrated  # noqa: PLC0415 - loads a model, which no other command needs

    with progress("points") as shown:
        made = calibrated(policy, count, shown)
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


def _measured(engine: "Embedded", calibrated: Any, name: str, count: int, train: int) -> "Result":
    from training.policy.embedded import batched  # noqa: PLC0415
    from training.policy.evaluate import Bench, Result, each  # noqa: PLC0415
    from training.scenarios.generate import scenario  # noqa: PLC0415

    bench = Bench(scenario(name), count, train)
    policy, held_out = bench.contest(batched(engine, bench.point), calibrated)
    contenders = {kind: each(scorer) for kind, scorer in bench.baselines()}
    against = {kind: bench.contest(answer, bench.calibrated(answer)) for kind, answer in contenders.items()}
    asked = [example.question for example in bench.splits["test"][:ALONE]]
    return Result(bench, policy, held_out, against, _latency(batched(engine, bench.point), asked))


def _latency(answer: "Callable[[Sequence[Question]], list[Scores]]", asked: "Sequence[Question]") -> "Latency":
    from training.policy.evaluate import Latency  # noqa: PLC0415

    took = []
    for question in asked:
        began = time.perf_counter()
        answer([question])
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return Latency(took[len(took) // 2], took[int(0.99 * (len(took) - 1))])


def _plain(figures: Any) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.to_builtins(figures)


def _show(said: dict[str, Any], chosen: Sequence[str]) -> None:
    rows: list[tuple[str, ...]] = []
    for name in (*chosen, "overall"):
        entry = said[name]
        rows.append((name, "policy", *_cells(entry), "", f"{100 * entry['best_reachable']:.1f}"))
        rows.append(("", "policy, held-out family", *_cells(entry["held_out"]), "", ""))
        for kind, baseline in entry["baselines"].items():
            low, high = baseline["regret_saved"]
            rows.append(("", kind.replace("_", " "), *_cells(baseline), f"{low:.3g} to {high:.3g}", ""))
    table(("POINT", "WHO", "ACCURACY", "COVERAGE", "ECE", "REGRET", "SAVED", "BEST"), rows, "no points")
    print()
    print(f"policy {said['policy'][:12]}, questions {said['data']['evaluated'][:12]}; shares in percent")


def _cells(figures: dict[str, Any]) -> tuple[str, str, str, str]:
    accuracy = figures["accuracy"]
    right = "none alone" if accuracy is None else f"{100 * accuracy:.1f}"
    return right, f"{100 * figures['coverage']:.1f}", f"{figures['ece']:.3f}", f"{figures['regret']:.3g}"
