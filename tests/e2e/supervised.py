"""Children for the tests of the root supervisor; and a roster, so that their processes are copies of one that has read
this and what they stand on, as those of a user are."""

from pathlib import Path
from typing import Any

from federation.runtime.service import Service

POINTS, MANAGERS, SERVICES, DOERS, BEFOREHAND = (), {}, {}, {}, ()


class Steady(Service):
    """Writes down its starts and drains, one line each: event, name, pid."""

    def __init__(self, name: str, diary: Path) -> None:
        super().__init__(name)
        self.diary = diary

    async def start(self) -> None:
        self.write("start")

    async def drain(self) -> None:
        self.write("drain")
        await super().drain()

    def write(self, event: str) -> None:
        with self.diary.open("a") as file:
            file.write(f"{event} {self.name} {self._process.pid}\n")


class Failing(Steady):
    """Does not start as long as its file `<diary>.broken` exists."""

    async def start(self) -> None:
        if self.diary.with_suffix(".broken").exists():
            raise RuntimeError("broken")
        await super().start()


class Hook(Service):
    """Stands in for the gate: remembers what it was told."""

    def __init__(self) -> None:
        super().__init__("hook")
        self.told: list[dict[str, Any]] = []

    async def start(self) -> None: ...

    async def supervision_exceeded(self, what: dict[str, Any]) -> None:
        self.told.append(what)

    async def all(self) -> list[dict[str, Any]]:
        return self.told
