"""A node as Slurm has it."""

import re

from managers.ufm.foreign import node
from managers.ufm.foreign.node import ForeignNode, Source, Status

_OURS = re.compile("elias [0-9a-f]{32}")
_UNANSWERED = "Not responding"  # what Slurm itself writes on a node that it takes down for being silent
_WORKING = frozenset({"ALLOCATED", "IDLE", "MIXED"})
_ASIDE = frozenset({"FAIL", "INVALID_REG", "MAINT", "REBOOT_ISSUED", "REBOOT_REQUESTED"})  # and any flag of power


class SlurmNode(ForeignNode, frozen=True, kw_only=True):
    """states: in Slurm's words, what it does and then flags. *_used: allocated to jobs."""

    states: tuple[str, ...]
    partitions: tuple[str, ...]

    @property
    def answers(self) -> bool:
        return "NOT_RESPONDING" not in self.states

    @property
    def ours(self) -> bool:
        """Whether the reason on it is one that ELIAS gave, word for word: any other word takes it over."""
        return _OURS.fullmatch(self.reason) is not None

    @property
    def status(self) -> Status:
        base, flags = self.states[0], frozenset(self.states[1:])
        if base not in _WORKING | {"DOWN"} or flags & _ASIDE or any(flag.startswith("POWER") for flag in flags):
            return Status.ASIDE
        if "DRAIN" in flags:
            return Status.DRAINED if self.ours else Status.HELD
        if base == "DOWN" and (self.answers or self.reason not in ("", _UNANSWERED)):
            return Status.HELD
        return Status.UP

    @property
    def down(self) -> bool:
        return self.states[0] == "DOWN"

    @property
    def state(self) -> str:
        return "+".join(self.states)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.partitions

    @property
    def groups(self) -> list[str]:
        return [f"partition:{name}" for name in self.partitions]


SLURM = Source("slurm", "Slurm", SlurmNode, "jobs")
Picture = node.Picture[SlurmNode]


def reason(decision: str) -> str:
    """That stands on a node that ELIAS drained: what `sinfo -R` shows leads to the decision."""
    return f"elias {decision}"
