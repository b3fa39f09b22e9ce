"""What Ray needs of this machine: open files, memory, shared memory."""

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from managers.uim.doctor.finding import OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("limits.sound", OK, "there are open files, memory and shared memory enough for Ray")
FILES = Code(
    "limits.files",
    WARNING,
    "a process may open too few files for Ray; connections would fail under load",
    "raise the hard limit: `ulimit -Hn 65536`, or `LimitNOFILE=` of the unit",
)
MEMORY = Code(
    "limits.memory",
    WARNING,
    "little memory is left; ELIAS takes 2 GB, and Ray ends jobs when 95 % are in use",
    "end what else runs here, or take a larger machine",
)
SHARED = Code(
    "limits.shared_memory",
    WARNING,
    "`/dev/shm` is smaller than Ray's object store, which then lies in files",
    "make it larger (`--shm-size` of a container), or set `ray.object_store_memory` lower",
)

LEAST_FILES = 8192  # as Ray itself recommends (ray/_private/worker.py); it raises the soft limit to the hard one
LEAST_MEMORY, LEAST_SHARE = 3 << 30, 0.05  # bytes before a start; share of all while it runs
_GROUP = Path("/sys/fs/cgroup")
_SHARED = "/dev/shm"  # noqa: S108 - looked at, nothing is written there


class Seen(NamedTuple):
    """files: the hard limit; None: none. Memory in bytes; shared: free; store: that Ray wants of it."""

    files: int | None
    memory: int
    total: int
    shared: int
    store: int


def check(here: Here) -> Iterator[Finding]:
    yield from judge(observe(here.settings.ray.object_store_memory), runs=here.serves)


def observe(store: int) -> Seen:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    whole, most, used = psutil.virtual_memory(), _number("memory.max"), _number("memory.current")
    total, free = whole.total, whole.available
    if most is not None and used is not None and most < total:
        total, free = most, min(free, most - used)
    files = None if hard == resource.RLIM_INFINITY else hard
    return Seen(files, free, total, shutil.disk_usage(_SHARED).free, store)


def _number(name: str) -> int | None:
    """Of the control group of this process (cgroup v2), as a container has it. None: no limit."""
    try:
        return int((_GROUP / name).read_text())
    except (OSError, ValueError):
        return None


def judge(seen: Seen, *, runs: bool) -> Iterator[Finding]:
    """runs: what ELIAS needs is taken already."""
    bad = list(_judge(seen, runs))
    yield from bad
    if not bad:
        files = "any number of" if seen.files is None else seen.files
        yield SOUND.found(f"{files} open files, {seen.memory / 2**30:.1f} GiB of memory free")


def _judge(seen: Seen, runs: bool) -> Iterator[Finding]:
    if seen.files is not None and seen.files < LEAST_FILES:
        yield FILES.found(f"{seen.files} at most; {LEAST_FILES} are recommended", "ulimit -Hn")
    if seen.memory < (LEAST_SHARE * seen.total if runs else LEAST_MEMORY):
        yield MEMORY.found(f"{seen.memory / 2**30:.1f} of {seen.total / 2**30:.1f} GiB are free")
    if not runs and seen.shared < seen.store:
        yield SHARED.found(f"{seen.shared >> 20} MiB free, and {seen.store >> 20} MiB are wanted", _SHARED)
