"""A node as Slurm has it, and what follows from that: who keeps it from work, and whether it is to be asked about."""

import re
from enum import StrEnum

import msgspec

PREFIX = "slurm:"
"""Of a node of Slurm's where ELIAS names it: the same machine may be a node of ELIAS too, under its own name."""

_OURS = re.compile("elias [0-9a-f]{32}")
_UNANSWERED = "Not responding"  # what Slurm itself writes on a node that it takes down for being silent
_WORKING = frozenset({"ALLOCATED", "IDLE", "MIXED"})
_ASIDE = frozenset({"FAIL", "INVALID_REG", "MAINT", "REBOOT_ISSUED", "REBOOT_REQUESTED"})  # and any flag of power


class Status(StrEnum):
    """up: in service, whether it answers or not. drained: by ELIAS. held: kept from work by somebody else, or by Slurm
    until somebody has looked. aside: away on purpose, or in a state that ELIAS does not know."""

    UP = "up"
    DRAINED = "drained"
    HELD = "held"
    ASIDE = "aside"


class SlurmNode(msgspec.Struct, frozen=True):
    """states: in Slurm's words, what it does and then flags. by: who gave the reason. memory: bytes; *_used: allocated
    to jobs. jobs: that run there."""

    name: str
    states: tuple[str, ...]
    reason: str
    by: str
    cpus: int
    cpus_used: int
    memory: int
    memory_used: int
    gpus: int
    gpus_used: int
    model: str
    partitions: tuple[str, ...]
    jobs: int = 0

    @property
    def answers(self) -> bool:
        """Whether Slurm hears of it."""
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


class Picture(msgspec.Struct, frozen=True):
    """What Slurm said at one look. running, pending: jobs of all its nodes."""

    nodes: tuple[SlurmNode, ...]
    running: int
    pending: int


def reason(decision: str) -> str:
    """That stands on a node that ELIAS drained: what `sinfo -R` shows leads to the decision."""
    return f"elias {decision}"
