"""What each kind of fault does to the site: a small class each, which begins and ends."""

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

import psutil

from tests.chaos.kinds import DATABASE, HEAD, NODES
from tests.chaos.schedule import Fault
from tests.chaos.site import Site
from tests.e2e.waiting import until

FROZEN, THAWED = 0.3, 0.1  # seconds, in turns, of a slow disk


class AwayError(Exception):
    """Whom the fault is to strike is not there just now."""


class Strike:
    """Base of all."""

    def __init__(self, site: Site, fault: Fault) -> None:
        self.site, self.fault, self.target = site, fault, fault.target

    def find(self) -> str:
        """Whom it is to strike, in words. Raises AwayError."""
        return self.target

    def begin(self) -> None:
        """Strike, at once."""

    def end(self) -> None:
        """Let go. Most are over as they begin."""


class _Signals(Strike):
    """To processes."""

    def find(self) -> str:
        self.found = [process for process in self.look() if process is not None]
        if not self.found:
            raise AwayError
        return f"{len(self.found)} processes" if len(self.found) > 1 else f"process {self.found[0].pid}"

    def look(self) -> Sequence[psutil.Process | None]:
        return [self.site.actor(self.target)]

    def send(self, number: signal.Signals) -> None:
        for process in self.found:
            with suppress(psutil.Error):
                process.send_signal(number)


class Kill(_Signals):
    def begin(self) -> None:
        self.send(signal.SIGKILL)


class KillAgent(Kill):
    def look(self) -> Sequence[psutil.Process | None]:
        return [self.site.agent(self.target)]


class KillControlStore(Kill):
    """Ray's head ends with it after a while, and all of ELIAS; it is over once there is another one."""

    def look(self) -> Sequence[psutil.Process | None]:
        return [self.site.control_store()]

    def end(self) -> None:
        until(lambda: self.site.control_store() not in (None, *self.found))


class KillNode(Kill):
    def look(self) -> Sequence[psutil.Process | None]:
        return _node(self.site, self.target)

    def begin(self) -> None:
        self.site.keeper(self.target).hold()
        super().begin()

    def end(self) -> None:
        self.found = self.site.hosts[self.target].processes()  # what was just being started
        self.send(signal.SIGKILL)
        self.site.keeper(self.target).release()


class Pause(_Signals):
    def begin(self) -> None:
        self.send(signal.SIGSTOP)

    def end(self) -> None:
        self.send(signal.SIGCONT)


class PauseDatabase(Pause):
    def look(self) -> Sequence[psutil.Process | None]:
        return self.site.database.processes()


class Hang(Pause):
    def look(self) -> Sequence[psutil.Process | None]:
        return _node(self.site, self.target)


class _Cut(Strike, ABC):
    def find(self) -> str:
        return ", ".join(f"{host} to {other}" for host, other in self.wires())

    def begin(self) -> None:
        for host, other in self.wires():
            self.site.cut(host, other)

    def end(self) -> None:
        for host, other in self.wires():
            self.site.heal(host, other)

    @abstractmethod
    def wires(self) -> list[tuple[str, str]]:
        """Each a host, and the address that it reaches no more."""


class CutNode(_Cut):
    def wires(self) -> list[tuple[str, str]]:
        others = [host for name, host in self.site.hosts.items() if name != self.target]
        mine = self.site.hosts[self.target].address
        return [(self.target, host.address) for host in others] + [(host.name, mine) for host in others]


class CutPair(_Cut):
    def wires(self) -> list[tuple[str, str]]:
        one, other = NODES
        return [(one, self.site.hosts[other].address), (other, self.site.hosts[one].address)]


class CutDatabase(_Cut):
    def wires(self) -> list[tuple[str, str]]:
        return [(HEAD, self.site.head.outside)]


class RestartDatabase(Strike):
    def end(self) -> None:
        self.site.database.restart()


class SlowDisk(Strike):
    """A shell of its own freezes and thaws, so many times and no more: nothing stays frozen when this process ends."""

    def begin(self) -> None:
        place, times = self.site.disks[self.target].place, max(1, round(self.fault.lasts / (FROZEN + THAWED)))
        turn = f"fsfreeze -f {place}; sleep {FROZEN}; fsfreeze -u {place}; sleep {THAWED}"
        self.shell = subprocess.Popen(
            ["sh", "-c", f"for turn in $(seq {times}); do {turn}; done"], start_new_session=True
        )

    def end(self) -> None:
        self.shell.wait()


class FullDisk(Strike):
    def begin(self) -> None:
        self.site.disks[self.target].fill()

    def end(self) -> None:
        self.site.disks[self.target].empty()
        if self.target == DATABASE:
            self.site.database.recover()


class Clock(Strike):
    def begin(self) -> None:
        self.site.set_clock(self.target, self.fault.size)

    def end(self) -> None:
        self.site.set_clock(self.target, 0.0)


STRIKES: dict[str, type[Strike]] = {
    "kill": Kill,
    "kill-agent": KillAgent,
    "pause": Pause,
    "kill-node": KillNode,
    "hang-node": Hang,
    "hang-head": Hang,
    "cut-node": CutNode,
    "cut-pair": CutPair,
    "cut-database": CutDatabase,
    "restart-database": RestartDatabase,
    "pause-database": PauseDatabase,
    "slow-disk": SlowDisk,
    "full-disk": FullDisk,
    "clock": Clock,
    "control-store": KillControlStore,
}


def _node(site: Site, host: str) -> list[psutil.Process]:
    """All of it, once its agent is there: before that it is no node."""
    return site.hosts[host].processes() if site.agent(host) else []
