"""`elias tiki check`: what is wrong or doubtful in specs."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress, say
from managers.uim.cli.specs.bounded import Step, bounded
from managers.uim.cli.specs.sources import Folder, Overlay, folder_of, overlay_in, overlay_names, points, readable

if TYPE_CHECKING:
    from tiki import Diagnostic, Source
    from tiki.diagnostics import Report


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class FailOn(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


def check(
    context: typer.Context,
    path: Folder = None,
    overlay: Overlay = None,
    format_: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.TEXT,
    json_: Json = False,
    fail_on: Annotated[FailOn, typer.Option(help="From which severity on the exit code is 1.")] = FailOn.ERROR,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write the fixes that change nothing of what is decided, and say which.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and nothing else.")] = False,
    explain: Annotated[str, typer.Option(metavar="CODE", help="Print the page about a code, and check nothing.")] = "",
    budget: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="For proofs; 0 leaves out what needs one.")
    ] = 60.0,
) -> None:
    """Find everything that is wrong or doubtful, with place, code and what to write instead.

    Doubtful is what is allowed and hardly meant: a rule that never decides, a guard that forbids everything, a setting
    that nothing uses. Each is proved for all facts, known, absent and unknown; what could not be settled in time is not
    reported.

    Examples:

        elias tiki check

        elias tiki check my_specs --fail-on warning

        elias tiki check my_specs --diff

        elias tiki check --explain TIKI-702

        elias tiki check --format sarif > findings.sarif
    """
    if explain:
        print(_page(explain))
        return
    from tiki.diagnostics import Report  # noqa: PLC0415 - the parser takes a quarter of a second

    report = Report()
    texts, overlays = readable(context, path, report, overlay)
    if overlays:
        say(f"with overlay {overlay_in(context, path, overlay)}")
    files = len(texts) + len(overlays) + len(report.found)
    if fix or diff:
        report.take(_fix(context, path, texts, overlays, write=not diff, budget=budget))
    else:
        report.take(_checked(texts, overlays, budget))
        if overlay is None and not overlays and (path is None or path.is_dir()):
            files += _with_each_overlay(context, path, budget, report)
    found = report.in_order()
    if not diff:
        _show(found, Format.JSON if json_ else format_, _locate(context, path), files)
    bad = {FailOn.ERROR: ("error",), FailOn.WARNING: ("error", "warning"), FailOn.NEVER: ()}[fail_on]
    if any(one.severity in bad for one in found):
        raise typer.Exit(1)


def _checked(texts: "Sequence[Source]", overlays: "Sequence[Source]", budget: float) -> "list[Diagnostic]":
    import tiki  # noqa: PLC0415

    declared = points()

    def work(seconds: float, step: Step) -> "tuple[list[Diagnostic], list[str]]":
        open_: list[str] = []
        return tiki.check(texts, declared, overlays, budget=seconds, progress=step, unsettled=open_.append), open_

    with progress("proving") as step:
        found, open_ = bounded(work, budget, step)
    if open_ and budget:
        say(f"not settled in {budget:g} s: {', '.join(open_)}; --budget gives it more time")
    return found


def _with_each_overlay(context: typer.Context, path: Path | None, budget: float, report: "Report") -> int:
    """Adds to the report of the base what every overlay brings, and says how each did. How many files they have."""
    base, files = list(report.found), 0
    for name in overlay_names(folder_of(context, path)):
        try:
            texts, overlays = readable(context, path, report, name)
        except Refused as refused:
            say(f"with overlay {name}: {refused.message}")
            continue
        found = _checked(texts, overlays, budget)
        errors = sum(one.severity == "error" for one in found)
        say(f"with overlay {name}: {errors} errors, {len(found) - errors} warnings")
        report.take(_named(one, name) for one in found if one not in base)
        files += len(overlays)
    return files


def _named(one: "Diagnostic", overlay: str) -> "Diagnostic":
    """A finding that says which overlay makes it, where its place does not."""
    from dataclasses import replace  # noqa: PLC0415

    from tiki.merge import OVERLAYS  # noqa: PLC0415

    inside = one.path.startswith(f"{OVERLAYS}{overlay}/")
    return one if inside else replace(one, message=f"with overlay {overlay}: {one.message}")


def _page(code: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    from tiki.findings.codes import CODES, page  # noqa: PLC0415

    known = code.upper()
    if known not in CODES:
        near = get_close_matches(known, CODES, 1)
        cure = f"did you mean `{near[0]}`?" if near else f"the codes are {', '.join(CODES)}"
        raise Refused("no-code", f"there is no code `{code}`", cure=cure)
    return page(known) or f"{known}: {CODES[known]}"


def _locate(context: typer.Context, path: Path | None) -> Callable[[str], str]:
    """From the path of a source to that of its file, from the current folder where it lies below it."""
    folder = folder_of(context, path).resolve()

    def locate(source: str) -> str:
        file, here = folder / source, Path.cwd()
        return (file.relative_to(here) if file.is_relative_to(here) else file).as_posix()

    return locate


def _fix(
    context: typer.Context,
    path: Path | None,
    texts: Sequence["Source"],
    overlays: Sequence["Source"],
    *,
    write: bool,
    budget: float,
) -> Sequence["Diagnostic"]:
    """Fixes, and says what was done; what is left. Where nothing is written, everything is."""
    from tiki.fix import fix  # noqa: PLC0415

    if write and str(path) == "-":
        raise Refused("stdin", "standard input cannot be written to", cure="use --diff, or name the file")
    declared = points()
    fixed = bounded(lambda seconds, _: fix(texts, declared, overlays, budget=seconds), budget)
    folder = folder_of(context, path)
    before = {source.path: source.text for source in (*texts, *overlays)}
    for source in (*fixed.sources, *fixed.overlays):
        if source.text == before[source.path]:
            continue
        if write:
            _write(folder / source.path, source.text)
        else:
            print(_difference(source.path, before[source.path], source.text), end="")
    for one in fixed.done if write else ():
        assert one.fix is not None
        say(f"fixed {one.path}:{one.line}: {one.code}: {one.fix.title}")
    return fixed.left if write else (*fixed.done, *fixed.left)


def _write(file: Path, text: str) -> None:
    try:
        file.write_bytes(text.encode("utf-8"))
    except OSError as error:
        cure = "see who may write there"
        raise Refused("unwritable", error.strerror or str(error), place=str(file), cure=cure) from None


def _difference(path: str, before: str, after: str) -> str:
    from difflib import unified_diff  # noqa: PLC0415

    lines = unified_diff(
        before.splitlines(True), after.splitlines(True), f"a/{path.lstrip('/')}", f"b/{path.lstrip('/')}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _show(found: Sequence["Diagnostic"], format_: Format, locate: Callable[[str], str], files: int) -> None:
    match format_:
        case Format.JSON:
            emit([_plain(one) for one in found])
        case Format.SARIF:
            from tiki.sarif import to_sarif  # noqa: PLC0415

            emit(to_sarif(found, locate))
        case Format.TEXT:
            for one in found:
                print(f"{one}\n")
            errors = sum(one.severity == "error" for one in found)
            print(f"{files} files, {errors} errors, {len(found) - errors} warnings")


def _plain(found: "Diagnostic") -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    places = [(note.message, note.place) for note in found.notes]
    notes = [
        {"message": message, "place": {"path": at.path, "span": asdict(at.span), "excerpt": at.excerpt}}
        for message, at in places
    ]
    return {**asdict(found), "notes": notes}
