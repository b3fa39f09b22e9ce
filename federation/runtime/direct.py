"""The short way between two actors of one node: calls over a Unix socket, for those that every decision makes.

Ray decides which actor lives where, and carries everything that is not in a hurry. A call through it costs some 0.6 ms
of CPU on either side, a call over a socket a tenth of that; a decision of its own makes two of them. An actor on
another node, or one that does not listen yet, is called through Ray.

A frame is its length (4 bytes, big-endian) and msgpack: of a call `[id, method, args]`, of an answer `[id, result,
problem]`. The sockets lie in the private folder of the node's Ray session, so nobody else may connect.
"""

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from federation.errors import Bug, Corrupt, EliasError, Fenced, Refused, Temporary
from federation.runtime.worker import FOLDER

LARGEST = 256 << 20  # bytes of a frame
_BUFFER = 1 << 20  # bytes read ahead: a batch at once

_log = logging.getLogger("elias.direct")
_ERRORS: Mapping[str, type[EliasError]] = {error.__name__: error for error in (Temporary, Fenced, Corrupt, Bug)}


class _Problem(msgspec.Struct, frozen=True, array_like=True):
    """kind: the name of the error; the rest is what a Refused carries."""

    kind: str
    message: str
    code: str = ""
    place: str = ""
    cure: str = ""

    @classmethod
    def of(cls, error: Exception) -> "_Problem":
        if isinstance(error, Refused):
            return cls("Refused", error.message, error.code, error.place, error.cure)
        kind = type(error).__name__
        return cls(kind, str(error)) if kind in _ERRORS else cls("Bug", f"{kind}: {error}")

    def error(self) -> EliasError:
        if self.kind == "Refused":
            return Refused(self.code, self.message, place=self.place, cure=self.cure)
        return _ERRORS[self.kind](self.message)


class _Call(msgspec.Struct, frozen=True, array_like=True):
    id: int
    method: str
    args: list[Any]


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    id: int
    result: Any = None
    problem: _Problem | None = None


_encode = msgspec.msgpack.Encoder().encode
_call = msgspec.msgpack.Decoder(_Call).decode
_answer = msgspec.msgpack.Decoder(_Answer).decode

Method = Callable[..., Awaitable[Any]]


class Listener:
    """Answers calls of some methods, whose arguments and results are plain data."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @classmethod
    async def open(cls, actor: str, methods: Mapping[str, Method]) -> "Listener | None":
        """None: this node has no sockets."""
        path = _path(actor)
        if path is None:
            return None
        path.unlink(missing_ok=True)  # of the process before this one
        listener = cls(methods)
        listener._server = await asyncio.start_unix_server(listener._connected, path, limit=_BUFFER)
        return listener

    async def close(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _kept(self._connections, self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering: set[asyncio.Task[None]] = set()
        try:
            while True:
                call = _call(await _read(reader))
                _kept(answering, _reply(writer, call, self._methods.get(call.method)))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the caller is gone
        finally:
            await _closed(writer)


def _kept(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Runs on its own; the loop itself holds tasks only weakly."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def _reply(writer: asyncio.StreamWriter, call: _Call, method: Method | None) -> None:
    try:
        if method is None:
            raise Bug(f"`{call.method}` is not to be called this way")
        answer = _Answer(call.id, await method(*call.args))
    except Exception as error:
        if not isinstance(error, EliasError):
            _log.exception("a bug in %s", call.method)
        answer = _Answer(call.id, None, _Problem.of(error))
    with contextlib.suppress(OSError):
        await _write(writer, answer)


_lines: set[asyncio.Task[None]] = set()  # what listens on each line of this process


class Line:
    """A connection to an actor; many calls may be under way. Once it is broken it stays so: `connect` anew."""

    def __init__(self, actor: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._actor = actor
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count()
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._listening = _kept(_lines, self._listen())

    @property
    def broken(self) -> bool:
        return self._listening.done()

    async def call(self, method: str, *args: Any) -> Any:
        """What the method answers or raises. Temporary when the actor ends before; nobody knows whether it acted."""
        if self.broken:
            raise self._lost()
        id = next(self._ids)
        future = self._pending[id] = asyncio.get_running_loop().create_future()
        try:
            await _write(self._writer, _Call(id, method, list(args)))
            return await future
        except OSError:
            raise self._lost() from None
        finally:
            self._pending.pop(id, None)

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        try:
            while True:
                answer = _answer(await _read(self._reader))
                future = self._pending.get(answer.id)
                if future is not None and not future.done():
                    if answer.problem is None:
                        future.set_result(answer.result)
                    else:
                        future.set_exception(answer.problem.error())
        except (OSError, asyncio.IncompleteReadError):
            pass  # the actor is gone
        finally:
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(self._lost())
            await _closed(self._writer)

    def _lost(self) -> Temporary:
        return Temporary(f"{self._actor} is being restarted; send it again")


async def hang_up() -> None:
    """Ends all lines of this loop, whoever has them, before it ends itself."""
    mine = [task for task in _lines if task.get_loop() is asyncio.get_running_loop()]
    for task in mine:
        task.cancel()
    await asyncio.gather(*mine, return_exceptions=True)


async def connect(actor: str) -> Line | None:
    """A line to an actor of this node; None where nobody listens: call it through Ray."""
    path = _path(actor)
    if path is None:
        return None
    try:
        return Line(actor, *await asyncio.open_unix_connection(path, limit=_BUFFER))
    except OSError:
        return None


def _path(actor: str) -> Path | None:
    folder = os.environ.get(FOLDER)
    return Path(folder, f"{actor}.sock") if folder else None


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > LARGEST:
        raise OSError(f"a frame of {length} bytes")
    return await reader.readexactly(length)


async def _write(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
    if writer.is_closing():
        raise ConnectionResetError
    body = _encode(message)
    writer.writelines((len(body).to_bytes(4, "big"), body))
    await writer.drain()
