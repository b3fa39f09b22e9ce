"""The settings of `elias.yaml`: one object, every field with its unit, default and reason."""

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from federation import strictyaml
from federation.errors import Refused

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: object) -> object:
    """`30s`, `5m`, `2h` or a number of seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", value.strip())
        if match is None:
            raise ValueError("write a duration as `30s`, `5m`, `2h` or `1d`")
        return float(match[1]) * _UNITS[match[2]]
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"`{name}` is not a time zone; write one like `Europe/Zurich` or `UTC`") from None
    return name


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Section):
    """Where the API and the page are served. Loopback: reaching it from elsewhere is a decision for a person."""

    host: str = "127.0.0.1"
    port: int = Field(8600, ge=1, le=65535)
    hosts: tuple[str, ...] = ()
    """Further names that a `Host` header may carry, for a proxy in front; loopback names and `host` always may."""


class LedgerSettings(_Section):
    url: str = ""
    """SQLAlchemy URL; empty: SQLite in the state folder. PostgreSQL: `postgresql://user@host/elias`."""
    tick: Duration = 10.0
    """The longest time between two records of time passing; timers that are due sooner make their own."""
    lease: Duration = 10.0
    """How long an appender holds the epoch without renewing it."""
    snapshot_every: int = Field(2000, ge=1)
    """Records a manager folds between two snapshots: rebuilding one folds 2,000 records in some 20 ms."""


class Cap(_Section):
    """At most `at_most` effects `within` a sliding window. `action` is `point/action` or `*` (every disruptive one);
    `per`: the whole fleet, each node, or each group of that prefix (`rack`).
    """

    action: str = "*"
    per: str = "fleet"
    at_most: int = Field(ge=0)
    within: Duration


class Window(_Section):
    """When an action may act: on these days, from-to in this time zone. An action that no window names may act at any
    time.
    """

    action: str
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    opens: time = time(0, 0)
    closes: time = time(23, 59, 59)
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class Brake(_Section):
    """So many wishes for the same disruptive action on different subjects within a window are one failure, not many:
    the rest wait for a person, as one case. 5 a minute: a rack switch takes more than that with it, single nodes
    do not fail so fast.
    """

    count: int = Field(5, ge=1)
    within: Duration = 60.0


class GateSettings(_Section):
    caps: tuple[Cap, ...] = (
        Cap(action="*", per="fleet", at_most=20, within=600),
        Cap(action="*", per="node", at_most=4, within=600),
        Cap(action="ufm.node_health/drain", per="fleet", at_most=3, within=600),
    )
    windows: tuple[Window, ...] = ()
    brake: Brake = Brake()


class Supervision(_Section):
    heartbeat: Duration = 2.0
    hung_after: Duration = 6.0
    """No answer for so long and the process is ended. A manager answers a ping in milliseconds even under full load."""
    intensity: int = Field(5, ge=1)
    window: Duration = 60.0


class Telemetry(_Section):
    interval: Duration = 5.0
    """Between two reports of a node agent: psutil and NVML cost some 3 ms a report."""
    series: int = Field(720, ge=2)
    """Samples kept of each series: an hour at 5 s."""


class Webhook(_Section):
    """An outbound target of UCM. The secret signs each delivery; it is read from the environment and never stored."""

    url: str
    secret_env: str = ""
    timeout: Duration = 10.0


class Settings(_Section):
    state: Path = Path(".elias")
    """Ledger, token, sockets and logs; relative to the settings file. Mode 0700."""
    specs: Path | None = None
    """Folder of the specs; none: the ones that ship."""
    overlay: str = ""
    """Name of a folder under `overlays/` in `specs`, laid over the base."""
    apps: Path | None = None
    """Applications that UAM runs; none: `apps.yaml` beside the settings file if there is one."""
    listen: Listen = Listen()
    ledger: LedgerSettings = LedgerSettings()
    gate: GateSettings = GateSettings()
    supervision: Supervision = Supervision()
    telemetry: Telemetry = Telemetry()
    webhooks: dict[str, Webhook] = {}

    @property
    def ledger_url(self) -> str:
        return self.ledger.url or f"sqlite:///{self.state / 'ledger.db'}"

    @property
    def spec_folder(self) -> Path:
        return self.specs or shipped_specs()


def shipped_specs() -> Path:
    """The specs of this installation: data of the package, beside the code."""
    return Path(__file__).resolve().parent.parent / "tiki_specs"


def load(path: Path | None = None) -> Settings:
    """Settings from a file, by default `./elias.yaml` if it is there. Raises Refused with place and cure."""
    chosen = path or Path("elias.yaml")
    if path is None and not chosen.exists():
        return _absolute(Settings(), Path.cwd())
    raw: Any = strictyaml.load(chosen)
    try:
        settings = Settings.model_validate(raw or {})
    except ValidationError as error:
        raise _explained(error, chosen) from None
    return _absolute(settings, chosen.resolve().parent)


def _absolute(settings: Settings, base: Path) -> Settings:
    apps = settings.apps or (Path("apps.yaml") if (base / "apps.yaml").exists() else None)
    update = {
        "state": base / settings.state.expanduser(),
        "specs": base / settings.specs.expanduser() if settings.specs else None,
        "apps": base / apps.expanduser() if apps else None,
    }
    return settings.model_copy(update=update)


def _explained(error: ValidationError, path: Path) -> Refused:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    cure = "`elias settings` lists every setting with its default"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return Refused("settings", f"{where}: {first['msg']}{more}", place=str(path), cure=cure)
