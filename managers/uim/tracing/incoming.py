"""Posts of events as the first spans of traces, and the traces that they belong to.

Source: W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00 of `traceparent`.
"""

import os
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.clock import Clock
from federation.points import DecisionPoint
from federation.records import Event
from federation.replies import Rejected
from federation.runtime.link import Link
from managers.uim.api.lanes import Lanes, Result
from managers.uim.tracing.spans import Parent, Span, span_id

REMEMBERED = 50_000  # decisions whose trace somebody else named: of those after them the trace is their own id
KEPT = 10_000  # spans of requests that wait to be sent

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Given(NamedTuple):
    """A `traceparent`: the trace, the span of the sender, and whether the sender records it."""

    trace: str
    span: str
    sampled: bool


def given(header: str) -> Given | None:
    """None: there is no sound one, and the request begins a trace of its own."""
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    return Given(match[2], match[3], bool(int(match[4], 16) & 1))


class _Post(NamedTuple):
    """A request under way. span: its id, in the trace that it was given. decisions: that it asks for."""

    given: Given | None
    span: str
    decisions: list[str]


_post: ContextVar[_Post] = ContextVar("_post")


class Incoming:
    """What is known of the requests: which trace a decision belongs to, and the spans of those that were answered."""

    def __init__(self, share: float, own: Callable[[str], bool]) -> None:
        """share: of the decisions whose sender does not say whether they are recorded. own: whether the source of an
        event is ELIAS itself, which posts nothing."""
        self._own = own
        self._limit = round(share * 2**32)
        self._named: OrderedDict[str, tuple[Parent, bool]] = OrderedDict()
        self.spans: deque[Span] = deque(maxlen=KEPT)

    def parent(self, decision: str, source: str) -> Parent:
        """Of the first span of this decision. source: of its event."""
        if decision in self._named:
            return self._named[decision][0]
        return Parent(decision, "" if self._own(source) else span_id(decision, "post"))

    def wanted(self, decision: str) -> bool:
        """Whether its trace is recorded: as its sender says, or by its id, so that all parts of it agree."""
        if decision in self._named:
            return self._named[decision][1]
        return int(decision[:8], 16) < self._limit

    def asked(self, decisions: Iterable[str]) -> None:
        """By the request that is under way in this task."""
        post = _post.get(None)
        if post is None:
            return
        for decision in decisions:
            post.decisions.append(decision)
            if post.given is not None:
                self._named[decision] = (Parent(post.given.trace, post.span), post.given.sampled)
                self._named.move_to_end(decision)
                if len(self._named) > REMEMBERED:
                    self._named.popitem(last=False)


class TracedLanes(Lanes):
    """Lanes that tell which decisions the events of a request ask for. Their ids derive from the events, so this is
    known before the first of them is on record."""

    def __init__(self, link: Link, points: Sequence[DecisionPoint], incoming: Incoming) -> None:
        super().__init__(link, points)
        self._incoming = incoming
        self._points: dict[str, list[str]] = {}
        for point in points:
            for kind in {point.name, *point.events}:
                self._points.setdefault(kind, []).append(point.name)

    async def decide(self, events: Sequence[Event | Rejected]) -> list[Result]:
        sound = (event for event in events if isinstance(event, Event))
        self._incoming.asked(event.decision(point) for event in sound for point in self._points.get(event.type, ()))
        return await super().decide(events)


class Posts:
    """ASGI middleware: a span for each request that asks for decisions, and `traceparent` in its answer."""

    def __init__(self, app: ASGIApp, incoming: Incoming, clock: Clock) -> None:
        self.app, self._incoming, self._clock = app, incoming, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        post = _Post(given(headers.get(b"traceparent", b"").decode("latin-1")), os.urandom(8).hex(), [])
        token = _post.set(post)
        begun, status = self._clock.now(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if header := self._header(post):
                    message = {**message, "headers": [*message["headers"], (b"traceparent", header.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, told)
        finally:
            _post.reset(token)
            if post.decisions:
                route = getattr(scope.get("route"), "path", "") or "other"
                self._incoming.spans.extend(self._spans(post, f"{scope['method']} {route}", status, begun))

    def _header(self, post: _Post) -> str:
        """Of the trace that the request belongs to, or of its first decision; empty: it asked for none."""
        if not post.decisions:
            return ""
        if post.given is not None:
            return f"00-{post.given.trace}-{post.span}-{int(post.given.sampled):02}"
        first = post.decisions[0]
        return f"00-{first}-{span_id(first, 'post')}-{int(self._incoming.wanted(first)):02}"

    def _spans(self, post: _Post, name: str, status: int, begun: int) -> list[Span]:
        """One in the trace that was given; otherwise one in the trace of each decision."""
        if post.given is not None:
            places = [(post.given.trace, post.span, post.given.span)] if post.given.sampled else []
        else:
            wanted = dict.fromkeys(filter(self._incoming.wanted, post.decisions))
            places = [(decision, span_id(decision, "post"), "") for decision in wanted]
        told = {"http.response.status_code": status, "elias.decisions": len(post.decisions)}
        error = f"answered with {status}" if status >= 500 else ""
        end = self._clock.now()
        return [
            Span(trace, span, parent, name, begun, end, told, error=error, served=True)
            for trace, span, parent in places
        ]
