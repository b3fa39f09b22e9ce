"""UCM as an actor: its decisions, and the deliveries that the gate releases."""

import asyncio

import msgspec

from federation.desk import decode
from federation.effects import Executor, FreezeFlag, Order
from federation.errors import EliasError, Refused
from federation.records import Event, Kind
from federation.runtime.manager import ManagerService
from managers.ucm.manager import Ucm
from managers.ucm.outbound import Outbound

LOOK = 0.2  # seconds between two looks at what waits
SHARE = 10  # a look takes at most about a tenth of the time, however much waits

_order = msgspec.msgpack.Decoder(Order)


class UcmService(ManagerService):
    async def start(self) -> None:
        self._outbound = Outbound(self.settings.webhooks, self._sent, self.clock)
        path = self.settings.state / "ucm" / "effects.db"
        self._executor = Executor(
            path, {"message.deliver": self._outbound}, self.clock, FreezeFlag(self.settings.state)
        )
        await super().start()
        self.spawn(self._look())

    async def perform(self, raw: bytes) -> bytes:
        """Do a released delivery; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def drain(self) -> None:
        await super().drain()
        await self._outbound.close()
        self._executor.close()

    def _sent(self, message: str) -> Event:
        """The event that sent a message, from the ledger: bodies are kept nowhere else."""
        for record in self.store.decision(message):
            if record.header.kind == Kind.ASKED:
                event: Event = decode(Kind.ASKED, record.body).event
                return event
        raise Refused("no-message", f"the ledger has no message `{message}`")

    @property
    def _ucm(self) -> Ucm:
        manager = self.desk.manager
        assert isinstance(manager, Ucm)
        return manager

    async def _look(self) -> None:
        """Let what waits have its turn: back-offs end and breakers close without anything being recorded."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if self._ucm.waiting:
                try:
                    await self.do(lambda now: (self.desk.tick(now), None))
                except EliasError as error:
                    self.log.warning("what waits is looked at again: %s", error)
            await asyncio.sleep(max(LOOK, SHARE * (loop.time() - began)))
