"""The settings of `elias.yaml`: one object, every field with its unit, default and reason; docs/settings.md is its
page.
"""

import difflib
import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from federation import strictyaml
from federation.access import AccessSettings
from federation.advisors.settings import NOBODY, AdvisorSettings
from federation.errors import Refused
from federation.escalation import Escalation
from federation.peers.settings import PeersSettings
from federation.runtime.settings import RaySettings
from federation.sections import DAYS, Day, Duration, Zone
from federation.sections import Section as _Section
from federation.targets import Alertmanager, AnyTarget, Prometheus, located


class Listen(_Section):
    """Where the API and the page are served. Loopback: reaching it from elsewhere is a decision for a person."""

    host: str = "127.0.0.1"
    """Address of this machine to listen at; `0.0.0.0` is all of them."""
    port: int = Field(8600, ge=1, le=65535)
    """TCP port of the API and the page."""
    hosts: tuple[str, ...] = ()
    """Further names that a `Host` header may carry, for a proxy in front; loopback names and `host` always may."""
    url: str = Field("", pattern="^(https?://.+)?$")
    """Address under which people reach the page, for links in notifications; empty: made of `host` and `port`."""

    tls: bool = False
    """Serve HTTPS; `elias up --tls` does so too. Without `cert` a certificate is made in the state folder."""
    cert: Path | None = None
    """Certificate chain in PEM; relative to the settings file."""
    key: Path | None = None
    """Private key of `cert` in PEM, without a passphrase; relative to the settings file."""
    behind_proxy: bool = False
    """A proxy in front ends TLS, and alone can reach this port: its last `X-Forwarded-For` says who asks."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.cert is None) is not (self.key is None):
            raise ValueError("`cert` and `key` belong together")
        if self.cert is not None and not self.tls:
            raise ValueError("a certificate is of no use without `tls: true`")
        return self

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def secure(self) -> bool:
        """Whether browsers speak HTTPS with it."""
        return self.tls or self.behind_proxy

    @property
    def page(self) -> str:
        """The address of the page, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.url.rstrip("/") or f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class LedgerSettings(_Section):
    """The log of everything."""

    url: str = ""
    """SQLAlchemy URL; empty: SQLite in the state folder. PostgreSQL: `postgresql://user@host/elias`."""
    tick: Duration = 10.0
    """The longest time between two records of time passing; timers that are due sooner make their own."""
    lease: Duration = 10.0
    """How long an appender holds the epoch without renewing it."""
    snapshot_every: int = Field(2000, ge=1)
    """Records a manager folds between two snapshots: rebuilding one folds 2,000 records in some 20 ms."""


class Cap(_Section):
    """At most so many effects within a sliding window; what is above waits for a person, as one case."""

    action: str = "*"
    """`point/action`, or `*` for every disruptive one."""
    per: str = "fleet"
    """What is counted together: the whole `fleet`, each `node`, or each group of that prefix (`rack`)."""
    at_most: int = Field(ge=0)
    """Effects that may act; 0 stops the action."""
    within: Duration
    """Length of the window."""


class Window(_Section):
    """When an action may act: on these days, from-to in this time zone. An action that no window names may act at any
    time.
    """

    action: str
    """`point/action`."""
    days: tuple[Day, ...] = DAYS
    """Days of the week."""
    opens: time = time(0, 0)
    """Local time from which it may act."""
    closes: time = time(23, 59, 59)
    """Local time until which it may act."""
    timezone: Zone = "UTC"
    """Name of the time zone, such as `Europe/Zurich`."""


class Brake(_Section):
    """So many wishes for the same disruptive action on different subjects within a window are one failure, not many:
    the rest wait for a person, as one case. A rack switch takes more than that with it, single nodes do not fail so
    fast.
    """

    count: int = Field(5, ge=1)
    """Subjects that still pass."""
    within: Duration = 60.0
    """Length of the window."""


class GateSettings(_Section):
    """The effect gate: how much may happen how fast, and when."""

    caps: tuple[Cap, ...] = (
        Cap(action="*", per="fleet", at_most=20, within=600),
        Cap(action="*", per="node", at_most=4, within=600),
        Cap(action="ufm.node_health/drain", per="fleet", at_most=3, within=600),
    )
    """Every one of them must have room; a list of your own replaces this one."""
    windows: tuple[Window, ...] = ()
    """Change windows; an action may have several."""
    brake: Brake = Brake()


