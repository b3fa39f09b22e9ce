"""report: what letting policies decide was worth, from the ledger."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from managers.uim.report.collect import Report
    from managers.uim.report.intervals import Interval


def add_to(app: typer.Typer) -> None:
    app.command()(report)


def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back from --until.")] = 30,
    until: Annotated[str, typer.Option(help="A time, such as 2026-03-01T12:00Z; by default the ledger's end.")] = "",
    minutes: Annotated[
        float, typer.Option(min=0, help="That a person takes over a case, where too few were measured.")
    ] = 10.0,
    hour: Annotated[float, typer.Option(min=0, help="Dollars for an hour of an operator.")] = 100.0,
    core_hour: Annotated[float, typer.Option(min=0, help="Dollars for an hour of a processor core.")] = 0.04,
    gpu_hour: Annotated[float, typer.Option(min=0, help="Dollars for an hour of a GPU.")] = 2.0,
    ledger: Annotated[str, typer.Option(help="Another ledger: a file or a database URL.")] = "",
    json_: Json = False,
) -> None:
    """What letting policies decide was worth: escalations avoided, time saved, money, and what it cost.

    All of it is read from the ledger, so it works with everything down. What is estimated comes with its 95 % interval;
    what has no record is assumed, and the assumption stands beside the figure.

    Examples:

        elias report

        elias report --days 7 --hour 80 --json

        elias report --ledger backup/ledger.db --minutes 4
    """
    import time  # noqa: PLC0415

    from federation.clock import DAY  # noqa: PLC0415
    from federation.gate import Gate  # noqa: PLC0415 - the federation and SQLAlchemy take half a second
    from federation.ledger.store import Store  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from managers.uim.reading import nanoseconds  # noqa: PLC0415
    from managers.uim.report.collect import report as collected  # noqa: PLC0415
    from managers.uim.report.worth import Prices  # noqa: PLC0415

    settings = settings_of(context)
    points = {point.name: point for point in (*POINTS, *Gate.points)}
    store = Store.open(ledger or settings.ledger_url, read_only=True)
    try:
        end = nanoseconds(until, "--until") if until else (store.head().time or time.time_ns()) + 1
        prices = Prices(minutes, hour, core_hour, gpu_hour)
        with progress("records") as shown:
            found = collected(store, points, settings.escalation, end - days * DAY, end, prices, shown)
    finally:
        store.close()
    emit(_plain(found)) if json_ else _show(found)


def _plain(found: "Report") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from managers.uim.reading import iso  # noqa: PLC0415

    return {**msgspec.to_builtins(found), "since": iso(found.since), "until": iso(found.until)}


def _show(found: "Report") -> None:
    from managers.uim.reading import iso  # noqa: PLC0415

    say(f"{iso(found.since)} to {iso(found.until)}, ledger time")
    every = sum(found.tiers.values())
    rows = [(tier, f"{count:,}", f"{100 * count / every:.1f} %") for tier, count in found.tiers.items()]
    table(("ANSWERED BY", "DECISIONS", "SHARE"), rows, "nothing was decided in this time")
    print()
    figures = [(one.name, *_cells(one.value), one.unit, one.rests_on) for one in found.figures]
    table(("FIGURE", "VALUE", "95 % INTERVAL", "UNIT", "RESTS ON"), figures, "")
    print()
    gained = [(one.point, one.policy[:12], *_cells(one.total), one.unit, one.decisions) for one in found.gained]
    columns = ("POINT", "CHAMPION", "GAINED", "95 % INTERVAL", "UNIT", "DECISIONS")
    table(columns, gained, "of no promoted policy enough is known to say what it gained: `elias policy assess`")


def _cells(value: "Interval") -> tuple[str, str]:
    ends = "" if value.low is None or value.high is None else f"{value.low:,.4g} to {value.high:,.4g}"
    return f"{value.value:,.4g}", ends
