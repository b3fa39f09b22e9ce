"""ULM as an actor: a manager that may also read the ledger and the store of policies, the calibrations and steps of
trials that the gate releases, and a person's word on the latter.
"""

import msgspec

from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.manager import Manager
from federation.runtime.manager import ManagerService
from managers.ulm import calibration, promoting, promotion

_order = msgspec.msgpack.Decoder(Order)


class UlmService(ManagerService):
    async def start(self) -> None:
        await super().start()
        path, frozen = self.settings.state / "ulm" / "effects.db", FreezeFlag(self.settings.state)
        doers: dict[str, Doer] = {
            calibration.EXECUTOR: calibration.Recalibrate(self.store),
            promotion.EXECUTOR: promoting.Promote(self.settings),
        }
        self._executor = Executor(path, doers, self.clock, frozen)

    async def perform(self, raw: bytes) -> bytes:
        """Do a released calibration, or a step of a trial; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def drain(self) -> None:
        await super().drain()
        self._executor.close()

    def make(self) -> Manager:
        # Here, because every process that holds a handle to this actor imports this module, and river is 60 MB.
        from managers.ulm.manager import Ulm  # noqa: PLC0415

        return Ulm(self.settings, self.store, self.roster.points)
