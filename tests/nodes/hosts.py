"""Machines of a cluster on one machine: each has a network of its own, joined by a bridge, and a folder of its own."""

import ctypes
import http.client
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.running import exchange
from managers.uim import tls
from tests.programs import program

PORT = 8600  # of the API of each, on its own loopback
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

SETTINGS = "telemetry:\n  interval: 1s\nray:\n  start_timeout: 5m\n"


class Host:
    """address: by which the others reach it. outside: of the machine that all are on, for what is no host itself."""

    def __init__(self, folder: Path, name: str, namespace: str, address: str, outside: str) -> None:
        self.folder, self.name, self.namespace, self.address, self.outside = folder, name, namespace, address, outside
        folder.mkdir()
        self.set()

    def set(self, more: str = "") -> None:
        """Write its settings: those that all have, and these."""
        (self.folder / "elias.yaml").write_text(SETTINGS + more)

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "managers.uim.cli", *words]

    def elias(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of ELIAS, on this host."""
        command = self.command(*words)
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False)

    def done(self, *words: str) -> str:
        """What the command says on standard output; fails where it does."""
        ran = self.elias(*words)
        assert ran.returncode == 0, f"{self.name}: elias {' '.join(words)}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    @property
    def token(self) -> str:
        return (self.folder / ".elias" / "token").read_text().strip()

    def connect(self, patience: float) -> "Connection":
        state = self.folder / ".elias"
        secure = (state / tls.FOLDER / "flag").exists()
        return Connection(self.namespace, patience, tls.pinned(tls.ours(state).cert.read_text()) if secure else None)

    def request(self, method: str, path: str, body: Any = None, *, patience: float = 5.0) -> tuple[int, Any]:
        """Status and decoded JSON. A command would be a process that takes half a second of a core."""
        with closing(self.connect(patience)) as connection:
            return exchange(connection, self.token, method, path, body)

    def ready(self) -> bool:
        """Whether it is the head, and decides."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            return self.request("GET", "/readyz")[0] == 200
        return False

    def nodes(self) -> dict[str, dict[str, Any]]:
        status, told = self.request("GET", "/v1/nodes", patience=60.0)
        assert status == 200, told
        return {node["name"]: node for node in told["nodes"]}

    def processes(self) -> list[psutil.Process]:
        """All that run on it, stopped ones too."""
        found = list[psutil.Process]()
        for pid in _ip("netns", "pids", self.namespace).split():
            with suppress(psutil.Error):
                found.append(psutil.Process(int(pid)))
        return found

    def titled(self, title: str) -> psutil.Process | None:
        """The one that calls itself so, if there is one: Ray's actors do by their class."""
        for process in self.processes():
            with suppress(psutil.Error):
                if title in " ".join(process.cmdline()[:1]):
                    return process
        return None

    def cut(self) -> None:
        """No packet comes or goes."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def heal(self) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", "up")


def heard(head: Host) -> set[str]:
    """The nodes of which this host, the head, has heard within five seconds; none where it is not the head."""
    nodes = {}
    with suppress(OSError, http.client.HTTPException, ValueError, AssertionError):
        nodes = head.nodes()
    return {name for name, node in nodes.items() if node["silence"] is not None and node["silence"] < 5}


class Connection(http.client.HTTPConnection):
    """To the API of a host, from its own network."""

    def __init__(self, namespace: str, patience: float, trust: ssl.SSLContext | None) -> None:
        super().__init__("127.0.0.1", PORT, timeout=patience)
        self._namespace, self._trust = namespace, trust

    def connect(self) -> None:
        with _inside(self._namespace):
            super().connect()
        if self._trust is not None:
            self.sock = self._trust.wrap_socket(self.sock, server_hostname=self.host)


@contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """This thread is in that network: a socket that it opens stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(there)
        os.close(home)


def _enter(file: int) -> None:
    if _libc.setns(file, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def network(folder: Path, count: int) -> Iterator[list[Host]]:
    """So many hosts that reach one another, and nothing else. Needs root."""
    program("ip")
    if os.geteuid() != 0:
        pytest.fail("only root may make networks for the hosts of this test")
    with ExitStack() as stack:
        mine, bridge = _bridge()
        stack.callback(_ip, "link", "del", bridge)
        outside = f"10.77.{mine}.254"
        _ip("addr", "add", f"{outside}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        made = list[Host]()
        for number in range(1, count + 1):
            namespace, wire = f"elias{mine}-{number}", f"elv{mine}-{number}"
            _ip("netns", "add", namespace)
            stack.callback(_ip, "netns", "del", namespace)
            address = f"10.77.{mine}.{number}"
            made.append(Host(folder / f"host{number}", f"host{number}", namespace, address, outside))
            _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", wire, "master", bridge, "up")
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", namespace, "link", "set", "eth0", "up")
            stack.callback(made[-1].elias, "down")
        yield made


def _bridge() -> tuple[int, str]:
    """A bridge of a number that no other run on this machine has."""
    for number in range(250):
        mine = (os.getpid() + number) % 250
        made = subprocess.run(["ip", "link", "add", f"elbr{mine}", "type", "bridge"], capture_output=True, check=False)
        if made.returncode == 0:
            return mine, f"elbr{mine}"
    raise AssertionError("no bridge can be made: see `ip link add elbr0 type bridge`")


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
