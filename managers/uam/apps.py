"""Applications as a person declares them in `apps.yaml`."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from federation import strictyaml
from federation.errors import Refused
from federation.sections import Duration
from tiki.schema import Type
from tiki.values import canonical

MOST_INSTANCES = 500  # of all applications together
FROM_ENVIRONMENT = "env:"
"""What a value in `env` begins with when it is the name of a variable of the node agent's own environment."""


def _size(value: object) -> object:
    return canonical(Type.BYTES, value) if isinstance(value, str) else value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
Word = Annotated[str, StringConstraints(max_length=32_768, pattern=r"^[^\x00]*$")]
Bytes = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Stop(_Declared):
    """How it is ended: by this signal to its process group, and by SIGKILL after `grace`."""

    signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"] = "TERM"
    grace: Duration = 10.0


class Check(_Declared):
    """How to tell that it serves: a command that ends with 0, a port that accepts, or a URL that answers below 400."""

    command: tuple[Word, ...] = ()
    tcp: str = ""
    http: str = ""
    every: Duration = Field(10.0, gt=0)
    timeout: Duration = Field(5.0, gt=0)
    after: Duration = 30.0
    """Failures do not count before it has run for so long."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.command, self.tcp, self.http))) != 1:
            raise ValueError("give one of `command`, `tcp` or `http`")
        if self.tcp:
            address(self.tcp)
        if self.http and not self.http.startswith(("http://", "https://")):
            raise ValueError("`http` is a URL such as http://127.0.0.1:8080/health")
        return self


class Launch(_Declared):
    """What a node needs to know to run one instance."""

    command: tuple[Word, ...] = Field(min_length=1)
    cwd: Path | None = None
    env: dict[Variable, Word] = {}
    stop: Stop = Stop()
    check: Check | None = None


class App(Launch):
    node: str = "any"
    instances: int = Field(1, ge=0, le=100)
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    memory: Bytes | None = None
    priority: int = 0
    group: Name | None = None
    moves_after: Duration | Literal["never"] = 300.0
    """How long its node has to be silent until it is started on another one, where `node` is `any`."""


class Apps(_Declared):
    """The whole file. groups: how the members of a group restart together, as in OTP's supervisor."""

    apps: dict[Name, App] = {}
    groups: dict[Name, Strategy] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, app in self.apps.items():
            if app.group is not None and app.group not in self.groups:
                raise ValueError(f"`{name}` is of the group `{app.group}`, which `groups` does not name")
        if sum(app.instances for app in self.apps.values()) > MOST_INSTANCES:
            raise ValueError(f"more than {MOST_INSTANCES} instances")
        return self


class Declared(msgspec.Struct, frozen=True):
    """An application as the ledger keeps it. digest: of what a running process would have to be restarted for."""

    launch: dict[str, Any]
    digest: str
    node: str
    instances: int
    restart: str
    memory: int | None
    priority: int
    group: str
    strategy: Strategy
    moves_after: float | None = None


def load(path: Path) -> dict[str, Declared]:
    """The applications of a file, in its order. Raises Refused with place and cure."""
    raw: Any = strictyaml.load(path)
    try:
        apps = Apps.model_validate(raw or {})
    except ValidationError as error:
        raise _explained(error, path) from None
    return {name: _declared(app, apps.groups, path.resolve().parent) for name, app in apps.apps.items()}


def _declared(app: App, groups: dict[str, Strategy], folder: Path) -> Declared:
    launch = Launch.model_validate({name: getattr(app, name) for name in Launch.model_fields})
    cwd = folder / launch.cwd.expanduser() if launch.cwd else folder
    plain = launch.model_copy(update={"cwd": cwd}).model_dump(mode="json")
    digest = hashlib.sha256(json.dumps([plain, app.node], sort_keys=True).encode()).hexdigest()[:16]
    group = app.group or ""
    strategy = groups[group] if group else "one_for_one"
    moves_after = None if app.moves_after == "never" else app.moves_after
    return Declared(
        plain, digest, app.node, app.instances, app.restart, app.memory, app.priority, group, strategy, moves_after
    )


def address(text: str) -> tuple[str, int]:
    """`8080` or `host:8080`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("`tcp` is a port such as 8080, or host:8080")
    return host or "127.0.0.1", int(port)


def _explained(error: ValidationError, path: Path) -> Refused:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    cure = "docs/applications.md lists what an application may declare; what ran before goes on"
    return Refused("apps", f"{where}: {message}{more}" if where else f"{message}{more}", place=str(path), cure=cure)
