"""ULM as an actor: a manager that may also read the ledger."""

from federation.manager import Manager
from federation.runtime.manager import ManagerService


class UlmService(ManagerService):
    def make(self) -> Manager:
        # Here, because every process that holds a handle to this actor imports this module, and river is 60 MB.
        from managers.ulm.manager import Ulm  # noqa: PLC0415

        return Ulm(self.settings, lambda limit, kind: self.store.latest(limit, kinds=[kind]))