class Supervision(_Section):
    """The supervision tree: how a hung process is found, and when restarting it is given up."""

    heartbeat: Duration = 2.0
    """Between two pings of each process; of more than 200 node agents 100 a second, so of 2,000 each in 20 s."""
    hung_after: Duration = 6.0
    """No answer for so long and the process is ended. A manager answers a ping in milliseconds even under full load."""
    intensity: int = Field(5, ge=1)
    """Restarts of a process within `window`; one more and it stays down, with a case for a person."""
    window: Duration = 60.0
    """Length of the window in which restarts are counted."""


class Traces(_Section):
    """Traces of decisions for OpenTelemetry, made of the ledger's records (`pip install 'elias[traces]'`)."""

    endpoint: str = Field("", pattern=r"^(https?://\S+)?$")
    """OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`; empty: no traces."""
    share: float = Field(1.0, ge=0, le=1)
    """Of the decisions whose sender names no trace, those that are told; who names one says so for its own."""


class Telemetry(_Section):
    """What node agents measure, and who is told of decisions."""

    interval: Duration = 5.0
    """Between two reports of a node agent: psutil and NVML cost some 3 ms a report."""
    series: int = Field(720, ge=2)
    """Samples kept of each series: an hour at 5 s."""
    traces: Traces = Traces()


class BundleSettings(_Section):
    """Which rules may come into force."""

    trust: Path | None = None
    """Folder of the public keys (`NAME.pub`) whose signatures on bundles count; relative to the settings file."""
    require_signature: bool = False
    """Every process refuses rules that none of these keys signed; edits of the spec folder then change nothing."""

    @model_validator(mode="after")
    def _somebody_is_trusted(self) -> Self:
        if self.require_signature and self.trust is None:
            raise ValueError("`require_signature` needs `trust`, the folder of the public keys that count")
        return self


class PolicySettings(_Section):
    """What scores a decision that a spec leaves open."""

    engine: Literal["embedded", "vllm"] = "embedded"
    """`embedded` runs the shipped policy in the process; `vllm` asks the replicas first, and it when none answers."""
    folder: Path | None = None
    """The embedded policy; none: the one that ships. Relative to the settings file."""
    replicas: tuple[str, ...] = ()
    """Addresses of vLLM servers that serve the same policy, such as `http://127.0.0.1:8700`."""
    model: str = ""
    """Name under which the replicas serve the policy; it is the version that their answers go by."""
    adapter: str = ""
    """Folder of a LoRA adapter, as the replicas see it, that they load under the name `model`; empty: they have it."""
    calibration: Path | None = None
    """How sure the served policy has to be (`calibration.json`); without one it may not decide alone."""
    audit: float = Field(0.01, ge=0, le=1)
    """Share of the policy's own answers that a person is asked instead, to see whether the promise still holds."""
    unit: Duration = Field(3600.0, gt=0)
    """In a canary a subject keeps its policy for so long, and then draws anew; a trial that runs keeps its own."""
    require_signature: bool = False
    """Only policies that one of the keys in `bundles.trust` signed are tried, promoted and served from the store."""
    kept: int = Field(2, ge=1, le=16)
    """Policies of the store that are in memory at once, beside the one above; the one longest unused makes room."""
    key_file: Path | None = None
    """File with the key that the replicas ask for (`--api-key`); relative to the settings file."""
    deadline: Duration = 1.0
    """How long a batch of questions may take, all engines together; then the spec's fallback answers."""
    batch_window: Duration = 0.003
    """How long the first question of a batch waits for others."""
    batch_size: int = Field(64, ge=1, le=1024)
    """Questions after which a batch waits no longer."""

    @model_validator(mode="after")
    def _replicas_serve_something(self) -> Self:
        if self.engine == "vllm" and not (self.replicas and self.model):
            raise ValueError("`engine: vllm` needs `replicas` and `model`; `elias policy serve` prints them")
        for url in self.replicas:
            if not re.fullmatch(r"https?://[^/\s?#@]+/?", url):
                raise ValueError(f"`{url}` is not the address of a server; write one like `http://127.0.0.1:8700`")
        return self


