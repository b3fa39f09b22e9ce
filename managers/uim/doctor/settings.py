"""The settings, and what they name: rules, applications, the policy, certificates of others."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from federation import strictyaml
from federation.errors import Refused
from federation.settings import Settings
from managers.ufm.prometheus.facts import queries
from managers.uim import launch
from managers.uim.doctor.finding import ERROR, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("settings.sound", OK, "the settings can be read, and what they name is there")
BROKEN = Code(
    "settings.broken",
    ERROR,
    "the settings cannot be read; what follows from them was not looked at",
    "correct the file",
)
FILE = Code("settings.file", ERROR, "a file or folder that a setting names is not there", "correct the setting")
SPECS = Code(
    "settings.specs", ERROR, "the rules cannot come into force", "correct them; `elias tiki check` shows the same"
)
STALE = Code(
    "settings.specs_ignored",
    WARNING,
    "the rules were edited and are broken; older ones stay in force",
    "correct them; `elias tiki check` shows the same",
)
APPS = Code("settings.apps", ERROR, "the file of applications cannot be read", "correct the file")


PROGRAM = Code(
    "settings.program", ERROR, "a program that the settings ask for is not installed", "install it, or name its folder"
)
CLIENT = Code(
    "settings.client",
    ERROR,
    "a library that the settings need is not installed",
    "`pip install 'elias[kubernetes]'`",
)


FACT = Code(
    "settings.fact",
    ERROR,
    "a query of Prometheus is for a fact that there is not",
    "correct it, or make it a sign",
)


def broken(error: Refused) -> Finding:
    return BROKEN.found(error.message, error.place, error.cure)


def check(here: Here) -> Iterator[Finding]:
    found = [*_files(here.settings), *_programs(here.settings), *_facts(here.settings)]
    found += [*_specs(here), *_apps(here.settings)]
    yield from found
    if not found:
        yield SOUND.found("settings, rules and the files that they name are sound", here.settings.spec_folder)


def _files(settings: Settings) -> Iterator[Finding]:
    yield from missing(
        {
            "bundles.trust": settings.bundles.trust,
            "policy.folder": settings.policy.folder,
            "policy.calibration": settings.policy.calibration,
            "slurm.commands": settings.slurm.commands,
            "slurm.conf": settings.slurm.conf,
            "kubernetes.kubeconfig": settings.kubernetes.kubeconfig if settings.kubernetes.enabled else None,
            "prometheus.ca_file": settings.prometheus.ca_file,
            "ray.redis.ca_file": settings.ray.redis.ca_file,
            **{f"targets.{name}.ca_file": getattr(one, "ca_file", None) for name, one in settings.targets.items()},
        }
    )


def missing(named: dict[str, Path | None]) -> Iterator[Finding]:
    """By the setting that names each."""
    for setting, path in named.items():
        if path is not None and not path.exists():
            yield FILE.found(f"there is no {path}", setting)


def _programs(settings: Settings) -> Iterator[Finding]:
    if settings.slurm.enabled:
        folder = str(settings.slurm.commands) if settings.slurm.commands else None
        for name in ("scontrol", "squeue"):
            if shutil.which(name, path=folder) is None:
                yield PROGRAM.found(f"there is no `{name}` in {folder or 'PATH'}", "slurm.commands")
    if settings.kubernetes.enabled and find_spec("kubernetes") is None:
        yield CLIENT.found("the settings ask for Kubernetes' official client", "kubernetes.enabled")


def _facts(settings: Settings) -> Iterator[Finding]:
    try:
        queries(settings.prometheus)
    except Refused as error:
        yield FACT.found(error.message, error.place)


def _specs(here: Here) -> Iterator[Finding]:
    try:
        launch.check_specs(here.settings)
    except Refused as error:
        first, *more = error.message.splitlines() or [""]
        words = f"{first} (and {len(more)} more lines)" if more else first
        yield (STALE if here.runs else SPECS).found(words, error.place, error.cure)


def _apps(settings: Settings) -> Iterator[Finding]:
    if settings.apps is not None:
        try:
            strictyaml.load(settings.apps)
        except Refused as error:
            yield APPS.found(error.message, error.place, error.cure)
