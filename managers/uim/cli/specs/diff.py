"""`elias tiki diff`: what an edit changes in meaning, and which recorded decisions it would have changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of, url_of
from managers.uim.cli.output import Json, emit, progress, say, table
from managers.uim.cli.specs import meaning
from managers.uim.cli.specs.revision import bundle_at
from managers.uim.cli.specs.sources import Overlay

if TYPE_CHECKING:
    from federation.ledger.store import Store
    from federation.whatif import Changed, Counted, Edit


def diff(
    context: typer.Context,
    old: Annotated[
        str,
        typer.Argument(help="A file, folder or bundle, `REVISION:PATH`, `latest`, or a version or digest on record."),
    ],
    new: Annotated[str, typer.Argument(help="The same, of the specs after the edit.")],
    overlay: Overlay = None,
    ledger: Annotated[str, typer.Option(help="A file or database URL; by default the one of this installation.")] = "",
    no_ledger: Annotated[bool, typer.Option("--no-ledger", help="Compare the meaning alone.")] = False,
    number: Annotated[int, typer.Option("--number", "-n", min=0, help="How many decisions to name.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Name every decision that falls otherwise.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the proofs about each point.")] = 10.0,
    json_: Json = False,
) -> None:
    """What an edit of specs changes, and which recorded decisions would have been different.

    First what is decided otherwise, for all inputs, with an example each. Then every question on record is judged again
    under both, with the facts and candidates of then. `latest` is the newest bundle on record: what is in force, or was
    last.

    Examples:

        elias tiki diff latest tiki_specs

        elias tiki diff HEAD~1:tiki_specs tiki_specs --no-ledger

        elias tiki diff 3f9a1c0b my_specs --ledger postgresql://elias@db/elias --all
    """
    from federation.runtime.roster import Roster  # noqa: PLC0415 - what knows all managers
    from federation.whatif import Edit  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    points = Roster(ROSTER).points
    with _opened(context, ledger, no_ledger) as store:
        edit = Edit(*(bundle_at(context, word, overlay, store, points) for word in (old, new)))
        comparisons = meaning.compared(edit, timeout)
        if json_:
            found = _report(context, edit, store, points, None if all_ else number)
            emit({**found, "meaning": [meaning.plain(one) for one in comparisons]})
            return
        for one in comparisons:
            print("\n".join(meaning.lines(one)))
        _print(context, edit, store, points, None if all_ else number)


@contextmanager
def _opened(context: typer.Context, url: str, without: bool) -> "Iterator[Store | None]":
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    if without:
        yield None
        return
    try:
        store = Store.open(url or settings_of(context).ledger_url, read_only=True)
    except Refused:
        if url:
            raise
        say("there is no ledger here, so recorded decisions are not looked at")
        yield None
        return
    try:
        yield store
    finally:
        store.close()


def _judged(edit: "Edit", store: "Store", points: Any, changed: "Callable[[Changed], None]") -> "dict[str, Counted]":
    from federation.whatif import whatif  # noqa: PLC0415

    with progress("records") as shown:
        return whatif(store, points, edit, changed, shown)


def _report(
    context: typer.Context, edit: "Edit", store: "Store | None", points: Any, most: int | None
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def keep(one: "Changed") -> None:
        if most is None or len(found) < most:
            found.append({**one._asdict(), "old": str(one.old), "new": str(one.new), "url": _url(context, one)})

    counts = _judged(edit, store, points, keep) if store is not None else None
    return {
        "old": edit.old.digest,
        "new": edit.new.digest,
        "points": edit.points,
        "settings_of_managers": [{"point": point, "setting": name} for point, name in edit.settings],
        "recorded": None if counts is None else {name: _plain(count) for name, count in counts.items()},
        "decisions": found,
    }


def _plain(count: "Counted") -> dict[str, Any]:
    turns = [{"old": old, "new": new, "decisions": times} for (old, new), times in count.turns.most_common()]
    untold = dict(count.untold)
    return {"decisions": count.decisions, "changed": count.changed, "turns": turns, "untold": untold}


def _print(context: typer.Context, edit: "Edit", store: "Store | None", points: Any, most: int | None) -> None:
    if not edit.points:
        print("the rules are the same")
    for point, name in edit.settings:
        print(f"{point}: {name} is read by {point.partition('.')[0].upper()} itself; no record shows what it changes")
    if store is None or not edit.points:
        return
    print()
    named: list[Changed] = []

    def keep(one: "Changed") -> None:
        if most is None:
            print(_line(one))
        elif len(named) < most:
            named.append(one)

    counts = _judged(edit, store, points, keep)
    for one in named:
        print(_line(one))
    changed, decisions = (sum(getattr(c, what) for c in counts.values()) for what in ("changed", "decisions"))
    if changed > len(named) and most is not None:
        print(f"and {changed - len(named)} more; `--all` names them")
    if changed:
        print(f"`elias explain ID` says why it was decided so, as does {url_of(settings_of(context))}/decisions/ID\n")
    print(f"{changed} of {decisions} recorded decisions would have been different")
    rows = [
        [point.partition(".")[0], point, f"{old} -> {new}", times]
        for point, count in counts.items()
        for (old, new), times in count.turns.most_common()
    ]
    if rows:
        table(("manager", "point", "choice", "decisions"), rows, "")
    for point, count in counts.items():
        for why, times in count.untold.items():
            print(f"{point}: {times} cannot be told: {why}")


def _line(one: "Changed") -> str:
    from managers.uim.reading import iso  # noqa: PLC0415

    return f"{one.decision} {iso(one.time)} {one.point} {one.subject}: {one.old} -> {one.new}"


def _url(context: typer.Context, one: "Changed") -> str:
    return f"{url_of(settings_of(context))}/decisions/{one.decision}"
