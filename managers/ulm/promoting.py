"""The hands of ulm.promotion: policies are taken from the store, and the records of their steps made."""

import asyncio
from collections.abc import Mapping

import msgspec

from federation.effects import Order
from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy import artefacts, card
from federation.policy.promotions import Promotion, Registered
from federation.policy.registry import Stage
from federation.records import Outcome
from federation.settings import Settings
from managers.ulm.promotion import said_of


class Promote:
    """Makes the record of a step: the challenger is whole and can be served, or it goes no further. Its record is put
    on the log by ULM, once, if it still follows then; so a repeat does no harm."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def do(self, order: Order) -> Outcome:
        made = msgspec.convert(order.payload["promotion"], Promotion)
        if made.stage != Stage.ROLLED_BACK:
            content = str(order.payload["content"])
            found = await asyncio.to_thread(load, self._settings, made.challenger, content)
            known = found.calibration
            calibration = known.points.get(order.args["point"]) if known is not None else None
            made = msgspec.structs.replace(made, calibration=calibration)
        made = msgspec.structs.replace(made, decision=order.decision)
        return Outcome("done", said_of(made), {"promotion": msgspec.to_builtins(made)}, reward=1.0)

    async def probe(self, order: Order) -> Outcome:
        return await self.do(order)


def load(settings: Settings, version: str, content: str = "") -> artefacts.Artefact:
    """A policy of the store, checked. Raises Refused. Blocking."""
    trust, require = settings.bundles.trust, settings.policy.require_signature
    return artefacts.load(settings.state, version, content, trust=trust, require=require)


def registered(
    settings: Settings, version: str, points: Mapping[str, DecisionPoint], *, source: str, by: str, at: int
) -> Registered:
    """The record of a policy that lies in the store.

    Raises Refused: it is not whole, nobody who is trusted signed it, or it was made for no point here. Blocking.
    """
    found = load(settings, version)
    trust = settings.bundles.trust
    signers = artefacts.signers(found, trust) if trust is not None and found.signatures else ()
    known = {} if found.calibration is None else found.calibration.points
    here = {name: one.version for name, one in known.items() if name in points}
    if not here:
        cure = f"calibrate it first: elias policy calibrate {found.folder.name}, and register it again"
        raise Refused("bad-policy", "it is calibrated for no point here", place=str(found.folder), cure=cure)
    made = found.card
    return Registered(
        policy=version,
        content=found.content,
        name=made.name,
        parameters=made.parameters,
        preset=made.preset,
        data=made.data,
        metrics=made.metrics,
        calibration=card.digest(found.folder / artefacts.CALIBRATION),
        points=here,
        estimates={name: one for name, one in found.estimates.items() if name in here},
        signers=list(signers),
        source=source,
        by=by,
        at=at,
    )
