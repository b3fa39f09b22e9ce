"""UCM as an actor: its decisions, and the deliveries that the gate releases."""

import asyncio
import contextlib

import msgspec

from federation.effects import Executor, FreezeFlag, Order
from federation.errors import EliasError, Refused
from federation.records import Event, Kind, decode
from federation.runtime.manager import ManagerService
from managers.ucm.manager import Ucm

LOOK = 0.2  # seconds between two looks at what waits: back-offs end and breakers close without a record
REST = 3  # times as long as a look took does nothing happen after it: 10,000 lines take 4 ms

_order = msgspec.msgpack.Decoder(Order)


class UcmService(ManagerService):
    async def start(self) -> None:
        # Here, because every process that holds a handle to this actor imports this module, and httpx is 20 MB.
        from managers.ucm import alertmanager  # noqa: PLC0415
        from managers.ucm.outbound import Outbound  # noqa: PLC0415

        self._outbound = Outbound(self.settings.targets, self._sent, self.clock, self.settings.listen.page)
        path = self.settings.state / "ucm" / "effects.db"
        doers = {"message.deliver": self._outbound, **alertmanager.doers(self.settings.alertmanager, self.clock)}
        self._executor = Executor(path, doers, self.clock, FreezeFlag(self.settings.state))
        self._moved = asyncio.Event()
        await super().start()
        self.spawn(self._look())

    async def perform(self, raw: bytes) -> bytes:
        """Do a released delivery; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def drain(self) -> None:
        await super().drain()
        await self._outbound.close()
        self._executor.close()

    async def _sent(self, message: str) -> Event:
        """The event that sent a message: the desk still has a recent one, and the ledger has them all."""
        recent = self.desk.recent.get(message)
        return recent[0] if recent is not None else await asyncio.to_thread(self._recorded, message)

    def _recorded(self, message: str) -> Event:
        for record in self.store.decision(message):
            if record.header.kind == Kind.ASKED:
                event: Event = decode(Kind.ASKED, record.body).event
                return event
        raise Refused(
            "no-message", f"the ledger has no message `{message}`", cure="`elias messages` lists those there are"
        )

    @property
    def _ucm(self) -> Ucm:
        manager = self.desk.manager
        assert isinstance(manager, Ucm)
        return manager

    def committed(self) -> None:
        super().committed()
        if self._ucm.moved:
            self._moved.set()

    async def _look(self) -> None:
        """Let what waits have its turn: at once when something has moved, else now and then."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), LOOK)
            self._moved.clear()
            began = loop.time()
            if self._ucm.waiting:
                try:
                    await self.do(lambda now: (self.desk.tick(now), None))
                except EliasError as error:
                    self.log.warning("what waits is looked at again: %s", error)
            await asyncio.sleep(REST * (loop.time() - began))
