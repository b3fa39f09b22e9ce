"""tiki: the language at the command line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit

if TYPE_CHECKING:
    import tiki

app = typer.Typer(help="Check, format, explain and test specs in TIKI.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(help="A file or folder of specs; by default those in force.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="tiki")


@app.command()
def check(context: typer.Context, path: Folder = None, json_: Json = False) -> None:
    """Find everything that is wrong or doubtful, with place, code and what to write instead. Exit code 1 for an error.

    Examples:

        elias tiki check

        elias tiki check my_specs --json
    """
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second

    texts, overlays = _sources(context, path)
    found = tiki.check(texts, _points(), overlays)
    wrong = [d for d in found if d.severity is tiki.Severity.ERROR]
    if json_:
        from dataclasses import asdict  # noqa: PLC0415

        emit([asdict(d) for d in found])
    else:
        for diagnostic in found:
            print(f"{diagnostic}\n")
        print(f"{len(texts)} files, {len(wrong)} errors, {len(found) - len(wrong)} warnings")
    if wrong:
        raise typer.Exit(1)


@app.command("fmt")
def format_(
    paths: Annotated[list[Path], typer.Argument(help="Files; folders are searched for `.tiki` files.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if something would change.")
    ] = False,
) -> None:
    """Write specs in their standard form. Prose and comments stay as they are.

    Examples:

        elias tiki fmt tiki_specs

        elias tiki fmt --check my.tiki
    """
    import tiki  # noqa: PLC0415

    changed = 0
    for path in _files(paths):
        before = _read(path)
        try:
            after = tiki.format_text(before, str(path))
        except tiki.Invalid as error:
            raise Refused(
                "tiki", str(error), place=str(path), cure="correct it first; `elias tiki check` explains"
            ) from None
        if after != before:
            changed += 1
            print(f"{'would change' if check else 'changed'}: {path}")
            if not check:
                path.write_text(after, encoding="utf-8")
    if check and changed:
        raise typer.Exit(1)


@app.command()
def explain(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A decision point, such as `urm.resource_pressure`.")],
    facts: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE, such as `memory=97%`; what is missing is unknown.")
    ] = None,
    specs: Annotated[Path | None, typer.Option(help="A file or folder of specs; by default those in force.")] = None,
    json_: Json = False,
) -> None:
    """What the specs would decide on these facts, and why. Conditions over time count as having held.

    Examples:

        elias tiki explain urm.resource_pressure memory=97% gpu=absent

        elias tiki explain ufm.placement gpus=1 feasible=0 --specs my_specs
    """
    program = _program(context, specs, point)
    data: dict[str, Any] = {}
    for text in facts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise Refused("bad-fact", f"`{text}` is not NAME=VALUE", cure="write `memory=97%`")
        data[name] = None if value == "absent" else value
    try:
        known = program.facts_from(
            {name: value if value is None else program.parse_fact(name, value) for name, value in data.items()}
        )
    except ValueError as error:
        raise Refused("bad-fact", str(error), cure=f"`elias tiki schema {point}` lists the facts") from None
    trace = program.explain(known, program.unwatched(known))
    if json_:
        emit(trace.to_dict())
    else:
        print(trace.text())


@app.command("test")
def run_tests(context: typer.Context, path: Folder = None, json_: Json = False) -> None:
    """Run the examples under the specs. Exit code 1 when one fails, with the comparisons that were made.

    Example:

        elias tiki test my_specs
    """
    import tiki  # noqa: PLC0415

    results = tiki.run_examples(_bundle(context, path))
    failed = [r for r in results if not r.passed]
    if json_:
        emit(
            [
                {
                    "point": r.example.point,
                    "place": str(r.example.place),
                    "decides": r.example.decides,
                    "passed": r.passed,
                    "message": r.message,
                }
                for r in results
            ]
        )
    else:
        for result in failed:
            print(f"{result.message}\n")
        print(f"{len(results)} examples, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def schema(
    point: Annotated[str, typer.Argument(help="A decision point; without it, their names.")] = "", json_: Json = False
) -> None:
    """What a spec may say about a decision point: facts, settings, actions, attributes of candidates.

    Examples:

        elias tiki schema

        elias tiki schema ufm.node_health --json
    """
    points = _points()
    if not point:
        emit(sorted(points)) if json_ else print("\n".join(f"{n}: {p.doc}" for n, p in sorted(points.items())))
        return
    chosen = _known(point, points)
    if json_:
        emit({**chosen.model_dump(mode="json"), "facts_schema": chosen.facts_schema()})
        return
    print(f"{chosen.name}, version {chosen.version}: {chosen.doc}")
    things: list[tuple[str, str, str, str, str | None]]
    things = [("fact", f.name, f.type, f.doc, None) for f in chosen.facts]
    things += [("setting", s.name, s.type, s.doc, s.default) for s in chosen.settings]
    things += [("attribute", a.name, a.type, a.doc, None) for a in chosen.attributes]
    for kind, name, type_, doc, default in things:
        print(f"  {kind} {name} ({type_}{f', {default} by default' if default else ''}): {doc}")
    for action in chosen.actions:
        args = f"({', '.join(a.name for a in action.args)})" if action.args else ""
        print(f"  action {action.name}{args}: {action.doc}")


def _points() -> "dict[str, tiki.Point]":
    from federation.points import schemas  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    return schemas(Roster(ROSTER).points)


def _known(name: str, points: "dict[str, tiki.Point]") -> "tiki.Point":
    if name not in points:
        from difflib import get_close_matches  # noqa: PLC0415

        near = get_close_matches(name, points, 1)
        cure = f"did you mean `{near[0]}`?" if near else "`elias tiki schema` lists them"
        raise Refused("no-point", f"there is no decision point `{name}`", cure=cure)
    return points[name]


def _program(context: typer.Context, path: Path | None, point: str) -> "tiki.Program":
    _known(point, _points())
    return _bundle(context, path).programs[point]


def _bundle(context: typer.Context, path: Path | None) -> "tiki.Bundle":
    import tiki  # noqa: PLC0415

    texts, overlays = _sources(context, path)
    try:
        return tiki.build(texts, _points(), overlays)
    except tiki.Invalid as error:
        raise Refused("tiki", str(error), cure="correct it; `elias tiki check` shows the same") from None


def _sources(context: typer.Context, path: Path | None) -> "tuple[list[tiki.Source], list[tiki.Source]]":
    """The specs at a path, or those of the settings with their overlay."""
    import tiki  # noqa: PLC0415

    if path is not None and not path.is_dir():
        return [tiki.Source(str(path), _read(path))], []
    settings = settings_of(context)
    folder = path or settings.spec_folder
    over = folder / "overlays" / settings.overlay if settings.overlay and path is None else None
    try:
        overlays = tiki.read_directory(over, f"overlays/{over.name}/") if over else []
        return tiki.read_directory(folder), overlays
    except tiki.Invalid as error:
        raise Refused("tiki", str(error), place=str(folder), cure="correct it") from None


def _files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.rglob("*.tiki")) if path.is_dir() else [path])]


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise Refused("unreadable", why, place=str(path), cure="check the path") from None