class MlflowSettings(_Section):
    """A copy of trainings and policies, for people who look at them in MLflow. Nothing of ELIAS reads it."""

    enabled: bool = True
    """Keep it, where MLflow is installed (`pip install 'elias[mlflow]'`)."""
    uri: str = Field("", pattern=r"^([a-z][a-z0-9+]*://\S+)?$")
    """MLflow's tracking URI, such as `http://127.0.0.1:5000`; empty: SQLite in the state folder."""
    name: str = Field("elias", pattern="^[A-Za-z0-9_-]{1,100}$")
    """Of the experiment and of the registered model; installations that share a server have different ones."""


class SlurmSettings(_Section):
    """A Slurm cluster that runs already: its nodes are watched, and drained and resumed where the gate lets it."""

    enabled: bool = False
    """Watch it, by Slurm's commands on the head."""
    every: Duration = Field(20.0, ge=1)
    """Between two looks; each is one `scontrol show nodes` and one `squeue`, which slurmctld answers."""
    timeout: Duration = Field(10.0, gt=0)
    """How long one command may take; after that Slurm counts as out of reach until the next look."""
    commands: Path | None = None
    """Folder of `scontrol` and `squeue`; none: found by `PATH`. Relative to the settings file."""
    conf: Path | None = None
    """Slurm's configuration (`SLURM_CONF`); none: where Slurm looks for it. Relative to the settings file."""
    update: tuple[str, ...] = ()
    """Words of the command that may change nodes, such as `[sudo, -n, /usr/bin/scontrol]`; empty: ELIAS only reads."""
    partitions: tuple[str, ...] = ()
    """Only nodes of these partitions; empty: of all."""


class KubernetesSettings(_Section):
    """A Kubernetes cluster that runs already: its nodes are watched, and drained where the gate lets it."""

    enabled: bool = False
    """Watch it, from the head; needs `pip install 'elias[kubernetes]'`."""
    kubeconfig: Path | None = None
    """Says where the cluster is and who asks; none: the service account of this pod. Relative to the settings file."""
    context: str = ""
    """Which context of that file; empty: its current one."""
    every: Duration = Field(20.0, ge=1, le=300)
    """How long one watch of the API server lasts; after each UFM is told."""
    timeout: Duration = Field(10.0, gt=0)
    """How long one request may take, and how much longer than `every` a watch may."""
    nodes: str = "!node-role.kubernetes.io/control-plane"
    """Label selector: only these nodes are watched; empty: all of them."""
    update: bool = False
    """ELIAS may cordon and uncordon nodes; without it, it only reads."""
    evict: tuple[Literal["controlled", "bare", "local"], ...] = ()
    """Pods that a drain evicts: `controlled` are made anew, `bare` are not, `local` lose an `emptyDir`; empty: none."""
    patience: Duration = Field(300.0, ge=1, le=3600)
    """How long a drain tries to evict what a budget or a slow end keeps on the node."""

    @model_validator(mode="after")
    def _evicts_what_it_may(self) -> Self:
        if self.evict and not self.update:
            raise ValueError("`evict` needs `update: true`: what is drained is cordoned first")
        if self.evict == ("local",):
            raise ValueError("`local` says what of the others may be lost: name `controlled`, `bare` or both as well")
        return self


class Settings(_Section):
    state: Path = Path(".elias")
    """Ledger, token, sockets and logs; relative to the settings file. Mode 0700."""
    specs: Path | None = None
    """Folder of the specs; none: the ones that ship."""
    overlay: str = ""
    """Name of a folder under `overlays/` in `specs`, laid over the base."""
    apps: Path | None = None
    """Applications that UAM runs; none: `apps.yaml` beside the settings file if there is one."""
    notice: str = Field("", max_length=200)
    """Words that every page of the dashboard shows, such as what this installation is for."""
    listen: Listen = Listen()
    access: AccessSettings = AccessSettings()
    ledger: LedgerSettings = LedgerSettings()
    gate: GateSettings = GateSettings()
    supervision: Supervision = Supervision()
    ray: RaySettings = RaySettings()
    telemetry: Telemetry = Telemetry()
    bundles: BundleSettings = BundleSettings()
    policy: PolicySettings = PolicySettings()
    mlflow: MlflowSettings = MlflowSettings()
    advisors: AdvisorSettings = NOBODY
    targets: dict[str, AnyTarget] = Field({})
    """Outbound targets by name: nothing else is sent to."""
    alertmanager: Alertmanager = Alertmanager()
    prometheus: Prometheus = Prometheus()
    slurm: SlurmSettings = SlurmSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    peers: PeersSettings = PeersSettings()
    escalation: Escalation = Escalation()

    @model_validator(mode="after")
    def _people_are_reached(self) -> Self:
        self.escalation.check_targets(self.targets)
        return self

    @model_validator(mode="after")
    def _somebody_signs_policies(self) -> Self:
        if self.policy.require_signature and self.bundles.trust is None:
            raise ValueError("`policy.require_signature` needs `bundles.trust`, the folder of the keys that count")
        return self

    @property
    def ledger_url(self) -> str:
        return self.ledger.url or f"sqlite:///{self.state / 'ledger.db'}"

    @property
    def peers_folder(self) -> Path:
        return self.peers.folder or self.state / "peers"

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
        raise _explained(error, raw, chosen) from None
    return _absolute(settings, chosen.resolve().parent)


