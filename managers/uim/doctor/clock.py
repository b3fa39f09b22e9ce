"""The clock of this machine: whether somebody keeps it right, and whether it was set while ELIAS ran."""

import ctypes
import struct
from collections.abc import Iterator
from typing import NamedTuple

from federation.runtime.session import MARK, Session, started
from managers.uim.doctor.finding import NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here
from managers.uim.skew import MOST

SOUND = Code("clock.sound", OK, "the kernel says that the clock is kept right")
UNSYNCHRONISED = Code(
    "clock.unsynchronised",
    WARNING,
    "nothing keeps the clock right; orders that a node finds too old are not carried out",
    "run an NTP client, such as chrony or systemd-timesyncd",
)
UNKNOWN = Code(
    "clock.unknown",
    NOTE,
    "the kernel does not say whether the clock is kept right, as in some containers",
    "look on the host",
)
STEPPED = Code(
    "clock.stepped",
    WARNING,
    "the clock was set while ELIAS ran; its processes go on by the time before that",
    "end it and start it again: `elias up` ends what is left",
)
SKEW = Code(
    "clock.skew", WARNING, "the clock of this machine and that of the database differ", "keep both right with NTP"
)
NODE = Code(
    "clock.node",
    WARNING,
    "the clock of a node and that of the head differ; orders that the node finds too old are not carried out",
    "keep both right with NTP",
)

_UNSYNCHRONISED, _ERROR = 0x40, 5  # STA_UNSYNC, TIME_ERROR: adjtimex(2)


class Kept(NamedTuple):
    """By adjtimex(2). error: how far off the clock may be, in seconds, as its keeper estimates."""

    synchronised: bool
    error: float


def check() -> Iterator[Finding]:
    yield judge(observe())


def observe() -> Kept | None:
    """None: the kernel does not tell."""
    found = ctypes.create_string_buffer(512)  # of struct timex, with modes 0: nothing is set
    state = ctypes.CDLL(None, use_errno=True).adjtimex(found)
    if state < 0:
        return None
    _, _, _, most, _, status = struct.unpack_from("@Iqqqqi", found.raw)
    return Kept(state != _ERROR and not status & _UNSYNCHRONISED, most / 1e6)


def judge(seen: Kept | None) -> Finding:
    if seen is None:
        return UNKNOWN.found("adjtimex is not allowed here")
    if not seen.synchronised:
        return UNSYNCHRONISED.found("the kernel calls the clock unsynchronised")
    return SOUND.found(f"synchronised, {seen.error:.3f} s off at most")


def check_steps(here: Here) -> Iterator[Finding]:
    if here.session is not None and (step := observe_step(here.session)) is not None:
        yield from judge_step(step)


def observe_step(session: Session) -> float | None:
    """By how many seconds the clock was set since the session began: a process's start is told by the clock of now.
    None: its leader is gone."""
    try:
        with open(f"/proc/{session.pid}/environ", "rb") as file:
            ours = f"{MARK}={session.mark}".encode() in file.read().split(b"\0")
    except OSError:
        return None
    now = started(session.pid)
    return now - session.started if ours and now is not None else None


def judge_step(step: float) -> Iterator[Finding]:
    if abs(step) > MOST:
        yield STEPPED.found(f"it was set {'forward' if step > 0 else 'back'} by {abs(step):.0f} s")


def judge_skew(ahead: float, place: str) -> Iterator[Finding]:
    """ahead: by how many seconds the database's clock is before ours, beyond what the question itself took."""
    if abs(ahead) > MOST:
        yield SKEW.found(f"the database is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}", place)
