"""Calibrates a policy anew where its promise broke: what is known of it since, and the effect that does it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.effects import Order
from federation.errors import Refused
from federation.policy.evidence import Evidence, Records, recalibrated
from federation.records import Candidate, Drift, Event, Kind, Outcome, Recalibrated, decode

EXECUTOR = "ulm.calibration"


class Lapse(msgspec.Struct, frozen=True):
    """A policy that decides nothing alone at a point since its promise broke there. times: how often it was calibrated
    there. used: answers that the last calibration since then was made of."""

    point: str
    drift: Drift
    times: int
    used: int = 0

    @property
    def subject(self) -> str:
        return subject_of(self.point, self.drift.policy)

    def after(self, found: Recalibrated) -> "Lapse":
        """When a calibration was not enough."""
        calibration = found.calibration
        return msgspec.structs.replace(
            self, times=calibration.times, used=calibration.fitted_on + calibration.tested_on
        )


def subject_of(point: str, policy: str) -> str:
    return f"{point}/{policy[:12]}"


class Collected:
    """The evidence since each lapse, read from the ledger as it grows."""

    def __init__(self, store: Records) -> None:
        self._store = store
        self._evidence: dict[str, Evidence] = {}

    def of(self, lapse: Lapse) -> Evidence:
        """Up to now."""
        known = self._evidence.get(lapse.subject)
        after = self._begun(lapse)
        if known is None or known.after != after:
            known = self._evidence[lapse.subject] = Evidence(self._store, lapse.point, lapse.drift.policy, after)
        known.read()
        return known

    def _begun(self, lapse: Lapse) -> int:
        """Number of the record of the drift."""
        for record in self._store.latest(100, kinds=[Kind.DRIFT], points=[lapse.point]):
            if decode(Kind.DRIFT, record.body) == lapse.drift:
                return record.header.seq
        raise Refused("no-drift", f"the drift of {lapse.subject} is not on record", cure="ask again")


def lapse_of(lapses: Mapping[str, Lapse], event: Event) -> Lapse:
    """Raises Refused."""
    lapse = lapses.get(event.subject)
    if lapse is None:
        known = ", ".join(lapses) or "none is broken now"
        message = f"no promise of a policy is broken at `{event.subject[:100]}`"
        raise Refused("no-drift", message, place=f"event {event.id}: subject", cure=f"subjects to ask about: {known}")
    return lapse


def facts(lapse: Lapse, evidence: Evidence, now: int) -> dict[str, Any]:
    return {
        "answers": len(evidence),
        "fresh": len(evidence) - lapse.used,
        "checked": lapse.drift.checked,
        "wrong": lapse.drift.wrong,
        "calibrations": lapse.times,
        "waited": (now - lapse.drift.at) / SECOND,
    }


def changes(lapses: Iterable[Lapse], policy: str) -> dict[str, int]:
    """By point at which this policy's promise is broken: since when, ledger time (ns), where that is known."""
    return {one.point: one.drift.since for one in lapses if one.drift.policy == policy and one.drift.since}


def candidate(lapse: Lapse) -> Candidate:
    args = {"point": lapse.point, "policy": lapse.drift.policy, "number": lapse.times + 1}
    return Candidate("recalibrate", args)


class Recalibrate:
    """Fits the calibration. The same records give the same one, so a repeat does no harm."""

    def __init__(self, store: Records) -> None:
        self._store = store

    async def do(self, order: Order) -> Outcome:
        args, payload = order.args, order.payload
        work = (self._store, args["point"], payload["after"], payload["upto"], args["number"])
        found = await asyncio.to_thread(recalibrated, *work)
        calibration = found.calibration
        said = "decides alone again" if found.enough else "still decides nothing alone"
        detail = f"{calibration.fitted_on} answers fitted on, {calibration.tested_on} tested on: it {said}"
        return Outcome("done", detail, {"calibration": msgspec.to_builtins(found)})

    async def probe(self, order: Order) -> Outcome:
        return await self.do(order)
