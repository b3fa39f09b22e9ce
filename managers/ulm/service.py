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
from federation.policy.promotions import Promotion
from federation.records import Entry, Event, Kind, decode, encode
from federation.replies import Rejected, Reply
from federation.runtime.link import RayLink
from federation.runtime.manager import ManagerService
from managers.ulm import calibration, promoting, promotion, trainer
from managers.ulm.mirroring import Mirroring
from managers.ulm.promoting import registered
from managers.ulm.trials import Trials, TrialsState

if TYPE_CHECKING:
    from managers.ulm.manager import Ulm

BACK = (registry.Stage.ROLLED_BACK, registry.Stage.WITHDRAWN)

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
        self._executor, self._link = Executor(path, doers, self.clock, frozen), RayLink()
        self.spawn(Mirroring(self.settings, lambda: self._state, self.log).keep())

    async def perform(self, raw: bytes) -> bytes:
        """Do a released calibration, training or step of a trial; msgpack Outcome."""
        return msgspec.msgpack.encode(await self._executor.perform(_order.decode(raw)))

    async def _submit(self, event: Event) -> list[Reply] | Rejected:
        """Give an event to the manager that decides it, as the gateway would. Raises Refused, Temporary."""
        (manager,) = {point.schema.manager for point in self.roster.points.values() if event.type in point.events}
        (said,) = _results.decode(await self._link.call(manager, "submit", msgspec.msgpack.encode([event])))
        return said

    # -- a person's word on trials -----------------------------------------------------------------------------------

    async def register(self, version: str, source: str, by: str) -> dict[str, Any]:
        """A policy that was put into the store can be tried from now on. Raises Refused where it is not fit to be."""
        points, now = self.roster.points, self.clock.now()
        found = await asyncio.to_thread(
            partial(registered, self.settings, version, points, source=source, by=by, at=now)
        )
        waiting = [p for p in found.estimates if version not in self._state.lines.get(p, registry.Line()).named]
        await self._note(Emission(Kind.POLICY, "", "", "", found))
        return {"policy": found.policy, "points": sorted(found.points), "waiting": sorted(waiting)}

    async def next_step(self, point: str) -> int:
        """Its number. Raises Refused for a point that is not there."""
        await self._following.wait()
        self._trials.point(point)
        return self._state.lines.get(point, registry.Line()).step + 1

    async def promote(self, version: str, point: str, to: str, number: int, by: str, reason: str) -> dict[str, Any]:
        """One step further, or where `to` says: champion. number: of the step, which is taken once however often one
        asks. Raises Refused where that does not follow."""
        await self._following.wait()
        policy = self._trials.known(self._state, version)
        self._trials.point(point)
        content = self._state.policies[policy].content
        found = await asyncio.to_thread(promoting.load, self.settings, policy, content)
        known = found.calibration.points.get(point) if found.calibration is not None else None
        step = registry.Step(registry.Stage.CHAMPION, 1.0) if to == registry.Stage.CHAMPION else None
        why = reason or "by hand"
        return await self._stepped(
            point,
            lambda made: (made.number, made.by, made.challenger) == (number, by, policy) and made.stage not in BACK,
            lambda now: self._trials.word(
                self._state, point, policy, step, by=by, reason=why, at=now, number=number, calibration=known
            ),
        )

    async def roll_back(self, point: str, number: int, by: str, reason: str) -> dict[str, Any]:
        """End the trial at a point, or where none runs bring back the champion before. number: as for `promote`. Raises
        Refused."""
        await self._following.wait()
        self._trials.point(point)
        why = reason or "by hand"
        return await self._stepped(
            point,
            lambda made: (made.number, made.by) == (number, by) and made.stage in BACK,
            lambda now: self._trials.back(self._state, point, by=by, reason=why, at=now, number=number),
        )

    async def _stepped(
        self, point: str, is_it: Callable[[Promotion], bool], said: Callable[[int], Emission]
    ) -> dict[str, Any]:
        """Puts a step on record, made at the time of the commit, unless it is there: whoever asks may have lost the
        answer with the process before this one, and asks again. How the point stands then."""

        def work(now: int) -> tuple[list[Entry], Any]:
            for record in self.store.latest(1, kinds=[Kind.PROMOTION], points=[point]):
                newest: Promotion = decode(Kind.PROMOTION, record.body)
                if is_it(newest):
                    return [], newest
            step = said(now)
            return self._taken(step, now), step.body

        made: Promotion = await self.do(work)
        line = self._state.lines[point]
        stage, share = (line.trial.stage.value, line.trial.share) if line.trial else ("", 0.0)
        return {"point": point, "policy": made.challenger, "champion": line.champion, "stage": stage, "share": share}

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
