"""UFM as an actor: its decisions, and what it says to peers and hears from them, where the settings name any."""

from typing import TYPE_CHECKING

import msgspec

from federation.effects import Executor, FreezeFlag, Order
from federation.manager import Manager
from federation.peers.messages import Capacity
from federation.runtime.manager import ManagerService
from managers.ufm.manager import Ufm

if TYPE_CHECKING:
    from managers.ufm.peers.exchange import Exchange

_order = msgspec.msgpack.Decoder(Order)


class UfmService(ManagerService):
    _exchange: "Exchange | None" = None

    async def start(self) -> None:
        # Here, because every process that holds a handle to this actor imports this module, and httpx is 20 MB.
        from managers.ufm.peers.forwarding import Forward  # noqa: PLC0415

        if self.settings.peers.known:
            from managers.ufm.peers.exchange import Exchange  # noqa: PLC0415

            self._exchange = Exchange(self)
        lines = self._exchange.lines if self._exchange else {}
        path, frozen = self.settings.state / "ufm" / "effects.db", FreezeFlag(self.settings.state)
        self._executor = Executor(path, {"job.forward": Forward(lines, self.log)}, self.clock, frozen)
        await super().start()
        if self._exchange:
            self._exchange.begin()

    async def perform(self, raw: bytes) -> bytes:
        """Give a job to a peer as the gate released it, and await its end there; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def drain(self) -> None:
        if self._exchange:
            await self._exchange.close()
        await super().drain()
        self._executor.close()

    @property
    def ufm(self) -> Ufm:
        manager: Manager = self.desk.manager
        assert isinstance(manager, Ufm)
        return manager

    def room_for(self, peer: str) -> Capacity:
        return self.ufm.room_for(peer)

    async def tell(self, peer: str, told: Capacity | None, problem: str | None = None) -> None:
        """What a peer has free, and why we cannot speak to it; None: it spoke to us."""
        rooms = None if told is None else msgspec.to_builtins(told.rooms)
        report = {"peer": peer, "rooms": rooms, "problem": problem}
        await self.do(lambda now: (self.desk.watch([report], now), None))
