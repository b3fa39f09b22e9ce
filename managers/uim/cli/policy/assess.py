"""`elias policy assess`: whether what was promoted kept what was promised of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, table

if TYPE_CHECKING:
    from managers.uim.report.assess import Assessed, Change

NAMES = {"reward": "reward of a decision", "escalated": "not decided alone", "overridden": "decided otherwise above it"}


def assess(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Before and after a promotion, at most.")] = 30,
    ledger: Annotated[str, typer.Option(help="Another ledger: a file or a database URL.")] = "",
    json_: Json = False,
) -> None:
    """Compare what each champion was expected to gain with what came, before it and since.

    EXPECTED is the estimate that it came with, CAME the change of the mean reward in percent with its 95 % interval. It
    kept its promise where something was gained for certain and the lower end of the estimate may have been reached; it
    did not where that cannot be. Before and after are two times: what else changed meanwhile is in it.

    Examples:

        elias policy assess

        elias policy assess --days 7 --json
    """
    from federation.gate import Gate  # noqa: PLC0415 - the federation and SQLAlchemy take half a second
    from federation.ledger.store import Store  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from managers.uim.report.assess import assess as assessed  # noqa: PLC0415

    points = {point.name: point for point in (*POINTS, *Gate.points)}
    store = Store.open(ledger or settings_of(context).ledger_url, read_only=True)
    try:
        with progress("promotions") as shown:
            found = assessed(store, points, store.head().time + 1, days=days, progress=shown)
    finally:
        store.close()
    emit([_plain(one) for one in found]) if json_ else _show(found)


def _plain(one: "Assessed") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from managers.uim.reading import iso  # noqa: PLC0415

    return {**msgspec.to_builtins(one), "at": iso(one.at), "until": iso(one.until)}


def _show(found: "list[Assessed]") -> None:
    from managers.uim.reading import iso  # noqa: PLC0415

    rows: list[tuple[str, ...]] = []
    for one in found:
        expected = (
            "nothing"
            if one.expected is None
            else f"{one.expected.improvement:+.1f} % of {one.expected.of}, {one.expected.low:+.1f} at least"
        )
        came = "" if one.gain is None else f"{one.gain.value:+.1f} %, {one.gain.lower:+.1f} to {one.gain.upper:+.1f}"
        rows.append((one.point, one.policy[:12], iso(one.at)[:16], one.by, expected, came, one.verdict.value))
    columns = ("POINT", "CHAMPION", "SINCE", "BY", "EXPECTED", "CAME", "VERDICT")
    table(columns, rows, "nothing was promoted yet: `elias policy list` shows what is tried")
    details = [line for one in found for line in _details(one)]
    if details:
        print()
        table(("POINT", "CHAMPION", "FIGURE", "BEFORE", "AFTER", "95 % OF THE CHANGE", "UNIT"), details, "")


def _details(one: "Assessed") -> list[tuple[str, ...]]:
    first = (one.point, one.policy[:12])
    rows = [(*first, NAMES[name], *_cells(change, name, one.unit)) for name, change in one.figures.items()]
    before, after = ("" if value is None else f"{1000 * value:.3g}" for value in one.seconds)
    counts = str(one.decisions[0]), str(one.decisions[1])
    return [*rows, (*first, "median time of a score", before, after, "", "ms"), (*first, "decisions", *counts, "", "")]


def _cells(change: "Change", name: str, unit: str) -> tuple[str, ...]:
    factor, unit = (1.0, unit) if name == "reward" else (100.0, "%")
    before, after = ("" if value is None else f"{factor * value:.4g}" for value in (change.before, change.after))
    if change.difference is None:
        return before, after, "", unit
    ends = change.difference.scaled(factor)
    return before, after, f"{ends.lower:+.3g} to {ends.upper:+.3g}", unit
