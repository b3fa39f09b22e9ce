"""What of ELIAS there is on this machine, before anything of it is judged."""

from dataclasses import dataclass
from typing import Literal

import psutil

from federation.runtime.session import Session
from federation.settings import Settings
from managers.uim import launch

Role = Literal["head", "standby", "node"]
"""A standby is a node that becomes the head once that is gone: its settings count as those of a head."""


@dataclass(frozen=True, slots=True)
class Here:
    """session: the Ray that was started for this state folder last. serves: it still does. keeper: pid of the
    `elias up` or `elias join` that keeps it so. role: what this machine is, or would be at the next start."""

    settings: Settings
    session: Session | None
    serves: bool
    keeper: int | None
    role: Role

    @property
    def runs(self) -> bool:
        """Whether ELIAS is up here, and this is its head."""
        return self.serves and self.keeper is not None and self.role == "head"

    def pids(self) -> frozenset[int]:
        """Of what runs for this state folder."""
        return frozenset(p.pid for p in self.session.processes()) if self.session else frozenset()


def observe(settings: Settings) -> Here:
    session, keeper = Session.of(settings.state), launch.running(settings)
    serves = session is not None and session.serves()
    return Here(settings, session, serves, keeper, role(session, serves, _command(keeper)))


def role(session: Session | None, serves: bool, command: str) -> Role:
    """command: that keeps this machine what it is; while a head is away its nodes have no session."""
    if command == "join":
        return "node"
    if session is None or not serves or session.head:
        return "head"
    return "standby" if command == "up" else "node"


def _command(keeper: int | None) -> str:
    """`up`, `join`, or empty."""
    try:
        words = psutil.Process(keeper).cmdline() if keeper is not None else []
    except psutil.Error:
        words = []
    return next((word for word in words if word in ("up", "join")), "")
