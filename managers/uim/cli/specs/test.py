"""`elias tiki test`: the examples of specs and the scenarios beside them, run, and what they cover."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, complain, emit, progress, say, table
from managers.uim.cli.specs.sources import Overlay, bundle_of, folder_of, read_text

if TYPE_CHECKING:
    import tiki
    from tiki.testing import Coverage, Outcome

Tests = Annotated[
    Path | None,
    typer.Argument(help="A folder of specs and tests, or one file of either; by default the specs in force."),
]


def run_tests(
    context: typer.Context,
    path: Tests = None,
    specs: Annotated[
        Path | None, typer.Option(help="The specs to test, a file or folder; by default those beside the tests.")
    ] = None,
    overlay: Overlay = None,
    only: Annotated[str, typer.Option("-k", metavar="TEXT", help="Only tests with this in path, point or name.")] = "",
    covered: Annotated[
        bool, typer.Option("--coverage", help="Show what the tests look at, and what they do not.")
    ] = False,
    fail_under: Annotated[
        float, typer.Option(metavar="PERCENT", min=0, max=100, help="Exit code 1 where the tests cover less.")
    ] = 0.0,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JUnit XML.")] = None,
    json_: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever a file changes, until Ctrl-C.")] = False,
) -> None:
    """Run the examples under specs and the scenarios in `*_test.tiki` files. Time is virtual: a scenario of a day takes
    milliseconds. Exit code 1 when a test fails; then it says what was decided instead, when, and why.

    Examples:

        elias tiki test my_specs

        elias tiki test my_specs/pressure_test.tiki -k "memory runs full"

        elias tiki test my_specs --coverage

        elias tiki test my_specs --fail-under 100 --junit results.xml
    """

    def once() -> bool:
        outcome = _outcome(context, path, specs, overlay, only)
        if junit is not None:
            _write(junit, outcome)
        short = outcome.coverage.percent < fail_under
        if json_:
            emit(_plain(outcome))
        else:
            _tell(outcome, covered or short)
        if short:
            say(f"error: the tests cover {outcome.coverage.percent:.1f} %, less than {fail_under:g} %")
        return not outcome.failed and not short

    if watch:
        files = [path.parent if path is not None and not path.is_dir() else folder_of(context, path)]
        _again_and_again(once, [*files, *([specs] if specs is not None else [])])
    elif not once():
        raise typer.Exit(1)


def _again_and_again(once: Callable[[], object], places: Sequence[Path]) -> None:
    """Runs until it is interrupted, and again after every change of a file at these places."""
    while True:
        seen = _stamps(places)
        try:
            once()
        except Refused as refused:
            complain(refused.message, refused.place, refused.cure)
        say("waiting for a change; Ctrl-C ends")
        while _stamps(places) == seen:
            time.sleep(0.2)


def _stamps(places: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    found = {}
    for file in (file for place in places for file in (place.rglob("*") if place.is_dir() else [place])):
        if file.suffix in (".tiki", ".md"):
            with suppress(OSError):  # moved away meanwhile
                stat = file.stat()
                found[file] = (stat.st_mtime_ns, stat.st_size)
    return found


def _tell(outcome: "Outcome", coverage: bool) -> None:
    for case in outcome.failed:
        print(f"{case.message}\n")
    if coverage:
        _show(outcome.coverage)
    ran = f"{outcome.count('scenario')} scenarios, {outcome.count('example')} examples"
    print(f"{ran}, {len(outcome.failed)} failed", flush=True)


def _outcome(
    context: typer.Context, path: Path | None, specs: Path | None, overlay: str | None, only: str
) -> "Outcome":
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second
    from tiki import testing  # noqa: PLC0415

    alone = path is not None and testing.is_test(path.name)
    bundle = bundle_of(context, specs or (path.parent if alone and path is not None else path), overlay)
    try:
        suite = testing.suite(bundle, _tests(context, path), only, examples=not alone)
    except tiki.Invalid as error:
        raise Refused("tiki", str(error), cure="correct the tests") from None
    if only and not suite.size:
        raise Refused("no-test", f"no test has `{only}` in its path, point or name", cure="`--json` lists them all")
    with progress("testing") as report:
        return testing.run_suite(suite, report)


def _tests(context: typer.Context, path: Path | None) -> "list[tiki.Source]":
    """The files of scenarios at a path, or beside a spec."""
    import tiki  # noqa: PLC0415
    from tiki import testing  # noqa: PLC0415

    folder = folder_of(context, path)
    if path is None or path.is_dir():
        try:
            return testing.read_tests(folder)
        except tiki.Invalid as error:
            raise Refused("tiki", str(error), place=str(folder), cure="correct it") from None
    file = path if testing.is_test(path.name) else path.with_name(f"{path.stem}_test.tiki")
    return [tiki.Source(str(file), read_text(file, newline=""))] if file == path or file.is_file() else []


def _write(file: Path, outcome: "Outcome") -> None:
    from tiki import testing  # noqa: PLC0415

    try:
        file.write_text(testing.junit(outcome.cases), encoding="utf-8")
    except OSError as error:
        cure = "see who may write there"
        raise Refused("unwritable", error.strerror or str(error), place=str(file), cure=cure) from None


def _show(coverage: "Coverage") -> None:
    from tiki.testing import KINDS  # noqa: PLC0415

    rows = []
    for point in coverage.points:
        mine = coverage.of(point)
        counts = [mine.count(kind) for kind in KINDS]
        rows.append([point, *(f"{done}/{all_}" if all_ else "-" for done, all_ in counts), f"{mine.percent:.0f} %"])
    table(["point", "clauses", "guards", "thresholds", "time", "covered"], rows, empty="no clause to cover")
    for goal in coverage.missing:
        print(f"{goal.place}: not covered: {goal.missing}")


def _plain(outcome: "Outcome") -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    coverage = outcome.coverage
    return {
        "tests": [
            {
                "kind": case.kind,
                "point": case.point,
                "name": case.name,
                "place": str(case.place),
                "passed": not case.message,
                "message": case.message,
            }
            for case in outcome.cases
        ],
        "coverage": {
            "percent": coverage.percent,
            "points": {point: coverage.of(point).percent for point in coverage.points},
            "goals": [asdict(goal) for goal in coverage.goals],
        },
    }
