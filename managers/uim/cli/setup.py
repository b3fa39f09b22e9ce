"""settings, token: this installation."""

from typing import Annotated

import typer

from managers.uim import tokens
from managers.uim.cli.client import Api, settings_of, url_of
from managers.uim.cli.output import Json, emit, table


def add_to(app: typer.Typer) -> None:
    app.command()(settings)
    app.command()(token)


def settings(context: typer.Context, json_: Json = False) -> None:
    """Every setting of `elias.yaml` with its value, and the default of those that were set.

    Examples:

        elias settings

        elias --config /etc/elias/elias.yaml settings --json
    """
    from federation.settings import Settings  # noqa: PLC0415

    chosen = settings_of(context)
    if json_:
        emit(chosen.model_dump(mode="json"))
        return
    table(("setting", "value", ""), _rows(chosen, Settings(), ""), "")


def _rows(chosen: object, default: object, prefix: str) -> list[tuple[str, str, str]]:
    from pydantic import BaseModel  # noqa: PLC0415

    rows = []
    assert isinstance(chosen, BaseModel)
    for name in type(chosen).model_fields:
        value, usual = getattr(chosen, name), getattr(default, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, usual, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value), "" if value == usual else f"default {usual}"))
    return rows


def token(
    context: typer.Context,
    link: Annotated[
        bool, typer.Option("--link", help="A link instead: it signs one browser in, within a quarter of an hour.")
    ] = False,
) -> None:
    """The token of the owner of this installation. Whoever has it may do everything: do not paste it where others read.

    Examples:

        curl -H "Authorization: Bearer $(elias token)" http://127.0.0.1:8600/v1/nodes

        elias token --link
    """
    chosen = settings_of(context)
    if link:
        print(url_of(chosen) + Api(chosen, as_owner=True).post("/v1/links", None)["path"])
    else:
        print(tokens.read(chosen.state))
