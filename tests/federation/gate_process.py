"""The gate's process as far as bundles concern it, around a federation in this process and its ledger."""

import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from federation.bundles.acceptance import Acceptance
from federation.local import LocalFederation
from federation.points import DecisionPoint, schemas
from federation.records import Entry
from federation.runtime.bundles import Bundles
from federation.settings import Settings


class GateProcess:
    def __init__(self, federation: LocalFederation, settings: Settings, points: Mapping[str, DecisionPoint]) -> None:
        self.federation, self.settings = federation, settings
        self.store, self.clock, self.desk = federation.store, federation.clock, federation.desks["gate"]
        self.roster: Any = SimpleNamespace(managers={})
        self.log = logging.getLogger("elias.gate")
        trust, require = settings.bundles.trust, settings.bundles.require_signature
        self.acceptance = Acceptance(schemas(points), trust, require=require)
        self.bundles = Bundles(self)

    async def do(self, work: Callable[[int], tuple[list[Entry], Any]]) -> Any:
        entries, result = work(self.clock.now())
        self.federation._commit("gate", entries)
        for desk in self.federation.desks.values():
            desk.use(self.desk.bundle)
        return result

    def start(self) -> str:
        """The digest of what it starts with."""
        chosen, entries = self.bundles.first()
        self.federation._commit("gate", entries)
        self.bundles.begin(chosen)
        return chosen.text.digest
