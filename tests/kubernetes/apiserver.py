"""A stand-in for the API server of Kubernetes, strict: it takes what the real one takes of nodes, pods and evictions,
and refuses the rest. As no cluster can be had in these tests, its manners follow the reference of Kubernetes 1.33: "API
Concepts" (lists in pages, watches, bookmarks, 410, 409, patches), "Server-Side Apply" (who manages a field), and
"API-initiated Eviction".
"""

import base64
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.kubernetes.objects import Answer, Object, Objects
from tests.managers.uim.doctor import certificates

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
_PATHS = {
    r"/api/v1/(nodes)": {"GET": "list"},
    r"/api/v1/(nodes)/([^/]+)": {"GET": "get", "PATCH": "patch"},
    r"/api/v1/(pods)": {"GET": "list"},
    r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/eviction": {"POST": "create"},
}


class Busy(Exception):
    """A request that is turned away because there are too many ("API Priority and Fairness")."""


class ApiServer(Objects):
    """rules: what whoever has `token` may do. used: what was done of it."""

    def __init__(self, folder: Path, rules: Rules = ALL) -> None:
        super().__init__()
        self.rules, self.used = rules, set[tuple[str, str]]()
        self.token = secrets.token_hex(16)
        self.before: Callable[[str, str], None] = lambda verb, resource: None  # called before a request is answered
        self.requests: list[tuple[str, str]] = []
        self._folder = folder
        self._pair = certificates.made(folder / "apiserver", 30, "127.0.0.1")
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

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
