"""The state folder: whose it is, who may read it, its room, and the file system below it."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("state.sound", OK, "the state folder is private, writable, and has room")
NONE = Code("state.none", NOTE, "there is no state folder: nothing was ever started here", "`elias up` makes it")
NO_FOLDER = Code(
    "state.no_folder",
    ERROR,
    "the state folder cannot be made or read",
    "set `state` to a folder of a user that ELIAS runs as",
)
READ_ONLY = Code(
    "state.read_only",
    ERROR,
    "the state folder cannot be written",
    "see its owner and mode, and whether its disk is mounted read-only",
)
OWNER = Code(
    "state.owner",
    WARNING,
    "the state folder belongs to another user than the one who asks",
    "run `elias` as the user whom it belongs to",
)
MODE = Code("state.mode", WARNING, "other users of this machine may look into the state folder", "`chmod 700` it")
FULL = Code(
    "state.full", ERROR, "next to no room is left for the ledger, or no inodes", "free some space, or move `state`"
)
FILLING = Code(
    "state.filling", WARNING, "little room is left for the ledger, or few inodes", "free some space, or move `state`"
)
NETWORK = Code(
    "state.network",
    WARNING,
    "SQLite's WAL mode is not safe on a network file system, and the ledger is there",
    "set `state` to a local disk, or keep the ledger in PostgreSQL (`ledger.url`)",
)

GIB = 1 << 30
LEAST, FEW = 200 << 20, 2 * GIB  # bytes; a busy day writes some GB
LEAST_INODES, FEW_INODES = 200, 5000
# https://sqlite.org/wal.html: its processes share memory through a file beside the database, on one machine.
NETWORKS = frozenset(
    {
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "9p",
            "afs",
            "ceph",
            "lustre",
            "gpfs",
            "beegfs",
            "glusterfs",
            "orangefs",
        ),
        *(
            "ocfs2",
            "gfs2",
            "virtiofs",
            "fuse.sshfs",
            "fuse.glusterfs",
            "fuse.ceph",
            "fuse.s3fs",
            "fuse.gcsfuse",
            "fuse.rclone",
        ),
    }
)


class State(NamedTuple):
    """free: bytes, inodes: those that are left; None where the file system has no number of them. network: the kind of
    the file system if it is one of a network."""

    path: str
    owner: str
    ours: bool
    mode: int
    writable: bool
    free: int
    inodes: int | None
    network: str = ""
    sqlite: bool = True


def check(here: Here) -> Iterator[Finding]:
    path = here.settings.state
    if not path.exists():
        nearest = next(one for one in path.absolute().parents if one.exists())
        if os.access(nearest, os.W_OK | os.X_OK):
            yield NONE.found("it is not there yet", path)
        else:
            yield NO_FOLDER.found(f"it is not there, and {nearest} cannot be written", path)
        return
    try:
        seen = observe(path, sqlite=here.role != "node" and not here.settings.ledger.url.startswith("postgresql"))
    except OSError as error:
        yield NO_FOLDER.found(error.strerror or str(error), path)
        return
    yield from judge(seen)


def observe(path: Path, *, sqlite: bool) -> State:
    """Raises OSError."""
    found, room = path.stat(), os.statvfs(path)
    os.listdir(path)  # its problem is told better than what follows from it
    kind = filesystem(path, Path("/proc/self/mountinfo").read_text())
    return State(
        str(path),
        _user(found.st_uid),
        found.st_uid == os.geteuid(),
        stat.S_IMODE(found.st_mode),
        os.access(path, os.W_OK | os.X_OK),
        room.f_bavail * room.f_frsize,
        room.f_favail if room.f_files else None,
        kind if kind in NETWORKS else "",
        sqlite,
    )


def filesystem(path: Path, mounts: str) -> str:
    """The kind of the file system below a path. mounts: /proc/self/mountinfo (proc(5)); a later one covers others."""
    here, best, kind = path.resolve(), Path(), ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if here.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split()[0]
    return kind


def judge(seen: State) -> Iterator[Finding]:
    bad = list(_judge(seen))
    yield from bad
    if not bad:
        yield SOUND.found(f"mode {seen.mode:04o}, {seen.free / GIB:.0f} GiB free", seen.path)


def _judge(seen: State) -> Iterator[Finding]:
    if not seen.writable:
        yield READ_ONLY.found("it cannot be written", seen.path)
    if not seen.ours:
        yield OWNER.found(f"it belongs to {seen.owner}", seen.path)
    if seen.mode & 0o077:
        yield MODE.found(f"its mode is {seen.mode:04o}", seen.path)
    few = seen.inodes is not None and seen.inodes < FEW_INODES
    if seen.free < FEW or few:
        none = seen.free < LEAST or (seen.inodes is not None and seen.inodes < LEAST_INODES)
        what = f"{seen.inodes} inodes" if few else f"{seen.free / 2**20:.0f} MiB"
        yield (FULL if none else FILLING).found(f"{what} free", seen.path)
    if seen.network and seen.sqlite:
        yield NETWORK.found(f"it is on a file system of the kind {seen.network}", seen.path)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container without a name for its user
        return f"uid {uid}"
