"""list, show, on-call: what waits, and whose turn it is."""

from typing import Annotated, Any

import typer

from managers.uim.cli.cases.shared import PAGE, Id, pages
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, arguments, emit, say, table, when

_NOTHING = "nothing waits for you"
_HEADS = ("group", "priority", "point", "cases", "answer with", "who has it", "answer by", "until")


def list_(
    context: typer.Context,
    *,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you have.")] = False,
    manager: Annotated[str, typer.Option(help="Only of this manager.")] = "",
    point: Annotated[str, typer.Option(help="Only of this decision point.")] = "",
    priority: Annotated[str, typer.Option(help="Only critical, high, normal or low ones.")] = "",
    snoozed: Annotated[bool, typer.Option("--snoozed", help="Only what sleeps.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Every case, instead of groups.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many lines.")] = 50,
    json_: Json = False,
) -> None:
    """Groups of alike cases, or with `--each` every case; the most urgent first.

    Examples:

        elias cases list --mine

        elias cases list --each --point gate.approval --json
    """
    api = Api(settings_of(context))
    name = "cases" if each else "groups"
    path = "/v1/cases" if each else "/v1/cases/groups"
    wanted = {"manager": manager, "point": point, "priority": priority, "state": "snoozed" if snoozed else ""}
    rows, more = pages(api, path, name, limit, holder="me" if mine else "", **wanted)
    if json_:
        emit({name: rows})
    elif each:
        table(("case", "priority", "point", "subject", "why", "answer with", "until"), map(_case, rows), _NOTHING)
    else:
        table(_HEADS, map(_group, rows), _NOTHING)
    if more:
        say("there are more; `--limit` shows them")


def _case(case: dict[str, Any]) -> list[str]:
    options = ", ".join(arguments(option["action"], option["args"]) for option in case["options"])
    what = [case["priority"], case["point"], case["subject"], case["reason"]]
    return [case["id"], *what, options, when(case["until"])]


def _group(group: dict[str, Any]) -> list[str]:
    holder = group["holder"] + ("" if group["acknowledged"] or not group["holder"] else " (asked)")
    if group["snoozed"]:
        holder = f"{holder} sleeps until {when(group['snoozed'])}".strip()
    due = when(group["due"]) + (" (missed)" if group["overdue"] else "")
    what = [group["id"], group["priority"], group["point"], str(group["open"]), ", ".join(group["actions"])]
    return [*what, holder, due, when(group["until"])]


def show(context: typer.Context, id: Id, json_: Json = False) -> None:
    """A group: its cases, what was proposed, and what was said of it.

    Examples:

        elias cases show ID

        elias explain ID    # the evidence of one case
    """
    found = Api(settings_of(context)).get(f"/v1/cases/groups/{id}", limit=PAGE)
    if json_:
        emit(found)
        return
    table(_HEADS, [_group(found)], "")
    print()
    rows = [[c["id"], c["subject"], _proposal(c["proposal"]), c["reason"], when(c["until"])] for c in found["cases"]]
    table(("case", "subject", "proposed", "why", "until"), rows, "all are answered")
    if found["next"]:
        say(f"and {found['open'] - len(found['cases'])} more; `elias cases list --each` shows them")
    for word in found["words"]:
        to = f" {word['to'] or word['through']}" if word["to"] or word["through"] else ""
        print(f"{word['at']}  {word['by']} {word['what']}{to}{': ' + word['words'] if word['words'] else ''}")


def _proposal(proposal: dict[str, Any] | None) -> str:
    if proposal is None:
        return ""
    what = arguments(proposal["action"], proposal["args"])
    sure = f", {proposal['confidence']:.0%} sure" if proposal["confidence"] is not None else ""
    return f"{what} ({proposal['by']}{sure})" if proposal["by"] else what


def on_call(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=90, help="How far to look ahead.")] = 14,
    json_: Json = False,
) -> None:
    """Who is on call now and next, by the schedules of `elias.yaml`.

    Examples:

        elias cases on-call

        elias cases on-call --days 60
    """
    found = Api(settings_of(context)).get("/v1/cases/on-call", days=days)
    if json_:
        emit(found)
        return
    rows = [
        [one["schedule"], shift["person"] or "nobody", _day(shift["starts"]), _day(shift["ends"])]
        for one in found["schedules"]
        for shift in one["shifts"]
    ]
    table(("schedule", "on call", "from", "until"), rows, "no schedules; docs/cases.md shows how")


def _day(time: str) -> str:
    from datetime import datetime  # noqa: PLC0415 - help need not pay for it

    return datetime.fromisoformat(time).astimezone().strftime("%a %d %b %H:%M")
