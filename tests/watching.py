"""UFM with one node of its own, the head, whose agent watches another cluster. Time is virtual; gate, ledger and
executors are real."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec

import tiki
from federation.clock import SECOND, VirtualClock
from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.errors import EliasError
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import Answered, Kind, Mode, Outcome, decode
from federation.settings import Cap, GateSettings, Settings, shipped_specs
from managers.ufm.manager import Ufm

CHECK = 30.0  # seconds between two checks of a node, as the shipped specs say

Open = Callable[[], AbstractAsyncContextManager[Any]]


class Ordered:
    """An agent that is given orders about nodes of another cluster. name: of that, as in the settings."""

    def __init__(self, name: str, folder: Path, doers: Mapping[str, Doer], frozen: FreezeFlag) -> None:
        self._name, self.clock = name, VirtualClock()
        self.executor = Executor(folder / "effects.db", doers, self.clock, frozen)

    async def perform(self, executor: str, decision: str, node: str = "a1") -> Outcome:
        return await self.executor.perform(self.order(executor, decision, node))

    def order(self, executor: str, decision: str, node: str = "a1") -> Order:
        until, subject = self.clock.now() + 30 * SECOND, f"{self._name}:{node}"
        return Order(decision, "ufm.node_health", subject, "drain", {}, executor, 1, 1, until, {self._name: node})


class Watching:
    """name: of the other cluster, as in the settings; known: what these say. open: what the agent looks with. doers:
    how it acts, given its freeze flag."""

    def __init__(
        self,
        folder: Path,
        name: str,
        known: Any,
        open: Open,
        doers: Callable[[FreezeFlag], Mapping[str, Doer]],
        caps: tuple[Cap, ...] = (),
    ) -> None:
        self._name, self._open = name, open
        self.settings = Settings(state=folder, gate=GateSettings(caps=caps), **{name: known})
        self.clock, self.store = VirtualClock(), Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm, frozen = Ufm(self.settings), FreezeFlag(folder)
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        bundle = tiki.build(sources, schemas(points_of([Ufm])))
        self.executor = Executor(folder / "effects.db", doers(frozen), self.clock, frozen)
        nodes = {"head": self.executor}
        self.federation = LocalFederation([self.ufm], bundle, self.store, self.clock, self.settings, nodes)

    def close(self) -> None:
        self.executor.close()
        self.store.close()

    def set_mode(self, mode: str) -> None:
        for action in ("drain", "readmit"):
            body = Mode(f"ufm.node_health/{action}", mode, "olga")
            self.federation.note(Emission(Kind.MODE, "", "", "", body))

    async def look(self, times: int = 1) -> None:
        """So many looks of the head's agent, each as far from the one before as two checks, and what follows."""
        for _ in range(times):
            self.clock.advance(CHECK)
            picture, problem = None, ""
            async with self._open() as cluster:
                try:
                    picture = await cluster.look()
                except EliasError as error:
                    problem = str(error)
            self.federation.report("ufm", [{"node": "head", "cpus": 8, "memory_total": 1 << 34}])
            self.tell(picture, problem)
            self.federation.tick()
            await self.federation.act()

    def tell(self, picture: Any, problem: str = "") -> None:
        """What the agent saw; null: why it saw nothing."""
        self.federation.report("ufm", [{"node": "head", self._name: msgspec.to_builtins(picture), "problem": problem}])

    def answers(self) -> list[tuple[str, str, str]]:
        """Of questions about nodes of the other cluster, but that there is nothing to do: node, action, mode."""
        found = []
        for record in self.store.read(kinds=[Kind.ANSWERED], points=["ufm.node_health"]):
            answered: Answered = decode(Kind.ANSWERED, record.body)
            if record.header.subject.startswith(f"{self._name}:") and answered.action != "hold":
                found.append((record.header.subject, answered.action, answered.mode))
        return found

    def outcomes(self) -> list[Outcome]:
        return [decode(Kind.OUTCOME, record.body) for record in self.store.read(kinds=[Kind.OUTCOME])]

    def view(self) -> dict[str, Any]:
        return self.ufm.view(self.clock.now())

    def node(self, name: str = "a1") -> dict[str, Any]:
        found: dict[str, Any] = next(n for n in self.view()["nodes"] if n["name"] == f"{self._name}:{name}")
        return found
