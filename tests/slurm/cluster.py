"""A Slurm for tests: Debian's programs, a controller and two nodes of our own on this machine, on free ports."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests import programs
from tests.e2e.waiting import until
from tests.ports import free_port

NODES = ("a1", "a2")


class Cluster:
    """munged, slurmctld, and a slurmd for each of NODES; `a1` has two GPUs, as far as Slurm can tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.chmod(0o755)  # munge has its socket where everybody may come
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        host, user = socket.gethostname(), pwd.getpwuid(os.geteuid()).pw_name
        ports = [free_port() for _ in ("slurmctld", *NODES)]
        nodes = "".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=500 "
            f"{'Gres=gpu:h100:2' if node == 'a1' else ''}\n"
            for node, port in zip(NODES, ports[1:], strict=True)
        )
        self.conf.write_text(
            f"ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={ports[0]}\n"
            f"SlurmUser={user}\nSlurmdUser={user}\nAuthType=auth/munge\nAuthInfo=socket={folder}/munge.sock\n"
            f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool/%n\n"
            f"SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/%n.pid\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\n"
            "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nGresTypes=gpu\n"
            "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n"
            f"SlurmdTimeout=5\nReturnToService=1\nKillWait=1\n{nodes}"
            "PartitionName=main Nodes=a1,a2 Default=YES MaxTime=INFINITE State=UP\n"
            "PartitionName=big Nodes=a1 MaxTime=INFINITE State=UP\n"
        )
        (folder / "gres.conf").write_text("NodeName=a1 Name=gpu Type=h100 File=/dev/null,/dev/zero\n")
        for name in ("state", *(f"spool/{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A started cluster whose nodes are idle, in a temporary folder; all is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="elias-slurm-"))  # a socket's path must be short
        cluster = cls(folder)
        try:
            cluster.start_munge()
            cluster.restore()
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder)

    def restore(self) -> None:
        """Both nodes idle, whatever was done to them."""
        if "slurmctld" not in self._processes:
            self.start_controller()
        for node in NODES:
            if node not in self._processes:
                self.start(node)
        until(lambda: set(self.states()) == set(NODES) and "NOT_RESPONDING" not in str(self.states()))
        for node, state in self.states().items():
            if "DRAIN" in state or "DOWN" in state:
                self.run("scontrol", "update", f"nodename={node}", "state=resume")
        until(lambda: self.states() == dict.fromkeys(NODES, "IDLE"))

    def start_munge(self) -> None:
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        flags = [f"--{flag}={self.folder / name}" for flag, name in files.items()]
        self._start("munged", "munged", "--foreground", "--force", "--num-threads=2", *flags)
        until((self.folder / "munge.sock").exists)

    def start_controller(self) -> None:
        self._start("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def start(self, node: str) -> None:
        self._start(node, "slurmd", "-D", "-N", node)

    def kill(self, node: str) -> None:
        """The node falls silent."""
        self._processes[node].kill()
        self._processes.pop(node).wait()

    def run(self, *command: str) -> str:
        """What a command of Slurm's says, as the user of the cluster."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def states(self) -> dict[str, str]:
        """Of every node, in Slurm's words, such as `IDLE+DRAIN`; empty while the controller does not answer."""
        command = ["sinfo", "--noheader", "--Node", "--partition=main", "--Format=NodeList:|,StateComplete:|"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        rows = (line.split("|") for line in done.stdout.splitlines())
        return {row[0]: row[1].upper() for row in rows if len(row) > 1}

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for name in list(self._processes):
            self._end(name)

    def _start(self, name: str, *command: str) -> None:
        words = [programs.program(command[0]), *command[1:]]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, cwd="/")

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
