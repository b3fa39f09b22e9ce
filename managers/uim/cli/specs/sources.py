"""What the commands of the language work on: specs in files or in force, and the decision points they are about."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import say

if TYPE_CHECKING:
    import tiki
    from tiki.diagnostics import Report

Folder = Annotated[Path | None, typer.Argument(help="A file or folder of specs; by default those in force.")]
Overlay = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Folder under `overlays/` that is laid over the base; by default that of the settings, over their folder.",
    ),
]


def points() -> "dict[str, tiki.Point]":
    from federation.points import schemas  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    return schemas(Roster(ROSTER).points)


def known(name: str, points: "dict[str, tiki.Point]") -> "tiki.Point":
    if name not in points:
        from difflib import get_close_matches  # noqa: PLC0415

        near = get_close_matches(name, points, 1)
        cure = f"did you mean `{near[0]}`?" if near else "`elias tiki schema` lists them"
        raise Refused("no-point", f"there is no decision point `{name}`", cure=cure)
    return points[name]


def program_of(context: typer.Context, path: Path | None, point: str) -> "tiki.Program":
    known(point, points())
    return bundle_of(context, path).programs[point]


def bundle_of(context: typer.Context, path: Path | None, overlay: str | None = None, shown: str = "") -> "tiki.Bundle":
    """Says which overlay was taken, if one was. shown: what the user calls the path."""
    import tiki  # noqa: PLC0415

    texts, overlays = sources(context, path, overlay)
    if overlays:
        say(f"{shown or folder_of(context, path)}: with overlay {overlay_in(context, path, overlay)}")
    try:
        return tiki.build(texts, points(), overlays)
    except tiki.Invalid as error:
        raise Refused("tiki", str(error), cure="correct it; `elias tiki check` shows the same") from None


def overlay_in(context: typer.Context, path: Path | None, overlay: str | None) -> str:
    """The name of the overlay over the specs at a path: the one that was asked for, else that of the settings where the
    path is theirs. Empty: none."""
    if overlay is not None:
        return overlay
    settings = settings_of(context)
    return settings.overlay if path is None or path.resolve() == settings.spec_folder.resolve() else ""


def sources(
    context: typer.Context, path: Path | None, overlay: str | None = None
) -> "tuple[list[tiki.Source], list[tiki.Source]]":
    """The specs at a path, or those of the settings, and those of the overlay. Refused where one of the files cannot be
    read."""
    import tiki  # noqa: PLC0415
    from tiki.diagnostics import Report  # noqa: PLC0415

    report = Report()
    found = readable(context, path, report, overlay)
    if report.found:
        raise Refused("unreadable", str(tiki.Invalid(report.found)), cure="correct it, or check the path")
    return found


def readable(
    context: typer.Context, path: Path | None, report: "Report", overlay: str | None = None
) -> "tuple[list[tiki.Source], list[tiki.Source]]":
    """The same, less the files that cannot be read: these go into `report`."""
    import tiki  # noqa: PLC0415
    from tiki.bundle import read_file  # noqa: PLC0415
    from tiki.document import TESTS  # noqa: PLC0415
    from tiki.merge import OVERLAYS  # noqa: PLC0415

    if overlay and path is not None and not path.is_dir():
        what = "an overlay is laid over a folder, and this is none"
        raise Refused("no-overlay", what, place=str(path), cure="name the folder, or leave --overlay out")
    if str(path) == "-":
        return [tiki.Source("-", read_text(Path("-")))], []
    if path is not None and not path.is_dir():
        if path.name.endswith(TESTS):
            raise Refused("tests", f"{path} holds scenarios, not specs", cure="`elias tiki test` runs and checks them")
        source = read_file(path, str(path), report)
        return [] if source is None else [source], []
    folder = folder_of(context, path)
    texts = _some(folder, "", report)
    name = overlay_in(context, path, overlay)
    if not name:
        return texts, []
    over = overlay_of(folder, name)
    return texts, _some(over, f"{OVERLAYS}{over.name}/", report)


def _some(folder: Path, prefix: str, report: "Report") -> "list[tiki.Source]":
    """The specs below a folder, at least one or what is wrong with it. Raises Refused."""
    from tiki.bundle import specs_below  # noqa: PLC0415

    if not folder.is_dir():
        raise _missing("there is no such folder of specs", folder, "correct the path, or `specs` in elias.yaml")
    before = len(report.found)
    texts = specs_below(folder, prefix, report)
    if not texts and len(report.found) == before:
        cure = "correct the path; specs are in files `NAME.tiki`, and `elias tiki new` writes one"
        raise Refused("no-specs", "there is no spec in this folder", place=str(folder), cure=cure)
    return texts


def overlay_of(folder: Path, name: str) -> Path:
    """The folder of an overlay. Raises Refused, with those that there are."""
    from tiki.merge import OVERLAYS  # noqa: PLC0415

    over = folder / OVERLAYS / name
    if over.is_dir():
        return over
    there = ", ".join(overlay_names(folder))
    cure = f"the overlays here are {there}" if there else f"make the folder {over}, or name no overlay"
    raise _missing(f"there is no overlay `{name}`", over, f"{cure}; `overlay` in elias.yaml names the one in force")


def overlay_names(folder: Path) -> list[str]:
    from tiki.merge import OVERLAYS  # noqa: PLC0415

    return sorted(path.name for path in (folder / OVERLAYS).glob("*") if path.is_dir())


def _missing(what: str, folder: Path, cure: str) -> Refused:
    from difflib import get_close_matches  # noqa: PLC0415

    beside = [path.name for path in folder.parent.glob("*") if path.is_dir()]
    near = get_close_matches(folder.name, beside, 1)
    return Refused("no-specs", what, place=str(folder), cure=f"did you mean `{near[0]}`? {cure}" if near else cure)


def folder_of(context: typer.Context, path: Path | None) -> Path:
    """What the paths of sources are relative to; the path of a single file is its own."""
    if path is not None:
        return path if path.is_dir() else Path()
    return settings_of(context).spec_folder


def files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.rglob("*.tiki")) if path.is_dir() else [path])]


def read_text(path: Path, newline: str | None = None) -> str:
    """newline: as `open` takes it; "" leaves the ends of lines as they are. Of a file that is larger than one of specs
    may be, so much is read that it still is."""
    from tiki.limits import LARGEST  # noqa: PLC0415

    try:
        if str(path) == "-":
            return sys.stdin.read(LARGEST + 1)
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise Refused("unreadable", why, place=str(path), cure="check the path") from None
