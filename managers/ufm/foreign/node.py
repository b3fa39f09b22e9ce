"""A node of a cluster that somebody else runs: who keeps it from work, and whether it is to be asked about."""

from abc import ABCMeta, abstractmethod
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec


class Status(StrEnum):
    """up: in service, whether it answers or not. drained: by ELIAS. held: kept from work by somebody else, or by its
    cluster until somebody has looked. aside: away on purpose, or in a state that ELIAS does not know."""

    UP = "up"
    DRAINED = "drained"
    HELD = "held"
    ASIDE = "aside"


class _Abstract(msgspec.StructMeta, ABCMeta):
    """Of structs with methods that each of their kinds has in its own way."""


class ForeignNode(msgspec.Struct, frozen=True, kw_only=True, metaclass=_Abstract):
    """reason, by: why it is kept from work, and by whom; empty where it is not. memory: bytes; *_used: promised to what
    runs there. jobs: how many of them run there."""

    name: str
    reason: str = ""
    by: str = ""
    cpus: float
    cpus_used: float
    memory: int
    memory_used: int
    gpus: int
    gpus_used: int
    model: str
    jobs: int = 0

    @property
    @abstractmethod
    def status(self) -> Status:
        """Whether it takes work."""

    @property
    @abstractmethod
    def answers(self) -> bool:
        """Whether its cluster hears of it."""

    @property
    @abstractmethod
    def down(self) -> bool:
        """Whether its cluster has taken it out of service because it does not answer."""

    @property
    @abstractmethod
    def state(self) -> str:
        """In the words of its cluster."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """What it is for."""

    @property
    @abstractmethod
    def groups(self) -> list[str]:
        """That caps may count by, as `kind:name`."""


N = TypeVar("N", bound=ForeignNode)


class Picture(msgspec.Struct, Generic[N], frozen=True):
    """What a cluster said at one look. running, pending: jobs of all its nodes."""

    nodes: tuple[N, ...]
    running: int
    pending: int


class Source(msgspec.Struct, Generic[N], frozen=True):
    """name: in settings, reports and names of nodes. title: for people. node: what a picture of it holds. work: what
    runs on its nodes, in the plural."""

    name: str
    title: str
    node: type[N]
    work: str

    @property
    def prefix(self) -> str:
        """Of its nodes where ELIAS names them: the same machine may be a node of ELIAS too, under its own name."""
        return f"{self.name}:"
