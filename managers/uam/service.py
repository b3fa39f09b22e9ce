"""UAM as an actor: its decisions, and an eye on `apps.yaml`."""

import asyncio

from federation.clock import SECOND
from federation.errors import EliasError, Refused
from federation.records import Entry
from federation.runtime.manager import ManagerService
from managers.uam import apps
from managers.uam.apps import Declared
from managers.uam.manager import Uam

LOOK = 1.0  # seconds between two looks at the file and at the processes; sooner when a back-off ends


class UamService(ManagerService):
    async def start(self) -> None:
        await super().start()
        self._stamp: tuple[int, int] | None = None
        self._apps: dict[str, Declared] | None = None
        self._problem: Refused | None = None
        self.spawn(self._look())

    @property
    def _uam(self) -> Uam:
        manager = self.desk.manager
        assert isinstance(manager, Uam)
        return manager

    async def _look(self) -> None:
        while True:
            await asyncio.to_thread(self._read)
            try:
                await self.do(lambda now: (self._declare(now), None))
            except EliasError as error:
                self.log.warning("the applications are looked at again: %s", error)
            wake = self._uam.wake()
            until = LOOK if wake is None else min(LOOK, max(0.05, (wake - self.clock.now()) / SECOND))
            await asyncio.sleep(until)

    def _read(self) -> None:
        """Take an edit; a broken one is told and changes nothing. Without a file no application is declared."""
        path = self.settings.apps
        try:
            stat = path.stat() if path is not None else None
        except OSError:
            stat = None
        stamp = (stat.st_mtime_ns, stat.st_size) if stat is not None else (0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._apps, self._problem = apps.load(path) if path is not None else {}, None
        except Refused as error:
            self._problem = error
            self.log.warning("the edited applications are not in force: %s", error)

    def _declare(self, now: int) -> list[Entry]:
        uam = self._uam
        uam.problem = self._problem
        if self._apps is not None:
            uam.declare(self._apps)
        return self.desk.tick(now)
