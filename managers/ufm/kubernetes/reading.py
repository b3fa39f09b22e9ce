"""Objects of the Kubernetes API, made into nodes and pods."""

from collections import Counter, defaultdict
from collections.abc import Collection

import msgspec

from managers.ufm.kubernetes.node import MARK, WE, KubeNode, KubePod, Picture
from managers.ufm.kubernetes.objects import Meta, Node, Pod
from managers.ufm.kubernetes.quantity import Amounts, amounts, requested

ENDED = ("Succeeded", "Failed")
"""Phases of pods that hold nothing any more."""

_GPUS = ("nvidia.com/gpu", "amd.com/gpu")
_MODELS = ("nvidia.com/gpu.product", "amd.com/gpu.product-name")
_ROLE = "node-role.kubernetes.io/"
_ZONE = "topology.kubernetes.io/zone"
_MIRROR = "kubernetes.io/config.mirror"
_WORDS = 300  # characters of what a node says of itself
_AWAY = frozenset(
    {
        "node.cloudprovider.kubernetes.io/shutdown",
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.kubernetes.io/out-of-service",
        "ToBeDeletedByClusterAutoscaler",
        "karpenter.sh/disrupted",
    }
)
"""Taints by which a cluster takes a node away, or has not yet taken it in."""


def node_of(node: Node) -> KubeNode:
    """Without what its pods hold. Raises ValueError."""
    meta, spec, room = node.metadata, node.spec, amounts(node.status.allocatable)
    conditions = {condition.type: condition for condition in node.status.conditions}
    ready = conditions.pop("Ready", None)
    answers = ready is not None and ready.status == "True"
    away = "it is being deleted" if meta.deletion_timestamp else ""
    away = away or next((taint.key for taint in spec.taints if taint.key in _AWAY), "")
    setter = _setter(meta) if spec.unschedulable else ""
    by, why = "", away
    if not away and spec.unschedulable:
        ours = MARK in meta.annotations and setter in ("", WE)
        by, why = setter, f"{WE} {meta.annotations[MARK]}" if ours else "cordoned"
    elif not away and not answers:
        by, why = (ready.reason, ready.message) if ready else ("", "it has never said how it is")
    return KubeNode(
        name=meta.name,
        reason=why[:_WORDS],
        by=by,
        cpus=room.get("cpu", 0.0),
        cpus_used=0.0,
        memory=int(room.get("memory", 0)),
        memory_used=0,
        gpus=round(_gpus(room)),
        gpus_used=0,
        model=next((meta.labels[label] for label in _MODELS if label in meta.labels), ""),
        version=meta.resource_version,
        ready=answers,
        troubles=tuple(sorted(one.type for one in conditions.values() if one.status == "True")),
        unschedulable=spec.unschedulable,
        mark=meta.annotations.get(MARK, ""),
        setter=setter,
        away=away,
        roles=tuple(sorted(label.removeprefix(_ROLE) for label in meta.labels if label.startswith(_ROLE))),
        zone=meta.labels.get(_ZONE, ""),
    )


def pod_of(pod: Pod) -> KubePod:
    """Raises ValueError."""
    meta, asked = pod.metadata, requested(pod)
    return KubePod(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        node=pod.spec.node_name,
        phase=pod.status.phase,
        keeper=next((owner.kind for owner in meta.owner_references if owner.controller), ""),
        mirror=_MIRROR in meta.annotations,
        local=any(volume.empty_dir is not None for volume in pod.spec.volumes),
        ending=meta.deletion_timestamp is not None,
        cpus_used=asked.get("cpu", 0.0),
        memory_used=asked.get("memory", 0.0),
        gpus_used=_gpus(asked),
    )


def picture(nodes: Collection[KubeNode], pods: Collection[KubePod]) -> Picture:
    """Of the nodes with what the pods on them hold."""
    here: dict[str, list[KubePod]] = defaultdict(list)
    for pod in pods:
        here[pod.node].append(pod)
    phases = Counter(pod.phase for pod in pods)
    return Picture(tuple(_filled(node, here[node.name]) for node in nodes), phases["Running"], phases["Pending"])


def _filled(node: KubeNode, pods: Collection[KubePod]) -> KubeNode:
    return msgspec.structs.replace(
        node,
        cpus_used=sum(pod.cpus_used for pod in pods),
        memory_used=int(sum(pod.memory_used for pod in pods)),
        gpus_used=round(sum(pod.gpus_used for pod in pods)),
        jobs=len(pods),
    )


def _gpus(room: Amounts) -> float:
    return sum(room.get(name, 0.0) for name in _GPUS)


def _setter(meta: Meta) -> str:
    """Who has changed `spec.unschedulable` last, as the API server has noted it (`managedFields`, Kubernetes 1.22)."""
    who = [one.manager for one in meta.managed_fields if "f:unschedulable" in one.fields_v1.get("f:spec", {})]
    return next((manager for manager in who if manager != WE), who[0] if who else "")