def _absolute(settings: Settings, base: Path) -> Settings:
    apps = settings.apps or (Path("apps.yaml") if (base / "apps.yaml").exists() else None)

    def there(path: Path | None) -> Path | None:
        return base / path.expanduser() if path else None

    policy, redis = settings.policy, settings.ray.redis
    files = {"folder": policy.folder, "calibration": policy.calibration, "key_file": policy.key_file}
    slurm = {"commands": there(settings.slurm.commands), "conf": there(settings.slurm.conf)}
    store = {"password_file": there(redis.password_file), "ca_file": there(redis.ca_file)}
    pair = {"cert": there(settings.listen.cert), "key": there(settings.listen.key)}
    update = {
        "listen": settings.listen.model_copy(update=pair),
        "ray": settings.ray.model_copy(update={"redis": redis.model_copy(update=store)}),
        "bundles": settings.bundles.model_copy(update={"trust": there(settings.bundles.trust)}),
        "policy": policy.model_copy(update={name: there(path) for name, path in files.items()}),
        "advisors": settings.advisors.located(base),
        "state": there(settings.state),
        "specs": there(settings.specs),
        "apps": there(apps),
        "targets": {name: located(target, base) for name, target in settings.targets.items()},
        "alertmanager": located(settings.alertmanager, base),
        "prometheus": located(settings.prometheus, base),
        "slurm": settings.slurm.model_copy(update=slurm),
        "peers": settings.peers.located(base),
        "kubernetes": settings.kubernetes.model_copy(update={"kubeconfig": there(settings.kubernetes.kubeconfig)}),
    }
    return settings.model_copy(update=update)


def _explained(error: ValidationError, raw: Any, path: Path) -> Refused:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a typo explains what is missing
    loc = _written(raw, first["loc"], missing=first["type"] == "missing")
    where = ".".join(map(str, loc))
    what = first["msg"].removeprefix("Value error, ")
    cure = "`elias settings` lists every setting with its value"
    if first["type"] == "extra_forbidden":
        what = "there is no such setting"
        near = difflib.get_close_matches(str(loc[-1]), _names_beside(loc), 1)
        cure = f"did you mean `{near[0]}`?" if near else cure
    elif not where:
        what = "the file is not a mapping of settings"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return Refused(
        "settings", f"{where}: {what}{more}".removeprefix(": "), place=strictyaml.place(path, loc), cure=cure
    )


def _written(raw: Any, loc: tuple[int | str, ...], *, missing: bool) -> tuple[int | str, ...]:
    """The place of an error by the keys of the file alone: pydantic puts the kind of a target in between."""
    found: list[int | str] = []
    for index, key in enumerate(loc):
        if isinstance(raw, dict) and key not in raw and not (missing and index + 1 == len(loc)):
            continue
        found.append(key)
        if isinstance(raw, dict):
            raw = raw.get(key)
        elif isinstance(raw, list) and isinstance(key, int):
            raw = raw[key]
    return tuple(found)


def _names_beside(loc: tuple[int | str, ...]) -> list[str]:
    """The settings of the section that this one was meant for."""
    sections: list[type[BaseModel]] = [Settings]
    for name in loc[:-1]:
        named = [s.model_fields[str(name)].annotation for s in sections if name in s.model_fields]
        if named:
            sections = [model for annotation in named for model in _models(annotation)]
    return [name for section in sections for name in section.model_fields]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation names, however deep: of a list, a mapping, a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
