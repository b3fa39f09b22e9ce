"""UIM as an actor: its own decisions, and the HTTP server of the API and the page on the same event loop."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from federation.effects import Executor, FreezeFlag, Order
from federation.errors import EliasError, Temporary
from federation.manager import Emission
from federation.records import Access, Entry, Kind, encode
from federation.runtime.link import RayLink
from federation.runtime.listening import listening
from federation.runtime.manager import LEDGER_AWAY, ManagerService
from managers.uim.blocks import Access as Blocks
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.pager import Pager
from managers.uim.manager import Uim

if TYPE_CHECKING:
    import uvicorn

_order = msgspec.msgpack.Decoder(Order)
_update = msgspec.json.Decoder(CaseUpdate)


class UimService(ManagerService):
    _server: "uvicorn.Server"

    async def start(self) -> None:
        self._pager = Pager(self, RayLink())
        await super().start()
        folder = self.settings.state / "uim"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        frozen = FreezeFlag(self.settings.state)
        self._executor = Executor(folder / "effects.db", {"uim.access": Blocks()}, self.clock, frozen)
        self._server = await self._served()
        listen = self.settings.listen
        self._serving = self.spawn(self._server.serve([listening(listen.host, listen.port, "listen")]))

    async def _served(self) -> "uvicorn.Server":
        """The server, once the accounts can be read, too: they may be in the database of the ledger."""
        # Here, because every process that holds a handle to this actor imports this module, and FastAPI is 40 MB.
        from managers.uim import serving  # noqa: PLC0415

        while True:
            try:
                return serving.server(
                    self, book=lambda: self.uim.book, refused=self._refused, blocked=self._blocked, audit=self._audit
                )
            except Temporary as error:
                self.log.warning("waiting for the accounts: %s", error)
                await asyncio.sleep(LEDGER_AWAY)

    def make(self) -> Uim:
        return Uim(self.settings, self.roster.points)

    async def drain(self) -> None:
        """Answer what is being asked, then close."""
        self._server.should_exit = True
        await asyncio.wait([self._serving], timeout=6)
        await super().drain()
        self._executor.close()

    async def perform(self, raw: bytes) -> bytes:
        """Do a released effect of `uim.access`; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def tick(self, number: int, time: int, seq: int) -> None:
        await super().tick(number, time, seq)
        self._pager.look(max(self.clock.now(), time))

    async def say(self, raw: bytes) -> None:
        """Record a person's word on cases (JSON `CaseUpdate`), unless somebody else was first."""
        said = _update.decode(raw)
        await self.note(lambda now: [self.uim.say(said, now)])

    async def note(self, make: Callable[[int], list[Emission]]) -> None:
        def work(now: int) -> tuple[list[Entry], Any]:
            entries = [Entry(e.kind, e.point, e.subject, e.decision, encode(e.body)) for e in make(now)]
            for entry in entries:
                self.desk.take(entry)
            return [*entries, *self.desk.settle(now)], None

        await self.do(work)

    @property
    def uim(self) -> Uim:
        manager = self.desk.manager
        assert isinstance(manager, Uim)
        return manager

    def _blocked(self, address: str) -> bool:
        return address in self.uim.state.blocked

    async def _audit(self, word: Access) -> None:
        entry = Entry(Kind.ACCESS, "", "", "", encode(word))
        await self.do(lambda now: ([entry], None))

    def _refused(self, address: str) -> None:
        self.spawn(self._note_refusal(address))

    async def _note_refusal(self, address: str) -> None:
        try:
            await self.do(lambda now: (self.desk.watch([{"refused": address}], now), None))
        except EliasError as error:
            self.log.warning("a wrong token from %s is not on record: %s", address, error)
