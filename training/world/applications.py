"""The applications of a simulated world: processes that run, end, hang, and fail again while what is wrong lasts.

A fault is of an application, not of a process: a bad release fails until its owner has repaired it, and what needs
something that is away fails until it is back. Restarting helps against everything else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, NamedTuple

from federation.effects import Order
from federation.records import Event, Outcome
from training.scenarios.draws import between
from training.world.agenda import Agenda
from training.world.chances import Chances
from training.world.troubles import Troubles

MIB = 2**20
CHECK = 10.0  # seconds between two checks of a process that does not serve
NOTICED = 120.0  # seconds for which an instance is down until its owner looks
BAD_CODES = (1, 2, 78, 127)
AWAY_CODES = (1, 75, 111)


class Fault(NamedTuple):
    """code: with which its processes end. until: seconds since the beginning. lasting: it needs a repair."""

    code: int
    until: float
    lasting: bool


@dataclass
class Process:
    """effect: the decision that started it. ended: when, and with which code; none while it runs. stalled: since when
    it does not serve."""

    app: str
    instance: int
    node: str
    effect: str
    digest: str
    pid: int
    started: float
    memory: int
    ended: float | None = None
    code: int | None = None
    stalled: float | None = None

    @property
    def runs(self) -> bool:
        return self.ended is None


class Applications:
    """names: of the declared applications, with their instances. ask: how an owner asks for something."""

    def __init__(
        self,
        seed: int,
        names: Mapping[str, int],
        chances: Chances,
        agenda: Agenda,
        troubles: Troubles,
        ask: Callable[[Event], None],
        source: str,
    ) -> None:
        self.chances, self.agenda, self.troubles, self.ask, self.source = chances, agenda, troubles, ask, source
        self.random = Random(f"{seed} applications")
        self.names = dict(names)
        self.processes: dict[str, Process] = {}
        self.faults: dict[str, Fault] = {}
        self._pids = self._requests = 0
        many = max(1, sum(names.values()))
        agenda.often(chances.exit / many, self.random, self._exit)
        agenda.often(chances.stall, self.random, self.stall)
        agenda.often(chances.release, self.random, self.release)
        agenda.often(chances.outage, self.random, self._outage)

    # -- what happens ------------------------------------------------------------------------------------------------

    def lasting(self, app: str) -> bool:
        fault = self.faults.get(app)
        return fault is not None and fault.lasting

    def _running(self) -> list[Process]:
        return [process for process in self.processes.values() if process.runs]

    def _exit(self) -> None:
        running = self._running()
        if running:
            self._ends(self.random.choice(running), self.random.choice((1, -6, -11)), "it ended by itself")

    def stall(self) -> None:
        serving = [process for process in self._running() if process.stalled is None]
        if serving:
            stalled = self.random.choice(serving)
            stalled.stalled = self.agenda.now
            self.troubles.add(self.agenda.now, "process", _key(stalled), "it did not serve")

    def release(self) -> None:
        """A version that does not run takes the place of one that did."""
        app = self.random.choice(list(self.names))
        if app not in self.faults:
            self.faults[app] = Fault(self.random.choice(BAD_CODES), inf, True)
            self.agenda.after(between(self.random, *self.chances.repair), self._repaired, app)
            self._fail(app)

    def _outage(self) -> None:
        """What several applications need is away for a while."""
        apps = [app for app in self.names if app not in self.faults]
        lasts = between(self.random, *self.chances.outage_lasts)
        for app in self.random.sample(apps, min(len(apps), 2)):
            self.faults[app] = Fault(self.random.choice(AWAY_CODES), self.agenda.now + lasts, False)
            self.agenda.after(lasts, self._back, app)
            self._fail(app)

    def _fail(self, app: str) -> None:
        for process in [p for p in self._running() if p.app == app]:
            self._ends(process, self.faults[app].code, "its application failed")

    def _repaired(self, app: str) -> None:
        """Its owner asks for what is down to be started again."""
        del self.faults[app]
        for key, process in self.processes.items():
            if process.app == app and not process.runs:
                self._ask(key, "start")

    def _back(self, app: str) -> None:
        del self.faults[app]
        for key, process in self.processes.items():
            if process.app == app and not process.runs and self._patience(process):
                self._ask(key, "start")

    def _patience(self, process: Process) -> bool:
        """Whether it has been down for so long that somebody has noticed."""
        return process.ended is not None and self.agenda.now - process.ended > NOTICED

    def _ask(self, key: str, request: str) -> None:
        self._requests += 1
        data = {"request": request}
        self.ask(Event(f"owner-{self._requests}", self.source, "elias.app.request", key, None, data))

    def went_dark(self, node: str) -> None:
        for process in [p for p in self._running() if p.node == node]:
            self._ends(process, None, "its node died")

    def _ends(self, process: Process, code: int | None, what: str) -> None:
        """what: the trouble; empty where it is one that is counted already, tried once more."""
        process.ended, process.code, process.stalled = self.agenda.now, code, None
        if what:
            self.troubles.add(self.agenda.now, "process", _key(process), what)

    # -- effects -----------------------------------------------------------------------------------------------------

    def start(self, order: Order) -> Outcome:
        payload = order.payload
        self._pids += 1
        process = Process(
            payload["app"],
            payload["instance"],
            str(order.args["node"]),
            order.decision,
            payload["digest"],
            4000 + self._pids,
            self.agenda.now,
            self.random.randint(400, 4000) * MIB,
        )
        self.processes[_key(process)] = process
        fault = self.faults.get(process.app)
        if fault is not None:
            self.agenda.after(between(self.random, *self.chances.fails_after), self._falls, process, fault)
        return Outcome("done", "", {"effect": order.decision, "pid": process.pid})

    def _falls(self, process: Process, fault: Fault) -> None:
        if process.runs and self.faults.get(process.app) == fault:
            self._ends(process, fault.code, "")

    def stop(self, order: Order) -> Outcome:
        gone = self.processes.pop(f"{order.payload['app']}/{order.payload['instance']}", None)
        return Outcome("done", "" if gone is not None else "nothing of it ran")

    # -- telling -----------------------------------------------------------------------------------------------------

    def memory(self, node: str) -> float:
        """Bytes in use on a node."""
        return float(sum(p.memory for p in self.processes.values() if p.runs and p.node == node))

    def report(self, node: str) -> list[dict[str, Any]]:
        return [self._figures(process) for process in self.processes.values() if process.node == node]

    def _figures(self, process: Process) -> dict[str, Any]:
        now = self.agenda.now
        known = {
            "app": process.app,
            "instance": process.instance,
            "effect": process.effect,
            "digest": process.digest,
        }
        if process.ended is None:
            failed = 0 if process.stalled is None else int((now - process.stalled) / CHECK)
            running = {"status": "running", "pid": process.pid, "uptime": now - process.started, "cpu_s": 1.0}
            return {**known, **running, "memory": process.memory, "failed_checks": failed}
        ran = process.ended - process.started
        return {
            **known,
            "status": "exited",
            "exit_code": process.code,
            "ended": now - process.ended,
            "ran": ran,
        }


def _key(process: Process) -> str:
    return f"{process.app}/{process.instance}"
