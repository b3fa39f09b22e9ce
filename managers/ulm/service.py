"""ULM as an actor: a manager that may also read the ledger and the store of policies, the calibrations, trainings and
steps of trials that the gate releases, and a person's word on the latter.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.manager import Emission, Manager
from federation.policy import registry
from federation.records import Entry, Event, Kind, encode
from federation.replies import Rejected, Reply
from federation.runtime.link import RayLink
from federation.runtime.manager import ManagerService
from managers.ulm import calibration, promoting, promotion, trainer
from managers.ulm.promoting import registered
from managers.ulm.trials import Trials, TrialsState

if TYPE_CHECKING:
    from federation.policy.promotions import Promotion
    from managers.ulm.manager import Ulm

_order = msgspec.msgpack.Decoder(Order)
_results = msgspec.msgpack.Decoder(list[list[Reply] | Rejected])


class UlmService(ManagerService):
    async def start(self) -> None:
        await super().start()
        path, frozen = self.settings.state / "ulm" / "effects.db", FreezeFlag(self.settings.state)
        doers: dict[str, Doer] = {
            calibration.EXECUTOR: calibration.Recalibrate(self.store),
            promotion.EXECUTOR: promoting.Promote(self.settings),
            trainer.EXECUTOR: trainer.Train(self.settings, self.store, self.clock, self._submit),
        }
        self._executor = Executor(path, doers, self.clock, frozen)

    async def perform(self, raw: bytes) -> bytes:
        """Do a released calibration, training or step of a trial; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def _submit(self, event: Event) -> list[Reply] | Rejected:
        """Give an event to the manager that decides it, as the gateway would. Raises Refused, Temporary."""
        (manager,) = {point.schema.manager for point in self.roster.points.values() if event.type in point.events}
        (said,) = _results.decode(await RayLink().call(manager, "submit", msgspec.msgpack.encode([event])))
        return said

    # -- a person's word on trials -----------------------------------------------------------------------------------

    async def register(self, version: str, source: str, by: str) -> dict[str, Any]:
        """A policy that was put into the store can be tried from now on. Raises Refused where it is not fit to be."""
        points, now = self.roster.points, self.clock.now()
        found = await asyncio.to_thread(
            partial(registered, self.settings, version, points, source=source, by=by, at=now)
        )
        await self._note(Emission(Kind.POLICY, "", "", "", found))
        return {"policy": found.policy, "points": sorted(found.points), "waiting": sorted(found.estimates)}

    async def promote(self, version: str, point: str, to: str, by: str, reason: str) -> dict[str, Any]:
        """One step further, or where `to` says: champion. Raises Refused where that does not follow."""
        policy = self._trials.known(self._state, version)
        self._trials.point(point)
        content = self._state.policies[policy].content
        found = await asyncio.to_thread(promoting.load, self.settings, policy, content)
        known = found.calibration.points.get(point) if found.calibration is not None else None
        step = registry.Step(registry.Stage.CHAMPION, 1.0) if to == registry.Stage.CHAMPION else None
        why = reason or "by hand"
        return await self._stepped(
            lambda now: self._trials.word(
                self._state, point, policy, step, by=by, reason=why, at=now, calibration=known
            )
        )

    async def roll_back(self, point: str, by: str, reason: str) -> dict[str, Any]:
        """End the trial at a point, or where none runs bring back the champion before. Raises Refused."""
        self._trials.point(point)
        why = reason or "by hand"
        return await self._stepped(lambda now: self._trials.back(self._state, point, by=by, reason=why, at=now))

    async def _stepped(self, said: Callable[[int], Emission]) -> dict[str, Any]:
        """Puts a step on record, made at the time of the commit. How the point stands then."""

        def work(now: int) -> tuple[list[Entry], Any]:
            step = said(now)
            return self._taken(step, now), step

        step: Emission = await self.do(work)
        line, policy = self._state.lines[step.point], cast("Promotion", step.body).challenger
        stage, share = (line.trial.stage.value, line.trial.share) if line.trial else ("", 0.0)
        return {"point": step.point, "policy": policy, "champion": line.champion, "stage": stage, "share": share}

    async def _note(self, said: Emission) -> None:
        await self.do(lambda now: (self._taken(said, now), None))

    def _taken(self, said: Emission, now: int) -> list[Entry]:
        entry = Entry(said.kind, said.point, said.subject, said.decision, encode(said.body))
        self.desk.take(entry)
        return [entry, *self.desk.settle(now)]

    @property
    def _trials(self) -> Trials:
        return cast("Ulm", self.desk.manager).trials

    @property
    def _state(self) -> TrialsState:
        state: TrialsState = self.desk.manager.state.trials
        return state

    async def drain(self) -> None:
        await super().drain()
        self._executor.close()

    def make(self) -> Manager:
        # Here, because every process that holds a handle to this actor imports this module, and needs no NumPy.
        from managers.ulm.manager import Ulm  # noqa: PLC0415

        return Ulm(self.settings, self.store, self.roster.points)
