"""The objects of the Kubernetes API, as far as ELIAS reads them: what is not named here is skipped."""

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Owner(_Object, frozen=True):
    kind: str
    name: str
    controller: bool = False


class Managed(_Object, frozen=True):
    """Fields that somebody (`manager`) has set last, as a tree of their names with `f:` before each."""

    manager: str = ""
    fields_v1: dict[str, Any] = msgspec.field(default={}, name="fieldsV1")


class Meta(_Object, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    managed_fields: tuple[Managed, ...] = ()


class Taint(_Object, frozen=True):
    key: str
    effect: str
    value: str = ""


class Condition(_Object, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class NodeSpec(_Object, frozen=True):
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeStatus(_Object, frozen=True):
    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    conditions: tuple[Condition, ...] = ()


class Node(_Object, frozen=True):
    metadata: Meta = Meta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Resources(_Object, frozen=True):
    requests: dict[str, str] = {}


class Container(_Object, frozen=True):
    resources: Resources = Resources()
    restart_policy: str = ""


class Volume(_Object, frozen=True):
    empty_dir: dict[str, Any] | None = None


class PodSpec(_Object, frozen=True):
    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    overhead: dict[str, str] = {}
    resources: Resources = Resources()
    volumes: tuple[Volume, ...] = ()


class PodStatus(_Object, frozen=True):
    phase: str = ""


class Pod(_Object, frozen=True):
    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ListMeta(_Object, frozen=True):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list."""

    metadata: ListMeta = ListMeta()
    items: tuple[T, ...] | None = ()


class Change(msgspec.Struct, frozen=True):
    """A line of a watch."""

    type: str
    object: msgspec.Raw


class Cause(_Object, frozen=True):
    message: str = ""


class Details(_Object, frozen=True):
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: float = 0.0


class Status(_Object, frozen=True):
    """What the API server says instead of an answer. code: as of HTTP."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details = Details()
