"""apps: the applications that ELIAS runs, and what a person asks of one."""

import getpass
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.decide import line_of
from managers.uim.cli.output import Json, complain, emit, table

app = typer.Typer(invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="An instance (`web/0`), or an application: all of its instances (`web`).")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="apps")
    for request, doc in _REQUESTS.items():
        app.command(request, help=doc)(_command(request))


@app.callback()
def apps(context: typer.Context, json_: Json = False) -> None:
    """The applications that ELIAS runs: what `apps.yaml` declares, and how each does.

    Examples:

        elias apps

        elias apps restart web/0
    """
    if context.invoked_subcommand is None:
        _list(context, json_)


def _list(context: typer.Context, json_: bool) -> None:
    found = Api(settings_of(context)).get("/v1/apps")
    if json_:
        emit(found)
        return
    columns = ("instance", "status", "node", "pid", "up", "memory", "restarts", "")
    table(columns, map(_row, found["apps"]), "no applications; docs/applications.md shows how to declare one")
    if found["problem"]:
        complain(found["problem"]["message"], found["problem"]["place"], found["problem"]["cure"])


def _row(app: dict[str, Any]) -> list[str]:
    code, up, memory = app["exit_code"], app["uptime_s"], app["memory"]
    notes = [
        f"`elias cases answer {app['case']}`" if app["case"] else "",
        "" if app["declared"] else "not declared any more",
        f"ended with {code}" if code is not None and app["pid"] is None else "",
    ]
    return [
        app["name"],
        app["status"],
        app["node"] or "",
        str(app["pid"] or ""),
        "" if up is None else _duration(up),
        "" if memory is None or app["pid"] is None else f"{memory / 1e6:.0f} MB",
        str(app["restarts"]),
        "; ".join(filter(None, notes)),
    ]


def _duration(seconds: float) -> str:
    """The two largest units: `3d 4h`, `12s`."""
    parts, rest = [], int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return " ".join(parts[:2]) or "0s"


_REQUESTS = {
    "start": """Start what a person stopped or what was given up.

Example:

    elias apps start web""",
    "stop": """Stop it, and leave it down until it is started or declared anew.

Example:

    elias apps stop web/0""",
    "restart": """End what runs of it and start it again.

Example:

    elias apps restart web""",
}


def _command(request: str) -> Callable[..., None]:
    def ask(context: typer.Context, name: Name, json_: Json = False) -> None:
        api = Api(settings_of(context))
        subjects = _instances(name, [app["name"] for app in api.get("/v1/apps")["apps"]])
        answers = [_ask(api, subject, request) for subject in subjects]
        if json_:
            emit({"decisions": answers})
            return
        for decision in answers:
            print(line_of(decision))

    return ask


def _instances(name: str, known: list[str]) -> list[str]:
    found = [one for one in known if name in (one, one.partition("/")[0])]
    if not found:
        from difflib import get_close_matches  # noqa: PLC0415

        near = get_close_matches(name, [*known, *(one.partition("/")[0] for one in known)], 1)
        cure = f"did you mean `{near[0]}`?" if near else "`elias apps` lists them"
        raise Refused("no-app", f"there is no application `{name}`", cure=cure)
    return found


def _ask(api: Api, subject: str, request: str) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": f"elias/cli/{getpass.getuser()}",
        "type": "elias.app.request",
        "subject": subject,
        "data": {"request": request},
    }
    (decision,) = api.post("/v1/events", event)["decisions"]
    found: dict[str, Any] = decision
    return found
