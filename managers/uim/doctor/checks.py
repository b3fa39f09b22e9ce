"""All checks, beside one another, and none of them may hold the others up."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from federation.errors import Refused
from federation.settings import Settings
from managers.uim.doctor import (
    certificate,
    clock,
    gpus,
    ledger,
    limits,
    ports,
    processes,
    reach,
    redis,
    secrets,
    serving,
    settings,
    state,
    versions,
)
from managers.uim.doctor.beside import Tell, beside
from managers.uim.doctor.finding import ERROR, WARNING, Code, Finding, Severity
from managers.uim.doctor.here import Here, observe

FAILED = Code("check.failed", WARNING, "a check could not be made", "report it, with what was seen")
LATE = Code(
    "check.late",
    WARNING,
    "a check was not done in time; what it looks at hangs, or the machine is busy",
    "look again; see whether the disk or the name server hangs",
)

PATIENCE = 9.0  # seconds for all of them together

MACHINE: dict[str, Callable[[], Iterable[Finding]]] = {
    "versions": versions.check_installed,
    "clock": clock.check,
    "gpus": gpus.check,
}
"""What needs no settings."""

EVERYWHERE: dict[str, Callable[[Here], Iterable[Finding]]] = {
    "processes": processes.check,
    "state": state.check,
    "secrets": secrets.check,
    "versions of the cluster": versions.check_cluster,
    "certificates of the cluster": certificate.check_cluster,
    "ports": ports.check,
    "steps of the clock": clock.check_steps,
    "limits": limits.check,
    "freeze": serving.check_freeze,
}
"""On a head and on a node that joined one."""

AT_HEAD: dict[str, Callable[[Here], Iterable[Finding]]] = {
    "settings": settings.check,
    "extras": versions.check_extras,
    "policy": versions.check_policy,
    "ledger": ledger.check,
    "certificate": certificate.check,
    "serving": serving.check,
    "redis": redis.check,
    "reach": reach.check,
}
"""And on a standby. A node that joined uses none of it: the settings are those of the head."""

THEMES = (
    *(processes, serving, settings, state, secrets, versions, ports, clock, ledger, redis, certificate, gpus, limits),
    reach,
)


class Check(NamedTuple):
    name: str
    run: Callable[[], Iterable[Finding]]


def codes() -> list[Code]:
    """Everything that can be found, theme by theme."""
    found = [one for theme in THEMES for one in vars(theme).values() if isinstance(one, Code)]
    return [*found, FAILED, LATE]


def checks(chosen: Settings) -> list[Check]:
    """That make sense on this machine."""
    here = observe(chosen)
    some = EVERYWHERE if here.role == "node" else EVERYWHERE | AT_HEAD
    return [
        *(Check(name, check) for name, check in MACHINE.items()),
        *(Check(name, partial(check, here)) for name, check in some.items()),
    ]


def examine(load: Callable[[], Settings], tell: Tell = lambda done, total: None) -> list[Finding]:
    """What is found on this machine, in the order of the themes; without a secret. Never raises what a check may.

    load: reads the settings; where it raises Refused that is a finding, and the machine alone is looked at.
    """
    chosen, found = None, []
    try:
        chosen = load()
        made = checks(chosen)
    except Refused as error:
        found.append(settings.broken(error))
        made = [Check(name, check) for name, check in MACHINE.items()]
    found += run(made, PATIENCE, tell)
    mask, order = secrets.Mask(secrets.values(chosen)), [one.name for one in codes()]
    return [mask.finding(one) for one in sorted(found, key=lambda one: order.index(one.code))]


def run(made: Sequence[Check], patience: float, tell: Tell = lambda done, total: None) -> list[Finding]:
    found: list[Finding] = []
    answers = beside([partial(_all, one) for one in made], patience, tell)
    for one, answer in zip(made, answers, strict=True):
        if isinstance(answer, TimeoutError):
            found.append(LATE.found(f"{one.name}: {answer}"))
        elif isinstance(answer, Exception):
            found.append(FAILED.found(f"{one.name}: {type(answer).__name__}: {answer}"))
        else:
            found += answer
    return found


def _all(check: Check) -> list[Finding]:
    return list(check.run())


def worst(found: Iterable[Finding]) -> Severity:
    ranks = list(Severity)
    return max((one.severity for one in found), key=ranks.index, default=Severity.OK)


def failed(found: Iterable[Finding]) -> bool:
    return worst(found) is ERROR
