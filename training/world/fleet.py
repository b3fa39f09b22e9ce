"""The machines of a simulated world, and the jobs on them: memory that grows, nodes that die, jobs that end.

Memory in use is what the system takes, what each job takes by now, and what applications take. Above FULL the kernel
ends the process that takes most, as Linux does, whoever is to blame. A job takes what it asked for after a minute; one
that leaks goes on taking, a burst passes.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi
from random import Random
from typing import Any

from federation.effects import Order
from federation.records import Outcome
from training.scenarios.draws import between
from training.world.agenda import Agenda
from training.world.chances import DAY, MINUTE, Chances
from training.world.troubles import Troubles

GIB = 2**30
RACK = 5  # nodes of a rack
FULL = 99.0  # percent of memory in use from which on the kernel ends processes
PRESSED = 95.0  # percent of memory or disk: whoever is above it is in trouble
SYSTEM = 6.0  # percent of memory that a node needs for itself
RAMP = 60.0  # seconds until a job has taken what it needs
BURST = (4 * MINUTE, 20 * MINUTE)  # how long a burst takes, and from one to the next
USER_RESUBMITS = 5 * MINUTE


@dataclass
class Machine:
    """dark, cut: until when it is without power, and until when its agent is not heard. disk: percent in use; filling:
    percentage points a second."""

    name: str
    rack: str
    cpus: int
    memory: int
    gpus: int
    model: str
    dark: float = 0.0
    cut: float = 0.0
    disk: float = 35.0
    filling: float = 0.0
    pressed: bool = False


@dataclass(frozen=True)
class Task:
    """What a job really is. work: seconds that it takes. plateau: share of the memory asked for. leak: bytes a second,
    from `leaks_from` on. bug: seconds after which it ends by itself."""

    data: dict[str, Any]
    work: float
    plateau: float
    leak: float = 0.0
    leaks_from: float = 0.0
    burst: float = 0.0
    bug: float | None = None

    def memory(self, age: float) -> float:
        """Bytes in use so long after its start."""
        asked: int = self.data["memory"]
        used = asked * self.plateau * min(1.0, age / RAMP)
        if self.leak and age > self.leaks_from:
            used += self.leak * (age - self.leaks_from)
        if self.burst and age % BURST[1] > BURST[1] - BURST[0]:
            used += asked * self.burst
        return used


@dataclass
class Run:
    """A job on a node. decision: by which it was started."""

    job: str
    node: str
    decision: str
    task: Task
    gpus: int
    started: float


Submit = Callable[[str, dict[str, Any]], None]


class Fleet:
    """submit: how a user hands in a job. beside: bytes that applications take on a node. killed: jobs ended for want of
    memory, by node. twice: jobs started while they still ran elsewhere."""

    def __init__(
        self,
        seed: int,
        nodes: int,
        chances: Chances,
        agenda: Agenda,
        troubles: Troubles,
        submit: Submit,
    ) -> None:
        self.chances, self.agenda, self.troubles, self.submit = chances, agenda, troubles, submit
        self.random = Random(f"{seed} fleet")
        self.noise = Random(f"{seed} noise")
        self.machines = {m.name: m for m in map(_machine, range(nodes))}
        self.tasks: dict[str, Task] = {}
        self.runs: dict[str, Run] = {}  # by decision
        self.cordons: set[str] = set()
        self.ended: list[tuple[str, str, Outcome]] = []  # node, decision and what came of it, until it can be heard
        self.beside: Callable[[str], float] = lambda node: 0.0
        self.went_dark: Callable[[str], None] = lambda node: None
        self.killed: Counter[str] = Counter()
        self.done = self.twice = self._submitted = 0
        each = len(self.machines)
        agenda.often(chances.crash / each, self.random, self._crash)
        agenda.often(chances.hang / each, self.random, self._hang)
        agenda.often(chances.rack, self.random, self._rack)
        agenda.often(chances.disk, self.random, self._fill)
        agenda.often(chances.job / 1.5, self.random, self._user)

    # -- what happens ------------------------------------------------------------------------------------------------

    def heard(self, node: str) -> bool:
        machine = self.machines[node]
        return self.agenda.now >= machine.dark and self.agenda.now >= machine.cut

    def works(self, node: str) -> bool:
        return self.agenda.now >= self.machines[node].dark

    def _crash(self) -> None:
        self.darken(self._any_machine(), between(self.random, *self.chances.crash_lasts), "it crashed")

    def _rack(self) -> None:
        rack, lasts = self._any_machine().rack, between(self.random, *self.chances.rack_lasts)
        for machine in [m for m in self.machines.values() if m.rack == rack]:
            self.darken(machine, lasts, "its rack lost power")

    def darken(self, machine: Machine, seconds: float, why: str) -> None:
        if not self.works(machine.name):
            return
        now = self.agenda.now
        machine.dark = now + seconds
        self.troubles.add(now, "node", machine.name, why)
        for run in [r for r in self.runs.values() if r.node == machine.name]:
            self._end(run, Outcome("unknown", f"{machine.name} was not reached in time"), "its node died")
        self.went_dark(machine.name)

    def _hang(self) -> None:
        machine = self._any_machine()
        if self.heard(machine.name):
            machine.cut = self.agenda.now + between(self.random, *self.chances.hang_lasts)
            self.troubles.add(self.agenda.now, "node", machine.name, "it was not heard")

    def _fill(self) -> None:
        machine, takes = self._any_machine(), between(self.random, *self.chances.filling)
        machine.filling = (100 - machine.disk) / takes
        self.agenda.after(takes + between(self.random, *self.chances.cleaned), self._clean, machine.name)

    def _clean(self, node: str) -> None:
        machine = self.machines[node]
        machine.disk, machine.filling = self.random.uniform(20, 50), 0.0

    def _any_machine(self) -> Machine:
        return self.random.choice(list(self.machines.values()))

    # -- users and their jobs ----------------------------------------------------------------------------------------

    def _user(self) -> None:
        """Somebody hands in a job; two in three of these moments by day, one in three by night."""
        daytime = 0.5 - 0.5 * cos(2 * pi * self.agenda.now / DAY)
        if self.random.random() > (1 + daytime) / 2.25:
            return
        self._submitted += 1
        job = f"{self.random.choice(('train', 'tune', 'eval', 'etl'))}-{self._submitted}"
        self._hand_in(job, self._task(job))

    def _task(self, job: str) -> Task:
        random, chances = self.random, self.chances
        gpus = 0 if job.startswith("etl") else random.choice((1, 1, 1, 2, 2, 4, 8))
        memory = (random.randint(16, 56) * max(gpus, 1)) * GIB // (2 if gpus > 2 else 1)
        work = between(random, *chances.job_lasts)
        data: dict[str, Any] = {
            "command": ["run", job],
            "cpus": float(4 * max(gpus, 1)),
            "memory": memory,
            "gpus": gpus,
            "priority": random.randint(0, 9),
            "restartable": random.random() < 0.7,
        }
        if random.random() < chances.large:
            data |= {"gpus": 16, "memory": 900 * GIB}
        leaks, bursts, bug = (random.random() < share for share in (chances.leaks, chances.bursts, chances.bugs))
        leaks_from = random.uniform(0.1, 0.6) * work
        leak = 250 * GIB / between(random, *chances.leak_takes) if leaks else 0.0
        burst = random.uniform(0.3, 1.0) if bursts else 0.0
        return Task(
            data,
            work,
            random.uniform(0.5, 0.95),
            leak,
            leaks_from,
            burst,
            random.uniform(1.0, work) if bug else None,
        )

    def _hand_in(self, job: str, task: Task) -> None:
        self.tasks[job] = task
        self.submit(job, task.data)

    # -- effects -----------------------------------------------------------------------------------------------------

    def start(self, order: Order) -> Outcome | None:
        """None: it runs, and `ended` tells of its end."""
        node = str(order.args["node"])
        if node in self.cordons:
            return Outcome("refused", "the node is cordoned")
        task = self._known(order)
        if any(run.job == order.subject for run in self.runs.values()):
            self.twice += 1
        run = Run(order.subject, node, order.decision, task, len(order.args.get("gpus", ())), self.agenda.now)
        self.runs[order.decision] = run
        ends = task.work if task.bug is None else task.bug
        self.agenda.after(ends, self._over, order.decision, task.bug is not None)
        return None

    def stop(self, order: Order) -> Outcome:
        job = str(order.args["job"])
        running = [run for run in self.runs.values() if run.job == job]
        for run in running:
            self._end(run, Outcome("failed", "stopped on order", {"status": "STOPPED"}, reward=0.0), "")
        return Outcome("done" if running else "failed", "" if running else "it had ended before", {"job": job})

    def cordon(self, order: Order, on: bool) -> Outcome:
        if on:
            self.cordons.add(order.subject)
        else:
            self.cordons.discard(order.subject)
        return Outcome("done", "", {"cordoned": on})

    def _known(self, order: Order) -> Task:
        """A job that this world's users did not hand in is somebody's who tries ELIAS out: it takes a minute."""
        base = re.sub(r"-r\d+$", "", order.subject)
        return self.tasks.get(base) or Task({"memory": GIB}, MINUTE, 0.5)

    def _over(self, decision: str, bug: bool) -> None:
        run = self.runs.get(decision)
        if run is None:
            return
        seconds = self.agenda.now - run.started
        if bug:
            outcome = Outcome("failed", "it ended with 1", {"exit_code": 1, "seconds": seconds}, reward=0.0)
            self._end(run, outcome, "it ended with 1")
        else:
            self.done += 1
            self._end(run, Outcome("done", "", {"exit_code": 0, "seconds": seconds}, reward=1.0), "")

    def _end(self, run: Run, outcome: Outcome, failed: str) -> None:
        del self.runs[run.decision]
        self.ended.append((run.node, run.decision, outcome))
        if failed:
            self.troubles.add(self.agenda.now, "job", run.job, failed)
            if not run.task.data.get("restartable"):
                self.agenda.after(USER_RESUBMITS, self._once_more, run)

    def _once_more(self, run: Run) -> None:
        """The user of a job that cannot be restarted hands it in again, without the bug."""
        if run.job in self.tasks:
            task = run.task
            fixed = Task(task.data, task.work, task.plateau, burst=task.burst)
            self._hand_in(f"{run.job}-again", fixed)

    # -- physics -----------------------------------------------------------------------------------------------------

    def settle(self, seconds: float) -> None:
        """So much time has passed: disks fill, memory grows, and where it is full a process is ended."""
        used = self.memory()
        for name, machine in self.machines.items():
            machine.disk = min(100.0, machine.disk + machine.filling * seconds)
            while used[name] > FULL and self._kill(name):
                used = self.memory()
            pressed = used[name] > PRESSED or machine.disk > PRESSED
            if pressed and not machine.pressed:
                self.troubles.add(self.agenda.now, "pressure", name, "memory" if used[name] > PRESSED else "disk")
            machine.pressed = pressed

    def memory(self) -> dict[str, float]:
        """Percent in use, by node."""
        now, used = self.agenda.now, dict.fromkeys(self.machines, 0.0)
        for run in self.runs.values():
            used[run.node] += run.task.memory(now - run.started)
        return {
            name: SYSTEM + 100 * (used[name] + self.beside(name)) / machine.memory
            for name, machine in self.machines.items()
        }

    def _kill(self, node: str) -> bool:
        """The kernel ends what takes most."""
        now = self.agenda.now
        here = [run for run in self.runs.values() if run.node == node]
        if not here:
            return False
        largest = max(here, key=lambda run: run.task.memory(now - run.started))
        outcome = Outcome("failed", "killed: out of memory", {"exit_code": -9}, reward=0.0)
        self.killed[node] += 1
        self._end(largest, outcome, "out of memory")
        return True

    # -- telling -----------------------------------------------------------------------------------------------------

    def take_ended(self) -> list[tuple[str, Outcome]]:
        """What ended on nodes that can be heard; of what died with a node nothing else is ever heard."""
        heard = [one for one in self.ended if one[2].status == "unknown" or self.heard(one[0])]
        self.ended = [one for one in self.ended if one not in heard]
        return [(decision, outcome) for _, decision, outcome in heard]

    def reports(self) -> Iterator[dict[str, Any]]:
        """What the agents of the nodes measure, one report of each that is heard."""
        memory, now, noise = self.memory(), self.agenda.now, self.noise
        busy: dict[str, list[Run]] = {}
        for run in self.runs.values():
            busy.setdefault(run.node, []).append(run)
        for name, machine in self.machines.items():
            if not self.heard(name):
                continue
            here = busy.get(name, [])
            used = min(100.0, max(0.0, memory[name] + noise.uniform(-0.3, 0.3)))
            cpu = 3 + 85 * sum(float(run.task.data.get("cpus", 1)) for run in here) / machine.cpus
            gpus = [{"name": machine.model}] * machine.gpus
            gpu = 94 * sum(run.gpus for run in here) / machine.gpus if machine.gpus else None
            yield {
                "node": name,
                "cpu": round(min(100.0, max(0.0, cpu + noise.uniform(-2, 2))), 1),
                "cpus": machine.cpus,
                "load": round(cpu * machine.cpus / 100, 2),
                "memory": round(used, 1),
                "memory_total": machine.memory,
                "memory_free": int(machine.memory * (100 - used) / 100),
                "disk": round(machine.disk, 1),
                "disk_total": 2000 * GIB,
                "disk_free": int(2000 * GIB * (100 - machine.disk) / 100),
                "gpus": gpus,
                "gpu": None if gpu is None else round(min(100.0, max(0.0, gpu + noise.uniform(-2, 2))), 1),
                "groups": [f"rack:{machine.rack}"],
                "jobs": [{"id": run.job, "since": run.decision} for run in here],
                "measured": now,
            }


def _machine(number: int) -> Machine:
    name, rack = f"n{number + 1:02}", f"r{number // RACK + 1}"
    if number % RACK == RACK - 1:  # one of each rack is without GPUs
        return Machine(name, rack, 64, 256 * GIB, 0, "", disk=25.0 + number % 7)
    return Machine(name, rack, 96, 512 * GIB, 8, "H100", disk=25.0 + number % 7)
