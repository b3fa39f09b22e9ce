"""What went wrong in a simulated world: each failed operation once, whatever became of it."""

from collections import Counter
from typing import NamedTuple

KINDS = ("node", "pressure", "job", "process", "message", "package", "storm", "workflow")


class Trouble(NamedTuple):
    """at: seconds since the beginning. kind: one of KINDS."""

    at: float
    kind: str
    subject: str
    what: str


class Troubles:
    def __init__(self) -> None:
        self.all: list[Trouble] = []

    def add(self, at: float, kind: str, subject: str, what: str) -> None:
        self.all.append(Trouble(at, kind, subject, what))

    def latest(self, kind: str, subject: str) -> Trouble | None:
        return next((one for one in reversed(self.all) if (one.kind, one.subject) == (kind, subject)), None)

    def by_kind(self) -> Counter[str]:
        return Counter(trouble.kind for trouble in self.all)
