"""What a Kubernetes holds, and its manners: versions, watches, patches, evictions, and who manages a field."""

import base64
import copy
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

_FIELDS = {"nodes": {"metadata.name", "spec.unschedulable"}, "pods": {"metadata.name", "spec.nodeName", "status.phase"}}
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalError",
}


class Answer(Exception):
    """A request that ends in a Status."""

    def __init__(self, code: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
        self.status |= {"reason": _REASONS[code], "details": details, "code": code}


@dataclass
class Budget:
    """A PodDisruptionBudget: so many pods with this label are to stay healthy."""

    name: str
    namespace: str
    app: str
    healthy: int


class Objects:
    """Every change of an object is a new version of everything, as in etcd."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Object]] = {"nodes": {}, "pods": {}}
        self.budgets: list[Budget] = []
        self.lingering: set[str] = set()  # pods that take their time to end
        self.gone_in_stream = False  # how a watch is told that its version is too old: as an event, or at once
        self.version, self.compacted = 1000, 0
        self.closing = False
        self._changes: list[tuple[int, str, Object | None, Object | None]] = []
        self._changed = threading.Condition()

    # -- what a test does to the cluster -----------------------------------------------------------------------------

    def node(self, name: str, *, gpus: int = 0, labels: dict[str, str] | None = None) -> None:
        room = {"cpu": "8", "memory": "16Gi", "pods": "110"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
        own = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "east"} | (labels or {})
        own |= {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"} if gpus else {}
        conditions = [
            {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory", "message": ""},
            {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"},
        ]
        status = {"capacity": room, "allocatable": room | {"cpu": "7910m"}, "conditions": conditions}
        self._put("nodes", self._object("Node", name, "", own, spec={"podCIDR": "10.0.0.0/24"}, status=status))

    def pod(self, name: str, node: str, *, keeper: str = "ReplicaSet", app: str = "web", **more: Any) -> None:
        """more: `volumes`, `annotations`, `gpus`, `namespace`, `phase`."""
        asked = {"cpu": "500m", "memory": "1Gi"} | ({"nvidia.com/gpu": str(more["gpus"])} if "gpus" in more else {})
        spec = {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": asked}}]}
        spec |= {"volumes": more["volumes"]} if "volumes" in more else {}
        status = {"phase": more.get("phase", "Running")}
        pod = self._object("Pod", name, more.get("namespace", "default"), {"app": app}, spec=spec, status=status)
        pod["metadata"]["annotations"] = more.get("annotations", {})
        if keeper:
            owner = {"apiVersion": "apps/v1", "kind": keeper, "name": app, "uid": app, "controller": True}
            pod["metadata"]["ownerReferences"] = [owner]
        self._put("pods", pod)

    def condition(self, node: str, type_: str, status: str, why: str = "NodeStatusUnknown") -> None:
        def change(found: Object) -> None:
            kept = [one for one in found["status"]["conditions"] if one["type"] != type_]
            new = {"type": type_, "status": status, "reason": why, "message": f"{type_} is {status}"}
            found["status"]["conditions"] = [*kept, new]

        self.change("nodes", node, change)

    def kubectl(self, node: str, *, cordon: bool) -> None:
        """As a person does it."""
        with self._changed:
            found = copy.deepcopy(self.objects["nodes"][node])
            self._set(found, cordon or None, "kubectl-cordon" if cordon else "kubectl-uncordon")
            self._put("nodes", found)

    def annotate(self, node: str, key: str, value: str | None) -> None:
        def change(found: Object) -> None:
            _merge(found["metadata"], {"annotations": {key: value}})

        self.change("nodes", node, change)

    def change(self, resource: str, name: str, change: Callable[[Object], None]) -> None:
        with self._changed:
            found = copy.deepcopy(self.objects[resource][name])
            change(found)
            self._put(resource, found)

    def delete(self, resource: str, name: str) -> None:
        with self._changed:
            self.version += 1
            gone = self.objects[resource].pop(name)
            self._log(resource, gone, None)

    def end(self, pod: str) -> None:
        """A pod that was told to end is gone; what keeps it makes another one, which runs elsewhere."""
        with self._changed:
            old = self.objects["pods"][pod]
            self.delete("pods", pod)
            meta = old["metadata"]
            if meta.get("ownerReferences"):
                self.pod(f"{meta['name']}-next", "", app=meta["labels"]["app"], phase="Pending")

    def compact(self) -> None:
        """Forget all versions but the newest, as etcd does every five minutes."""
        with self._changed:
            self.compacted = self.version
            self._changes.clear()

    def cordoned(self, node: str) -> bool:
        return bool(self.objects["nodes"][node]["spec"].get("unschedulable"))

    def on(self, node: str) -> set[str]:
        return {name for name, pod in self.objects["pods"].items() if pod["spec"].get("nodeName") == node}

    # -- what it is asked ----------------------------------------------------------------------------------------------

    def get(self, resource: str, name: str) -> Object:
        with self._changed:
            if name not in self.objects[resource]:
                raise Answer(404, f'{resource} "{name}" not found', name=name, kind=resource)
            return copy.deepcopy(self.objects[resource][name])

    def list(self, resource: str, query: dict[str, str]) -> Object:
        wanted = _selector(resource, query)
        with self._changed:
            for pod in list(self.objects["pods"].values()):  # the scheduler and the kubelets were not idle
                if pod["status"]["phase"] == "Pending":
                    self._put("pods", _scheduled(pod, self.objects["nodes"]))
            version, start = self.version, ""
            if "continue" in query:
                version, start = json.loads(base64.b64decode(query["continue"]))
                if version < self.compacted:
                    raise Answer(410, "The provided continue parameter is too old to display a consistent list result.")
            names = sorted(name for name, one in self.objects[resource].items() if name > start and wanted(one))
            page = names[: int(query.get("limit", len(names)))]
            meta: Object = {"resourceVersion": str(version)}
            if len(page) < len(names):
                meta["continue"] = base64.b64encode(json.dumps([version, page[-1]]).encode()).decode()
                meta["remainingItemCount"] = len(names) - len(page)
            kind = "NodeList" if resource == "nodes" else "PodList"
            items = [copy.deepcopy(self.objects[resource][name]) for name in page]
            return {"kind": kind, "apiVersion": "v1", "metadata": meta, "items": items}

    def watch(self, resource: str, query: dict[str, str]) -> Iterator[Object]:
        wanted, seen = _selector(resource, query), int(query["resourceVersion"])
        deadline = time.monotonic() + int(query.get("timeoutSeconds", 1800))
        old = Answer(410, f"too old resource version: {seen} ({self.version})")
        if seen < self.compacted and not self.gone_in_stream:
            raise old
        return self._stream(resource, wanted, seen, deadline, old, bookmarks=query.get("allowWatchBookmarks") == "true")

    def _stream(
        self, resource: str, wanted: Any, seen: int, deadline: float, old: Answer, *, bookmarks: bool
    ) -> Iterator[Object]:
        while True:
            with self._changed:
                if seen < self.compacted:
                    yield {"type": "ERROR", "object": old.status}
                    return
                news = [change for change in self._changes if change[0] > seen]
                left = deadline - time.monotonic()
                if not news and left > 0 and not self.closing:
                    self._changed.wait(left)
                    continue
                seen = self.version
            for version, kind, before, after in news:
                if kind == resource and (event := _event(wanted, version, before, after)):
                    yield event
            if self.closing:
                return
            if left <= 0:
                if bookmarks:
                    kind = "Node" if resource == "nodes" else "Pod"
                    meta = {"resourceVersion": str(seen), "creationTimestamp": None}
                    yield {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": meta}}
                return

    def patch(self, name: str, kind: str, body: Any, manager: str) -> Object:
        if kind not in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            raise Answer(415, "the body of the request was in an unknown format")
        _only(body, {"metadata", "spec"}, "")
        _only(body.get("metadata", {}), {"resourceVersion", "annotations"}, "metadata.")
        _only(body.get("spec", {}), {"unschedulable"}, "spec.")
        for key, value in body.get("metadata", {}).get("annotations", {}).items():
            if not _KEY.fullmatch(key) or not isinstance(value, str | None):
                raise Answer(400, f"metadata.annotations: Invalid value: {key!r}")
        cordon = body.get("spec", {}).get("unschedulable")
        if not isinstance(cordon, bool | None):
            raise Answer(400, "json: cannot unmarshal into Go struct field NodeSpec.spec.unschedulable of type bool")
        with self._changed:
            found = self.get("nodes", name)
            version = body.get("metadata", {}).get("resourceVersion")
            if version not in (None, found["metadata"]["resourceVersion"]):
                again = "the object has been modified; please apply your changes to the latest version and try again"
                raise Answer(409, f'Operation cannot be fulfilled on nodes "{name}": {again}')
            _merge(found["metadata"], {"annotations": body.get("metadata", {}).get("annotations", {})})
            if "unschedulable" in body.get("spec", {}):
                self._set(found, cordon or None, manager)
            changed = self._put("nodes", found)
            self._taint(name)
            return changed

    def evict(self, namespace: str, name: str, body: Any) -> Object:
        _only(body, {"apiVersion", "kind", "metadata", "deleteOptions"}, "")
        if (body["apiVersion"], body["kind"]) != ("policy/v1", "Eviction"):
            raise Answer(400, "no kind is registered for this version")
        if body["metadata"] != {"name": name, "namespace": namespace}:
            raise Answer(400, "name in URL does not match name in Eviction object")
        _only(body.get("deleteOptions", {}), {"preconditions", "gracePeriodSeconds"}, "deleteOptions.")
        with self._changed:
            pod = self.get("pods", name)
            if pod["metadata"]["namespace"] != namespace:
                raise Answer(404, f'pods "{name}" not found')
            uid = body.get("deleteOptions", {}).get("preconditions", {}).get("uid", pod["metadata"]["uid"])
            if uid != pod["metadata"]["uid"]:
                raise Answer(409, "Precondition failed: UID in precondition does not match UID in object meta")
            self._check_budgets(pod)
            pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
            self._put("pods", pod)
            if name not in self.lingering:
                self.end(name)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _check_budgets(self, pod: Object) -> None:
        app = pod["metadata"]["labels"]["app"]
        mine = [one for one in self.budgets if (one.namespace, one.app) == (pod["metadata"]["namespace"], app)]
        if len(mine) > 1:
            raise Answer(
                500, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        for budget in mine:
            healthy = sum(_healthy(one, app) for one in self.objects["pods"].values())
            if healthy <= budget.healthy:
                needs = f"needs {budget.healthy} healthy pods and has {healthy} currently"
                cause = f"The disruption budget {budget.name} {needs}"
                causes = [{"reason": "DisruptionBudget", "message": cause}]
                why = "Cannot evict pod as it would violate the pod's disruption budget."
                raise Answer(429, why, causes=causes)

    def _object(self, kind: str, name: str, namespace: str, labels: dict[str, str], **parts: Any) -> Object:
        meta = {
            "name": name,
            "uid": secrets.token_hex(8),
            "labels": labels,
            "creationTimestamp": "2026-01-02T03:04:05Z",
        }
        meta |= {"namespace": namespace} if namespace else {}
        return {"kind": kind, "apiVersion": "v1", "metadata": meta, **parts}

    def _set(self, node: Object, cordon: bool | None, manager: str) -> None:
        """Changes `spec.unschedulable`, and with it who manages that field."""
        if node["spec"].get("unschedulable") == cordon:
            return
        _merge(node["spec"], {"unschedulable": cordon})
        entries = [one for one in node["metadata"].get("managedFields", ())]
        entries = [one for one in entries if "f:unschedulable" not in one["fieldsV1"].get("f:spec", {})]
        if cordon is not None:
            fields = {"f:spec": {"f:unschedulable": {}}}
            entries.append({"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsV1": fields})
        node["metadata"]["managedFields"] = entries

    def _taint(self, name: str) -> None:
        """As the node life cycle controller does, in a change of its own."""
        taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        found = self.get("nodes", name)
        kept = [one for one in found["spec"].get("taints", ()) if one["key"] != taint["key"]]
        new = [*kept, taint] if found["spec"].get("unschedulable") else kept
        if new != found["spec"].get("taints", []):
            found["spec"]["taints"] = new
            self._put("nodes", found)

    def _put(self, resource: str, found: Object) -> Object:
        with self._changed:
            self.version += 1
            found["metadata"]["resourceVersion"] = str(self.version)
            name = found["metadata"]["name"]
            before, self.objects[resource][name] = self.objects[resource].get(name), found
            self._log(resource, before, found)
            return found

    def _log(self, resource: str, before: Object | None, after: Object | None) -> None:
        self._changes.append((self.version, resource, copy.deepcopy(before), copy.deepcopy(after)))
        self._changed.notify_all()


def _only(found: Object, names: set[str], where: str) -> None:
    if unknown := found.keys() - names:
        raise Answer(400, f'strict decoding error: unknown field "{where}{min(unknown)}"')


def _merge(target: Object, patch: Object) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _selector(resource: str, query: dict[str, str]) -> Callable[[Object], bool]:
    tests = [_label(part) for part in query.get("labelSelector", "").split(",") if part]
    tests += [_field(resource, part) for part in query.get("fieldSelector", "").split(",") if part]
    return lambda found: all(test(found) for test in tests)


def _label(text: str) -> Callable[[Object], bool]:
    match = re.fullmatch(r"(!?)([A-Za-z0-9][-A-Za-z0-9_./]*)(?:(!=|==?)([-A-Za-z0-9_.]*))?", text)
    if match is None or (match[1] and match[3]):
        raise Answer(400, f"unable to parse requirement: {text}")
    no, key, how, value = match.groups()

    def holds(found: Object) -> bool:
        labels = found["metadata"]["labels"]
        if how is None:
            return (key in labels) is not bool(no)
        return (labels.get(key) == value) is (how != "!=")

    return holds


def _field(resource: str, text: str) -> Callable[[Object], bool]:
    match = re.fullmatch(r"([a-zA-Z.]+)(!=|==?)(.*)", text)
    if match is None or match[1] not in _FIELDS[resource]:
        raise Answer(400, f'"{text}" is not a known field selector: only {sorted(_FIELDS[resource])}')
    part, _, name = match[1].partition(".")
    return lambda found: (str(found[part].get(name, "")) == match[3]) is (match[2] != "!=")


def _event(wanted: Any, version: int, before: Object | None, after: Object | None) -> Object | None:
    """What somebody with a selector hears of a change."""
    was, is_ = before is not None and wanted(before), after is not None and wanted(after)
    if not was and not is_:
        return None
    kind = "MODIFIED" if was and is_ else "ADDED" if is_ else "DELETED"
    found = copy.deepcopy(after if is_ else before)
    found["metadata"]["resourceVersion"] = str(version)  # type: ignore[index]
    return {"type": kind, "object": found}


def _scheduled(pod: Object, nodes: dict[str, Object]) -> Object:
    """On the first node that takes it; a copy."""
    free = sorted(name for name, node in nodes.items() if not node["spec"].get("unschedulable"))
    if not free:
        return pod
    new = copy.deepcopy(pod)
    new["spec"]["nodeName"], new["status"]["phase"] = free[0], "Running"
    return new


def _healthy(pod: Object, app: str) -> bool:
    mine = pod["metadata"]["labels"]["app"] == app
    return mine and pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
