"""The objects of one kind, kept up with the API server by a list and then watches (Kubernetes, "API Concepts")."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from federation.errors import Temporary
from managers.ufm.kubernetes.objects import Change, Listed, Meta, Status

PAGE = 250  # objects of one answer
MOST = 200_000  # objects of one kind

T = TypeVar("T")
V = TypeVar("V")


class Expired(Temporary):
    """What was seen is too old to go on from (HTTP 410)."""


class Feed(Protocol):
    """Requests about one kind: a page of a list, and a watch that lasts so long and hands on each line. Both raise
    Temporary, and Expired where the API server has forgotten the version."""

    def page(self, words: Mapping[str, Any]) -> Awaitable[bytes]: ...

    def watch(self, words: Mapping[str, Any], seconds: float, each: Callable[[bytes], None]) -> Awaitable[None]: ...


class _Bare(msgspec.Struct, frozen=True):
    metadata: Meta


class Mirror(Generic[T, V]):
    """kind: of the objects. read: what is kept of one; raises ValueError. version: of what was seen last; empty before
    the first list."""

    def __init__(self, feed: Feed, kind: type[T], read: Callable[[T], V]) -> None:
        self.objects: dict[str, V] = {}
        self.version = ""
        self._feed = feed
        self._read = read
        listed: Any = Listed[kind]  # type: ignore[valid-type]
        self._page: msgspec.json.Decoder[Listed[T]] = msgspec.json.Decoder(listed)
        self._object: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)

    async def follow(self, seconds: float) -> None:
        """Brings the objects up to date: by a list where there is none to go on from, else by a watch that lasts so
        long. Raises Temporary."""
        if self.version:
            try:
                await self._watch(seconds)
                return
            except Expired:
                self.version = ""
        try:
            await self._list()
        except Expired:  # it took longer than the API server keeps a version
            await self._list()

    async def _list(self) -> None:
        found: dict[str, V] = {}
        words: dict[str, Any] = {"limit": PAGE}
        while True:
            page = _decoded(self._page, await self._feed.page(words))
            found |= {_identity(item): self._kept(item) for item in page.items or ()}
            if len(found) > MOST:
                raise Temporary(f"there are more than {MOST} of one kind")
            if not page.metadata.continue_:
                break
            words["_continue"] = page.metadata.continue_
        self.objects, self.version = found, page.metadata.resource_version

    async def _watch(self, seconds: float) -> None:
        words = {"watch": True, "resource_version": self.version, "allow_watch_bookmarks": True}
        await self._feed.watch(words, seconds, self._take)

    def _take(self, line: bytes) -> None:
        change = _decoded(_CHANGE, line)
        if change.type == "ERROR":
            raise failure(_decoded(_STATUS, bytes(change.object)))
        meta = _decoded(_BARE, bytes(change.object)).metadata
        if change.type in ("ADDED", "MODIFIED"):
            self.objects[meta.uid] = self._kept(_decoded(self._object, bytes(change.object)))
        elif change.type == "DELETED":
            self.objects.pop(meta.uid, None)
        self.version = meta.resource_version

    def _kept(self, item: T) -> V:
        try:
            return self._read(item)
        except ValueError as error:
            raise Temporary(f"an object cannot be read: {error}") from None


_CHANGE = msgspec.json.Decoder(Change)
_STATUS = msgspec.json.Decoder(Status)
_BARE = msgspec.json.Decoder(_Bare)
D = TypeVar("D")


def failure(status: Status) -> Temporary:
    """What the API server said, as an error."""
    words = f"the API server says: {status.message[:500] or status.reason} ({status.code})"
    return Expired(words) if status.code == HTTPStatus.GONE else Temporary(words)


def _identity(item: Any) -> str:
    return str(item.metadata.uid)


def _decoded(decoder: "msgspec.json.Decoder[D]", text: bytes) -> D:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Temporary(f"what the API server sent cannot be read: {error}") from None
