"""Questions that a challenger is asked after the champion has answered them: what it says acts on nothing.

They are kept in memory, as many as fit: one that is dropped, under load or by a restart, is missed by nobody.
"""

from typing import NamedTuple

from federation.policy.registry import Line, Stage, Trial
from federation.records import Asked, Scored

MOST = 256
"""Questions that wait to be asked or are being asked; the next ones are dropped."""


class Overheard(NamedTuple):
    """A decision that the champion was asked about. choice: what it said, an index into the asked candidates."""

    point: str
    subject: str
    asked: Asked
    choice: int


def on_trial(line: Line | None) -> Trial | None:
    """The trial whose challenger stands in the shadow."""
    trial = None if line is None else line.trial
    return trial if trial is not None and trial.stage is Stage.SHADOW else None


class Shadow:
    """dropped: questions that found no room, or no answer of the challenger."""

    def __init__(self) -> None:
        self._waiting: dict[str, Overheard] = {}
        self._asked: dict[str, Overheard] = {}
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, decision: str, point: str, asked: Asked, scored: Scored) -> None:
        if scored.choice is None:
            return
        if len(self._waiting) + len(self._asked) >= MOST:
            self.dropped += 1
        else:
            self._waiting[decision] = Overheard(point, asked.event.subject, asked, scored.choice)

    def take(self) -> dict[str, Overheard]:
        """Those that wait, by decision: from now on they are being asked."""
        taken, self._waiting = self._waiting, {}
        self._asked |= taken
        return taken

    def heard(self, decision: str) -> Overheard | None:
        return self._asked.pop(decision, None)
