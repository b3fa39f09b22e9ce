"""ack, release, assign, delegate, snooze, comment: who has a group of cases, and what is said of it."""

from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.cases.shared import Id, Words
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, when

Take = Annotated[bool, typer.Option("--take", help="Also if somebody else has it.")]


def ack(context: typer.Context, id: Id, words: Words = "", take: Take = False, json_: Json = False) -> None:
    """Take a group of cases: nobody else is told of it while you say something now and then.

    Examples:

        elias cases ack ID

        elias cases ack ID --take --words "ada is at lunch"
    """
    _say(context, id, "acknowledge", {"words": words, "take": take}, json_)


def release(context: typer.Context, id: Id, words: Words = "", take: Take = False, json_: Json = False) -> None:
    """Give a group of cases back to everybody.

    Examples:

        elias cases release ID
    """
    _say(context, id, "release", {"words": words, "take": take}, json_)


def assign(
    context: typer.Context,
    id: Id,
    person: Annotated[str, typer.Argument(help="The name under which they sign in.", show_default=False)],
    words: Words = "",
    take: Take = False,
    json_: Json = False,
) -> None:
    """Give a group of cases to somebody, who is told of it.

    Examples:

        elias cases assign ID bob
    """
    _say(context, id, "assign", {"to": person, "words": words, "take": take}, json_)


def delegate(
    context: typer.Context,
    id: Id,
    to: Annotated[str, typer.Argument(help="A person, or a chain of `elias.yaml`.", show_default=False)],
    words: Words = "",
    take: Take = False,
    json_: Json = False,
) -> None:
    """Hand on what you have, to a person or to the people of a chain.

    Examples:

        elias cases delegate ID storage --words "the disks, not the cards"
    """
    _say(context, id, "delegate", {"to": to, "words": words, "take": take}, json_)


def snooze(
    context: typer.Context,
    id: Id,
    how_long: Annotated[str, typer.Argument(metavar="FOR", help="`30m`, `2h`, `1d`.", show_default=False)],
    words: Words = "",
    take: Take = False,
    json_: Json = False,
) -> None:
    """Hear nothing of a group for a while. Its time-out goes on.

    Examples:

        elias cases snooze ID 2h --words "the vendor is on the way"
    """
    _say(context, id, "snooze", {"seconds": _seconds(how_long), "words": words, "take": take}, json_)


def comment(
    context: typer.Context,
    id: Id,
    words: Annotated[str, typer.Argument(help="What to say, for the record.", show_default=False)],
    json_: Json = False,
) -> None:
    """Say something about a group, for whoever looks at it.

    Examples:

        elias cases comment ID "rack 4 was re-cabled yesterday"
    """
    _say(context, id, "comment", {"words": words}, json_)


def _say(context: typer.Context, id: str, what: str, body: dict[str, Any], json_: bool) -> None:
    found = Api(settings_of(context)).post(f"/v1/cases/{id}/{what}", body)
    if json_:
        emit(found)
        return
    cases = f"{found['open']} case{'s' if found['open'] != 1 else ''}"
    sleeps = f", sleeps until {when(found['snoozed'])}" if found["snoozed"] else ""
    print(f"{found['id']} {found['point']}: {cases}, {found['holder'] or 'nobody'} has it{sleeps}")


def _seconds(text: str) -> int:
    from federation.sections import seconds  # noqa: PLC0415 - pydantic takes a quarter of a second

    try:
        return round(float(str(seconds(text))))
    except ValueError:
        raise Refused(
            "bad-duration", f"`{text}` is no duration", place="FOR", cure="write `30m`, `2h` or `1d`"
        ) from None
