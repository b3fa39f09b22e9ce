"""Processes of this state folder: those that run, and what a session that died has left."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil

from federation.runtime.cluster import STATE
from federation.runtime.session import MARK
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

RUNS = Code("processes.run", OK, "ELIAS runs on this machine")
NOTHING = Code("processes.none", NOTE, "nothing of ELIAS runs for this state folder", "`elias up` starts it")
LEFT = Code(
    "processes.left",
    WARNING,
    "processes of a session that died are left",
    "`elias up` ends them; else `kill -9` those numbers",
)
ORPHANED = Code(
    "processes.orphaned",
    ERROR,
    "Ray runs, and the process that kept it up is gone",
    "`elias down`, then `elias up` or `elias join`",
)


class Process(NamedTuple):
    """mark: of the session that it belongs to."""

    pid: int
    name: str
    mark: str


def check(here: Here) -> Iterator[Finding]:
    mine = observe(str(here.settings.state.resolve()), here)
    yield from judge(mine, here.session.mark if here.session and here.serves else "", here.keeper, here.role)


def observe(state: str, here: Here) -> list[Process]:
    """Whose environment this user may read: theirs."""
    found = {}
    for process in psutil.process_iter(["name"]):
        try:
            environment = process.environ()
        except (OSError, psutil.Error):
            continue
        if environment.get(STATE) == state and MARK in environment:
            found[process.pid] = Process(process.pid, process.info["name"], environment[MARK])
    if here.session is not None:  # those that overwrote theirs
        for process in here.session.processes():
            with suppress(psutil.Error):
                found.setdefault(process.pid, Process(process.pid, process.name(), here.session.mark))
    return list(found.values())


def judge(mine: Iterable[Process], mark: str, keeper: int | None, role: str) -> Iterator[Finding]:
    """mark: of the session that serves; empty: none does. keeper: pid of `elias up` or `elias join`."""
    mine = list(mine)
    left = [one for one in mine if one.mark != mark]
    if left:
        names = ", ".join(f"{one.name} (pid {one.pid})" for one in left[:5])
        yield LEFT.found(f"{len(left)} of them: {names}{' ...' if len(left) > 5 else ''}")
    if mark and keeper is None:
        yield ORPHANED.found(f"{len(mine) - len(left)} processes, and no `elias up` or `elias join`")
    elif mark or keeper is not None:
        yield RUNS.found(f"as a {role}: process {keeper} keeps {len(mine) - len(left)} of Ray and ELIAS up")
    elif not left:
        yield NOTHING.found("no process is here")
