"""Which Ray and Python a cluster has: those of its head, and so those of every node."""

import importlib.metadata
import platform
from typing import Any, Self

import msgspec


class Versions(msgspec.Struct, frozen=True):
    """Ray refuses another Ray and another minor version of Python. Another ELIAS it does not: while a cluster is
    upgraded its nodes differ in that."""

    ray: str
    python: str

    @classmethod
    def here(cls) -> Self:
        """Those that are installed."""
        return cls(importlib.metadata.version("ray"), platform.python_version())

    @classmethod
    def of(cls, control: Any) -> Self | None:
        """Those of the cluster that this client of Ray's control store (`GcsClient`) asks; None: its head has not said
        so yet."""
        from ray._common.usage.usage_lib import get_cluster_metadata  # noqa: PLC0415  half a second, and here alone

        try:
            found = get_cluster_metadata(control)
        except AttributeError:  # there is nothing, and Ray decodes it
            return None
        return cls(found["ray_version"], found["python_version"])

    def fits(self, other: "Versions") -> bool:
        """Whether machines with these two can be of one cluster."""
        return self.ray == other.ray and self.python.split(".")[:2] == other.python.split(".")[:2]

    def __str__(self) -> str:
        return f"Ray {self.ray} and Python {self.python}"
