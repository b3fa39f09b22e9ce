"""`elias train dataset`: what the managers decided, as examples to learn from."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from training.dataset.quality import Quality
    from training.dataset.store import Recipe

COPIES = 16  # as in training/dataset/split.py, which takes a moment to import


def dataset(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of data sets; the new one is a folder in it.")] = Path("datasets"),
    ledger: Annotated[str, typer.Option(help="A file or a database URL; by default the ledger of the settings.")] = "",
    points: Annotated[
        list[str] | None, typer.Option(help="A decision point; can be given again. By default all.")
    ] = None,
    since: Annotated[str, typer.Option(help="Answers from this time on: 2026-03-01, 2026-03-01T12:00.")] = "",
    until: Annotated[str, typer.Option(help="Answers before this time.")] = "",
    changed: Annotated[
        list[str] | None,
        typer.Option(help="POINT=TIME: of this point only answers from then on, for its world is another; repeatable."),
    ] = None,
    upto: Annotated[int | None, typer.Option(min=1, help="Read at most this many records, as a recipe says.")] = None,
    copies: Annotated[int, typer.Option(min=0, help="Examples that are kept of near copies; 0: all.")] = COPIES,
    cap: Annotated[int | None, typer.Option(min=1, help="Most training examples of one action of a point.")] = None,
    sample: Annotated[int, typer.Option(min=0, help="Write this many decisions as a page for a person to judge.")] = 0,
    marks: Annotated[Path | None, typer.Option(help="Read the marks of such a page, and do nothing else.")] = None,
    json_: Json = False,
) -> None:
    """Make a data set of what the managers decided, and show how good it is.

    Examples are the decisions that a policy, an advisor or a person answered, with what was offered, who chose with
    which probabilities, and what came of it. Names from outside, words and events are not in it. The data set is a
    folder that is named by the digest of its content; the same ledger and options give the same one.

    REWARDED is the share with a reward; OVERRIDDEN of what somebody above the policy decided otherwise than it would
    have; BITS the mean entropy of the facts; BALANCE that of the actions chosen, of the most there can be; DIFFERING
    how many near copies people and advisors answered in more than one way; RIGHT what the simulated world says.

    Examples:

        elias train dataset

        elias train dataset --points ufm.dispatch --since 2026-01-01 --out data

        elias train dataset --ledger backup/ledger.db --sample 50

        elias train dataset --marks datasets/3f9a1c0b5d2e.md
    """
    if marks is not None:
        _tell(marks, json_)
        return
    from federation.gate import Gate  # noqa: PLC0415 - the federation and SQLAlchemy take half a second
    from federation.ledger.store import Store  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from training.dataset.build import Request, build  # noqa: PLC0415
    from training.dataset.store import read_recipe  # noqa: PLC0415

    known = {point.name: point for point in (*POINTS, *Gate.points)}
    worlds = dict(_world(one) for one in changed or ())
    span = _time(since, "--since"), _time(until, "--until")
    asked = Request(tuple(points or ()), *span, upto, copies or None, cap, worlds)
    store = Store.open(ledger or settings_of(context).ledger_url, read_only=True)
    try:
        with progress("records") as shown:
            folder = build(store, known, asked, out, shown)
    finally:
        store.close()
    recipe = read_recipe(folder)
    page = _page(folder, sample) if sample else None
    if json_:
        import msgspec  # noqa: PLC0415

        emit(
            {"folder": str(folder), "digest": folder.name, "sample": page and str(page), **msgspec.to_builtins(recipe)}
        )
        return
    _show(recipe)
    if page is not None:
        say(f"{page}: mark the decisions, then `elias train dataset --marks {page}`")
    print(folder)


def _world(text: str) -> tuple[str, int]:
    """A point, and since when its world is another."""
    point, _, since = text.partition("=")
    time = _time(since, "--changed")
    if time is None:
        cure = f"write POINT=TIME: {point or 'uam.restart'}=2026-03-01"
        raise Refused("dataset.time", f"`{text}` names no time", place="--changed", cure=cure)
    return point, time


def _time(text: str, option: str) -> int | None:
    """Ledger time, ns; None: no time is asked for."""
    from federation.clock import SECOND  # noqa: PLC0415

    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        cure = "write 2026-03-01, 2026-03-01T12:00 or 2026-03-01T12:00+01:00"
        raise Refused("dataset.time", f"`{text}` is no time", place=option, cure=cure) from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * SECOND


def _page(folder: Path, count: int) -> Path:
    from federation.gate import Gate  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from training.dataset.sample import drawn, page  # noqa: PLC0415
    from training.dataset.store import load  # noqa: PLC0415

    data = load(folder)
    schemas = {point.name: point.schema for point in (*POINTS, *Gate.points)}
    path = folder.with_name(f"{folder.name[:12]}.md")
    path.write_text(page(schemas, drawn([*data.train, *data.validation, *data.test], count)), "utf-8")
    return path


def _tell(path: Path, json_: bool) -> None:
    from training.dataset.sample import read  # noqa: PLC0415

    try:
        found = read(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        cure = "name the page that `elias train dataset --sample N` wrote"
        raise Refused("dataset.marks", "there is no such page", place=str(path), cure=cure) from None
    (low, high), count = found.interval, found.right + found.wrong
    if json_:
        counts = {"right": found.right, "wrong": found.wrong, "open": found.open}
        emit({**counts, "share": found.share, "interval": [low, high]})
        return
    print(f"{found.share:.1%} right ({found.right} of {count}); 95 % interval {low:.1%} to {high:.1%}")


def _show(recipe: "Recipe") -> None:
    splits = [(name, of.examples, of.families, _day(of.first), _day(of.last)) for name, of in recipe.splits.items()]
    table(("SPLIT", "EXAMPLES", "FAMILIES", "FROM", "TO"), splits, "no examples")
    print()
    rows = [_row(name, quality) for name, quality in recipe.quality.items()]
    table(
        ("POINT", "EXAMPLES", "ANSWERED BY", "REWARDED", "OVERRIDDEN", "BITS", "BALANCE", "DIFFERING", "RIGHT"),
        rows,
        "",
    )
    print()
    left = [(point, why, count) for point, of in recipe.left_out.items() for why, count in of.items()]
    table(("POINT", "NO EXAMPLES BECAUSE", "COUNT"), left, "every decision is an example")
    print()
    values = [(point, name, count) for point, of in recipe.dropped.items() for name, count in of.items()]
    if values:
        table(("POINT", "VALUES LEFT OUT", "COUNT"), values, "")
        print()


def _row(point: str, found: "Quality") -> tuple[str, ...]:
    judged = found.judged
    return (
        point,
        str(found.examples),
        ", ".join(f"{tier} {count}" for tier, count in found.tiers.items()),
        _percent(found.rewarded),
        _percent(found.overridden),
        f"{found.diversity:.2f}",
        _percent(found.balance),
        f"{found.differing} of {found.repeated}",
        _percent(judged.right) if judged is not None and judged.examples else "",
    )


def _day(time: int) -> str:
    from federation.clock import SECOND  # noqa: PLC0415

    return f"{datetime.fromtimestamp(time / SECOND, UTC):%Y-%m-%d %H:%M}" if time else ""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
