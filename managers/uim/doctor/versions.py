"""What is installed, against what ELIAS, its policy and the cluster that runs ask for."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import NamedTuple

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from federation.errors import Refused
from federation.policy import card
from federation.policy.tier import SHIPPED
from federation.runtime import credentials
from federation.runtime.roster import Roster
from federation.runtime.versions import Versions
from managers.uim import launch
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("versions.sound", OK, "Python, Ray and every package that ELIAS needs are of versions that it takes")
PYTHON = Code(
    "versions.python", ERROR, "ELIAS does not run on this Python", "install one that it takes, and ELIAS there"
)
PACKAGE = Code(
    "versions.package",
    ERROR,
    "a package that ELIAS needs is missing or of another version",
    "install ELIAS again: `make install`, or pip",
)
EXTRA = Code(
    "versions.extra",
    ERROR,
    "the settings use a part of ELIAS that is not installed",
    "install it, or take it out of the settings",
)
CLUSTER = Code(
    "versions.cluster",
    ERROR,
    "the cluster that runs has another Ray or Python than this installation",
    "on a node: install the versions of the head, and join again; on the head: `elias down`, then `elias up`",
)
AGREES = Code("versions.cluster_agrees", OK, "the cluster that runs has the Ray and the Python of this installation")
NODE = Code(
    "versions.node",
    WARNING,
    "a node runs another ELIAS than the head, as in the middle of an upgrade",
    "install the version of the head there; then `elias restart` on the head",
)
SILENT = Code(
    "versions.cluster_silent",
    NOTE,
    "the control store of the cluster did not say what it runs",
    "see what else is found; it may be away, or the machine busy",
)
POLICY = Code(
    "versions.policy",
    ERROR,
    "the policy that the settings name cannot be used by this ELIAS",
    "see `elias train policy --help`",
)
POINTS = Code(
    "versions.policy_points",
    WARNING,
    "the policy has learned older versions of decision points",
    "train it again: `elias train policy`, or leave `policy.folder` empty",
)

_ASKS = """
import msgspec, sys
from federation.runtime.versions import Versions
from ray._raylet import GcsClient
print(msgspec.json.encode(Versions.of(GcsClient(address=sys.argv[1]))).decode())
"""


class Package(NamedTuple):
    """found: its version; empty: it is not installed."""

    name: str
    wanted: str
    found: str


def check_installed() -> Iterator[Finding]:
    yield from judge(platform.python_version(), metadata("elias")["Requires-Python"] or "", list(packages()))


def packages() -> Iterator[Package]:
    """Those that ELIAS needs, extras apart."""
    for line in requires("elias") or ():
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            yield Package(one.name, str(one.specifier), _installed(one.name))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def judge(python: str, takes: str, packages: list[Package]) -> Iterator[Finding]:
    """takes: the versions of Python that ELIAS runs on."""
    bad = False
    if not SpecifierSet(takes).contains(python, prereleases=True):
        bad = True
        yield PYTHON.found(f"Python {python}, and it takes {takes}")
    for one in packages:
        if not one.found or not SpecifierSet(one.wanted).contains(one.found, prereleases=True):
            bad = True
            yield PACKAGE.found(f"{one.name} {one.found or 'is missing'}, and {one.wanted or 'any'} is needed")
    if not bad:
        yield SOUND.found(f"ELIAS {version('elias')}, Ray {version('ray')}, Python {python}, {len(packages)} packages")


def check_extras(here: Here) -> Iterator[Finding]:
    settings = here.settings
    wanted = {"advisors": ("pydantic-ai-slim", bool(settings.advisors.providers))}
    wanted["traces"] = ("opentelemetry-exporter-otlp-proto-http", bool(settings.telemetry.traces.endpoint))
    wanted["mlflow"] = ("mlflow-skinny", settings.mlflow.enabled and bool(settings.mlflow.uri))
    for extra, (package, used) in wanted.items():
        if used and not (_installed(package) or _installed(package.removesuffix("-slim").removesuffix("-skinny"))):
            yield EXTRA.found(f"{package} is missing", extra, f"pip install 'elias[{extra}]'")


def check_policy(here: Here) -> Iterator[Finding]:
    folder = here.settings.policy.folder or SHIPPED
    try:
        found = card.read(folder)
    except Refused as error:
        yield POLICY.found(error.message, error.place, error.cure)
        return
    now = {name: point.schema.version for name, point in Roster(launch.ROSTER).points.items()}
    yield from judge_points(found.points, now, folder)


def judge_points(learned: Mapping[str, int], now: Mapping[str, int], folder: Path) -> Iterator[Finding]:
    """Versions of decision points, by their names."""
    old = [name for name, number in sorted(learned.items()) if now.get(name, number) != number]
    if old:
        yield POINTS.found(f"not asked any more: {', '.join(old)}", folder)


def check_cluster(here: Here) -> Iterator[Finding]:
    if here.session is not None and here.serves:
        try:
            runs = observe_cluster(here)
        except (OSError, msgspec.DecodeError, subprocess.SubprocessError) as error:
            yield SILENT.found(f"it does not say ({type(error).__name__})", here.session.address)
            return
        yield from judge_cluster(runs, Versions.here())


def observe_cluster(here: Here) -> Versions:
    """Of the control store. Raises OSError, msgspec.DecodeError, subprocess.SubprocessError where it does not say."""
    assert here.session is not None
    ask = [sys.executable, "-c", _ASKS, here.session.address]
    auth = credentials.environment(here.settings.state, head=here.session.head)
    ran = subprocess.run(ask, env={**os.environ, **auth}, capture_output=True, timeout=7, check=True)
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=Versions)


def judge_cluster(runs: Versions, installed: Versions) -> Iterator[Finding]:
    """Ray takes another patch of Python, and no other Ray."""
    said = f"{runs} run; {installed} are here"
    yield AGREES.found(str(runs)) if runs.fits(installed) else CLUSTER.found(said)
