"""A stand-in for the API server of Kubernetes, strict: it takes what the real one takes of nodes, pods and evictions,
and refuses the rest. As no cluster can be had in these tests, its manners follow the reference of Kubernetes 1.33: "API
Concepts" (lists in pages, watches, bookmarks, 410, 409, patches), "Server-Side Apply" (who manages a field), and
"API-initiated Eviction".
"""

import base64
import copy
import json
import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.managers.uim.doctor import certificates

Object = dict[str, Any]
Rules = frozenset[tuple[str, str]]
"""What may be done, as verb and resource: `("list", "pods")`."""

READ = frozenset({("list", "nodes"), ("watch", "nodes"), ("list", "pods"), ("watch", "pods")})
ALL = READ | {("get", "nodes"), ("patch", "nodes"), ("create", "pods/eviction")}

_QUERIES = {
    "get": {"pretty"},
    "list": {"limit", "continue", "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch"},
    "watch": {"watch", "resourceVersion", "allowWatchBookmarks", "timeoutSeconds", "labelSelector", "fieldSelector"},
    "patch": {"fieldManager", "fieldValidation", "dryRun"},
    "create": {"fieldManager", "fieldValidation", "dryRun"},
}
_FIELDS = {"nodes": {"metadata.name", "spec.unschedulable"}, "pods": {"metadata.name", "spec.nodeName", "status.phase"}}
_PATHS = {
    r"/api/v1/(nodes)": {"GET": "list"},
    r"/api/v1/(nodes)/([^/]+)": {"GET": "get", "PATCH": "patch"},
    r"/api/v1/(pods)": {"GET": "list"},
    r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/eviction": {"POST": "create"},
}
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


class Busy(Exception):
    """A request that is turned away because there are too many ("API Priority and Fairness")."""


@dataclass
class Budget:
    """A PodDisruptionBudget: so many pods with this label are to stay healthy."""

    name: str
    namespace: str
    app: str
    healthy: int


class ApiServer:
    """rules: what whoever has `token` may do. used: what was done of it. Every change of an object is a new version of
    everything, as in etcd."""

    def __init__(self, folder: Path, rules: Rules = ALL) -> None:
        self.rules, self.used = rules, set[tuple[str, str]]()
        self.token = secrets.token_hex(16)
        self.objects: dict[str, dict[str, Object]] = {"nodes": {}, "pods": {}}
        self.budgets: list[Budget] = []
        self.lingering: set[str] = set()  # pods that take their time to end
        self.gone_in_stream = False  # how a watch is told that its version is too old: as an event, or at once
        self.before: Callable[[str, str], None] = lambda verb, resource: None  # called before a request is answered
        self.version, self.compacted = 1000, 0
        self.requests: list[tuple[str, str]] = []
        self.closing = False
        self._changes: list[tuple[int, str, Object | None, Object | None]] = []
        self._changed = threading.Condition()
        self._folder = folder
        self._pair = certificates.made(folder / "apiserver", 30, "127.0.0.1")
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

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

    # -- the server --------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[Self]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.cert, self._pair.key)
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port, self.closing = self._server.server_port, False
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            with self._changed:
                self.closing = True
                self._changed.notify_all()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def kubeconfig(self) -> Path:
        path = self._folder / "kubeconfig"
        authority = base64.b64encode(self._pair.cert.read_bytes()).decode()
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": authority}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "elias", "user": {"token": self.token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "elias"}}],
            "current-context": "lab",
        }
        path.write_text(yaml.safe_dump(text))
        path.chmod(0o600)
        return path

    def allow(self, header: str, verb: str, resource: str) -> None:
        if not secrets.compare_digest(header, f"Bearer {self.token}"):
            raise Answer(401, "Unauthorized")
        if (verb, resource) not in self.rules:
            kind = resource.partition("/")[0]
            who = 'User "elias" cannot'
            raise Answer(
                403, f'{kind} is forbidden: {who} {verb} resource "{resource}" in API group "" at the cluster scope'
            )
        self.used.add((verb, resource))

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of the server's business."""


def _handler(api: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            try:
                self._answer(body)
            except Busy:
                self._plain(429, b"Too many requests, please try again later.\n")
            except Answer as answer:
                self._send(answer.code, answer.status)

        do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = _serve

        def _answer(self, body: bytes) -> None:
            url = urlsplit(self.path)
            pairs = parse_qsl(url.query, keep_blank_values=True)
            query = dict(pairs)
            found = next((m for pattern in _PATHS if (m := re.fullmatch(pattern, url.path))), None)
            if found is None:
                raise Answer(404, "the server could not find the requested resource")
            verb = _PATHS[found.re.pattern].get(self.command)
            if verb is None:
                raise Answer(405, "the server does not allow this method on the requested resource")
            resource = "pods/eviction" if verb == "create" else found[1]
            verb = "watch" if verb == "list" and query.get("watch") == "true" else verb
            api.requests.append((verb, resource))
            api.allow(self.headers.get("Authorization", ""), verb, resource)
            if len(pairs) != len(query) or (unknown := query.keys() - _QUERIES[verb]):
                raise Answer(400, f"what is {sorted(unknown)}?")
            api.before(verb, resource)
            if verb == "get":
                self._send(200, api.get(resource, found[2]))
            elif verb == "list":
                self._send(200, api.list(resource, query))
            elif verb == "watch":
                self._stream(api.watch(resource, query))
            elif verb == "patch":
                agent = self.headers.get("User-Agent", "").partition("/")[0]
                kind = self.headers.get("Content-Type", "")
                self._send(200, api.patch(found[2], kind, _json(body), query.get("fieldManager", agent)))
            else:
                if self.headers.get("Content-Type") != "application/json":
                    raise Answer(415, "the body of the request was in an unknown format")
                self._send(201, api.evict(found[1], found[2], _json(body)))

        def _send(self, code: int, answer: Object) -> None:
            self._plain(code, json.dumps(answer).encode(), "application/json")

        def _plain(self, code: int, text: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _stream(self, events: Iterator[Object]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                text = json.dumps(event).encode() + b"\n"
                for part in (text[: len(text) // 2], text[len(text) // 2 :]):  # a line may come in pieces
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.flush()
            if api.closing:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

    return Handler


def _json(body: bytes) -> Any:
    try:
        found = json.loads(body)
    except ValueError:
        raise Answer(400, "the object provided is unrecognized") from None
    if not isinstance(found, dict):
        raise Answer(400, "the object provided is unrecognized")
    return found


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
