"""Providers to talk to over real HTTP: Anthropic's Messages API and OpenAI's Chat Completions, as strict as they are.

A request that the real service would refuse is refused here with 400, and fails the test that made it. What is answered
is scripted, one reply a request; the last one is repeated.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "test-key-4f1c9a7e2b"
LABELS = [*"ABCDEFGHIJKLMNOP", "ask a person"]


@dataclass(frozen=True)
class Says:
    """A well-formed answer; `raw` replaces its arguments. tokens: input, of these from the cache, output."""

    choice: str = "A"
    reason: str = "it fits"
    confidence: float = 0.9
    raw: Mapping[str, Any] | None = None
    tokens: tuple[int, int, int] = (2000, 1500, 100)
    times: int = 1

    @property
    def arguments(self) -> Mapping[str, Any]:
        if self.raw is not None:
            return self.raw
        return {"choice": self.choice, "reason": self.reason, "confidence": self.confidence}


@dataclass(frozen=True)
class Prose:
    """Words instead of an answer. stop: why it ended."""

    text: str = "I would rather talk about something else."
    stop: str = "end_turn"


@dataclass(frozen=True)
class Status:
    """An error, with the body that the service sends."""

    code: int
    kind: str = "api_error"
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """Any bytes as the body of a 200."""

    raw: bytes


@dataclass(frozen=True)
class Hangs:
    """Nothing, until the stub is closed."""


Reply = Says | Prose | Status | Body | Hangs


class Stub:
    """bodies, headers: of the requests so far. wrong: what the real service would not have taken."""

    def __init__(self, *replies: Reply | Callable[[Mapping[str, Any]], Reply]) -> None:
        self.replies = list(replies) or [Says()]
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.wrong == []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def texts(self) -> list[str]:
        """All that was sent, as text: bodies and headers but the one that carries the key."""
        heads = [{name: value for name, value in one.items() if name != "authorization"} for one in self.headers]
        return [raw.decode() + json.dumps(head) for raw, head in zip(self.raw, heads, strict=True)]

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers["Content-Length"]))
        body = json.loads(raw)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.raw.append(raw)
            self.bodies.append(body)
            self.headers.append(headers)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        claude = handler.path.endswith("/v1/messages")
        wrong = _messages(body, headers) if claude else _chat(body, headers, handler.path)
        if wrong:
            self.wrong.append(wrong)
            reply = Status(400, "invalid_request_error", wrong)
        elif callable(reply):
            reply = reply(body)
        self._reply(handler, reply, body, claude)

    def _reply(self, handler: BaseHTTPRequestHandler, reply: Reply, body: Mapping[str, Any], claude: bool) -> None:
        if isinstance(reply, Hangs):
            self._closed.wait()
            handler.close_connection = True
            return
        status, more, payload = 200, {}, b""
        if isinstance(reply, Status):
            status, more = reply.code, dict(reply.headers)
            payload = json.dumps({"type": "error", "error": {"type": reply.kind, "message": reply.message}}).encode()
        elif isinstance(reply, Body):
            payload = reply.raw
        else:
            payload = json.dumps(_message(reply, body) if claude else _completion(reply, body)).encode()
        try:
            handler.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(payload)),
                **more,
            }.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(payload)
        except ConnectionError:
            handler.close_connection = True  # whoever asked has gone


def prompt(body: Mapping[str, Any]) -> tuple[str, str]:
    """The constant and the variable part of a request, in either protocol."""
    if "system" in body:
        return body["system"][0]["text"], body["messages"][0]["content"][0]["text"]
    system, user = body["messages"]
    content = user["content"]
    return system["content"], content if isinstance(content, str) else content[0]["text"]


# -- what the services take -----------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """https://platform.claude.com/docs/en/api/messages"""
    known = {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "metadata", "temperature"}
    if body.keys() - known:
        return f"unknown fields {sorted(body.keys() - known)}"
    if KEY not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
        return "no key"
    if not headers.get("anthropic-version"):
        return "no anthropic-version"
    if not isinstance(body["max_tokens"], int) or body.get("stream"):
        return "max_tokens, stream"
    (system,) = body["system"]
    if system["type"] != "text" or system.get("cache_control", {}).get("type") != "ephemeral":
        return "the constant part is not marked for the cache"
    (message,) = body["messages"]
    if message["role"] != "user" or [part["type"] for part in message["content"]] != ["text"]:
        return "messages"
    if body["tool_choice"]["type"] not in ("auto", "any", "tool"):
        return "tool_choice"
    (tool,) = body["tools"]
    return _schema(tool["input_schema"])


def _chat(body: Mapping[str, Any], headers: Mapping[str, str], path: str) -> str:
    """https://platform.openai.com/docs/api-reference/chat/create"""
    if path != "/v1/chat/completions" or headers.get("authorization") not in (f"Bearer {KEY}", "Bearer none"):
        return "path or key"
    if [message["role"] for message in body["messages"]] != ["system", "user"]:
        return "messages"
    (tool,) = body["tools"]
    if tool["type"] != "function":
        return "tools"
    return _schema(tool["function"]["parameters"])


def _schema(schema: Mapping[str, Any]) -> str:
    choice = schema["properties"]["choice"]
    right = schema["type"] == "object" and choice["enum"] == LABELS and not schema["additionalProperties"]
    return "" if right and set(schema["required"]) == {"choice", "reason", "confidence"} else f"schema {schema}"


# -- what they answer -----------------------------------------------------------------------------------------------


def _message(reply: Says | Prose, body: Mapping[str, Any]) -> dict[str, Any]:
    tokens = reply.tokens if isinstance(reply, Says) else (2000, 0, 30)
    if isinstance(reply, Says):
        use = {"type": "tool_use", "name": body["tools"][0]["name"], "input": reply.arguments}
        content = [{**use, "id": f"toolu_{number}"} for number in range(reply.times)]
        stop = "tool_use"
    else:
        content, stop = ([{"type": "text", "text": reply.text}] if reply.text else []), reply.stop
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": tokens[0] - tokens[1],
            "cache_read_input_tokens": tokens[1],
            "cache_creation_input_tokens": 0,
            "output_tokens": tokens[2],
        },
    }


def _completion(reply: Says | Prose, body: Mapping[str, Any]) -> dict[str, Any]:
    tokens = reply.tokens if isinstance(reply, Says) else (2000, 0, 30)
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(reply, Says):
        call = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps(reply.arguments)}
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": call} for number in range(reply.times)
        ]
    else:
        message["content"] = reply.text
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[2],
            "total_tokens": tokens[0] + tokens[2],
            "prompt_tokens_details": {"cached_tokens": tokens[1]},
        },
    }
