"""A post office for tests: UCM on a clock of its own, and a server that answers as it is told."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import tiki
from federation import desk
from federation.clock import VirtualClock
from federation.effects import Executor, FreezeFlag
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.points import schemas
from federation.records import Event, Kind
from federation.settings import Listen, Settings, shipped_specs
from federation.targets import AnyTarget
from managers.ucm.manager import Ucm
from managers.ucm.outbound import Outbound

PAGE = "https://elias.example.org"


class Got(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Server:
    """Answers with the next of `answers` (a status, a status and headers with the body as one of them, "hang", "drop"),
    else as `judge` says."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: deque[int | str | tuple[int, dict[str, str]]] = deque()

    def judge(self, got: "Got") -> int | tuple[int, dict[str, str]]:
        return 200

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in head.split("\r\n")[1:-2])
        raw = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head.split("\r\n")[1:-2]}
        got = Got(raw, await reader.readexactly(int(headers["content-length"])))
        self.got.append(got)
        answer = self.answers.popleft() if self.answers else self.judge(got)
        if answer == "hang":
            await reader.read()
            return False
        if answer == "drop":
            return False
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        body = more.pop("body", "")
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *(f"{k}: {v}" for k, v in more.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        await writer.drain()
        return True


class Post:
    """`targets`: by name."""

    def __init__(self, folder: Path, **targets: AnyTarget) -> None:
        self.clock = VirtualClock()
        self.settings = Settings(state=folder / "state", targets=targets, listen=Listen(url=PAGE))
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        bundle = tiki.load(shipped_specs() / "ucm", schemas(points_of([Ucm])))
        self.ucm = Ucm(self.settings)
        self.federation = LocalFederation([self.ucm], bundle, self.store, self.clock, self.settings)
        self.bundle = bundle
        self.outbound = Outbound(targets, self.read, self.clock, PAGE)
        doers = {"message.deliver": self.outbound}
        frozen = FreezeFlag(self.settings.state)
        self.executor = Executor(folder / "effects.db", doers, self.clock, frozen)
        self.federation.executors["@ucm"] = self.executor
        self.sent = 0

    async def read(self, message: str) -> Event:
        records = self.store.decision(message)
        event: Event = desk.decode(Kind.ASKED, records[0].body).event
        return event

    def send(self, body: Any, subject: str = "s", target: str = "hook", **data: Any) -> Any:
        """Send one message; the desk's reply."""
        self.sent += 1
        event = Event(
            str(self.sent), "test", "elias.message.send", subject, None, {"target": target, "body": body, **data}
        )
        (reply,) = self.federation.post([event])
        return reply if isinstance(reply, desk.Rejected) else reply[0]

    def resend(self, message: str) -> Any:
        self.sent += 1
        (reply,) = self.federation.post(
            [Event(str(self.sent), "test", "elias.message.resend", "", None, {"message": message})]
        )
        return reply if isinstance(reply, desk.Rejected) else reply[0]

    async def act(self) -> None:
        """Deliver until nothing more is released."""
        while await self.federation.act():
            self.federation.tick()

    async def pass_time(self, seconds: float, step: float = 0.25) -> None:
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.federation.tick()
            await self.act()

    def waiting(self) -> int:
        return len(self.ucm.state.queue.messages)

    def dead(self) -> list[dict[str, Any]]:
        return self.ucm.view(self.clock.now())["dead"]

    def target(self, name: str = "hook") -> dict[str, Any]:
        return next(t for t in self.ucm.view(self.clock.now())["targets"] if t["name"] == name)

    async def close(self) -> None:
        await self.outbound.close()
        self.executor.close()
