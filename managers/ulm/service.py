"""ULM as an actor: a manager that may also read the ledger, and the calibrations that the gate releases."""

import msgspec

from federation.effects import Executor, FreezeFlag, Order
from federation.manager import Manager
from federation.runtime.manager import ManagerService
from managers.ulm.calibration import EXECUTOR, Recalibrate

_order = msgspec.msgpack.Decoder(Order)


class UlmService(ManagerService):
    async def start(self) -> None:
        await super().start()
        path, frozen = self.settings.state / "ulm" / "effects.db", FreezeFlag(self.settings.state)
        self._executor = Executor(path, {EXECUTOR: Recalibrate(self.store)}, self.clock, frozen)

    async def perform(self, raw: bytes) -> bytes:
        """Do a released calibration; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def drain(self) -> None:
        await super().drain()
        self._executor.close()

    def make(self) -> Manager:
        # Here, because every process that holds a handle to this actor imports this module, and river is 60 MB.
        from managers.ulm.manager import Ulm  # noqa: PLC0415

        return Ulm(self.settings, self.store)
