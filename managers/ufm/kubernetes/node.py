"""A node as Kubernetes has it, and a pod as far as a drain has to know it."""

import re

import msgspec

from managers.ufm.foreign import node
from managers.ufm.foreign.node import ForeignNode, Source, Status

WE = "elias"
"""As whom ELIAS changes fields there."""

MARK = "elias/decision"
"""Annotation of a node that ELIAS cordoned: the id of the decision."""

_DECISION = re.compile("[0-9a-f]{32}")


class KubeNode(ForeignNode, frozen=True, kw_only=True):
    """version: of the object that this was read from. ready: of the condition `Ready`. troubles: other conditions that
    hold. mark: the decision that is annotated. setter: who has changed `spec.unschedulable` last; empty where the API
    does not tell. away: why it is no working part of its cluster; empty where it is."""

    version: str
    ready: bool
    troubles: tuple[str, ...]
    unschedulable: bool
    mark: str
    setter: str
    away: str
    roles: tuple[str, ...]
    zone: str

    @property
    def ours(self) -> bool:
        """Whether ELIAS cordoned it, and nobody has touched the cordon since: an annotation outlives what it says."""
        return _DECISION.fullmatch(self.mark) is not None and self.setter in ("", WE)

    @property
    def status(self) -> Status:
        if self.away:
            return Status.ASIDE
        if self.unschedulable:
            return Status.DRAINED if self.ours else Status.HELD
        return Status.UP

    @property
    def answers(self) -> bool:
        return self.ready

    @property
    def down(self) -> bool:
        return not self.ready

    @property
    def state(self) -> str:
        cordon = ("SchedulingDisabled",) if self.unschedulable else ()
        return ",".join(("Ready" if self.ready else "NotReady", *cordon, *self.troubles))

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.roles, self.zone) if self.zone else self.roles

    @property
    def groups(self) -> list[str]:
        return [f"zone:{self.zone}"] if self.zone else []


class KubePod(msgspec.Struct, frozen=True):
    """keeper: the kind of what makes it anew, such as `ReplicaSet`; empty: nothing does. mirror: it is of a file on its
    node, and not the API's to end. local: it has data that end with it. *_used: asked for, cores, bytes and devices."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    keeper: str
    mirror: bool
    local: bool
    ending: bool
    cpus_used: float
    memory_used: float
    gpus_used: float

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


KUBERNETES = Source("kubernetes", "Kubernetes", KubeNode, "pods")
Picture = node.Picture[KubeNode]
