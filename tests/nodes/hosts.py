"""Machines of a cluster on one machine: each has a network of its own, joined by a bridge, and a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program

SETTINGS = "telemetry:\n  interval: 1s\nray:\n  start_timeout: 5m\n"


class Host:
    """address: by which the others reach it."""

    def __init__(self, folder: Path, name: str, namespace: str, address: str) -> None:
        self.folder, self.name, self.namespace, self.address = folder, name, namespace, address
        folder.mkdir()
        (folder / "elias.yaml").write_text(SETTINGS)

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

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["name"]: node for node in json.loads(self.done("nodes", "--json"))["nodes"]}

    def cut(self) -> None:
        """No packet comes or goes."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def heal(self) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", "up")


@contextmanager
def network(folder: Path, count: int) -> Iterator[list[Host]]:
    """So many hosts that reach one another, and nothing else. Needs root."""
    program("ip")
    if os.geteuid() != 0:
        pytest.fail("only root may make networks for the hosts of this test")
    mine = os.getpid() % 250  # beside other runs on this machine
    bridge, made = f"elbr{mine}", list[Host]()
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")
        for number in range(1, count + 1):
            namespace, wire = f"elias{mine}-{number}", f"elv{mine}-{number}"
            _ip("netns", "add", namespace)
            made.append(Host(folder / f"host{number}", f"host{number}", namespace, f"10.77.{mine}.{number}"))
            _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", wire, "master", bridge, "up")
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", namespace, "addr", "add", f"{made[-1].address}/24", "dev", "eth0")
            _ip("-n", namespace, "link", "set", "eth0", "up")
        yield made
    finally:
        for host in reversed(made):
            host.elias("down")
            _ip("netns", "del", host.namespace)
        _ip("link", "del", bridge)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
