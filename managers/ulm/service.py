"""ULM as an actor: a manager that may also read the ledger."""

from federation.manager import Manager
from federation.runtime.manager import ManagerService
from managers.ulm.manager import Ulm


class UlmService(ManagerService):
    def make(self) -> Manager:
        return Ulm(self.settings, lambda limit, kind: self.store.latest(limit, kinds=[kind]))
