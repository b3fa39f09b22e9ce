"""Slurm's commands: the only place where ELIAS speaks with Slurm."""

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import Sequence

from federation.errors import Refused, Temporary
from federation.settings import SlurmSettings
from managers.ufm.foreign.doing import Unanswered
from managers.ufm.slurm import reading
from managers.ufm.slurm.node import SLURM, Picture, SlurmNode, reason

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LATE = "timed out"  # scontrol's words where the controller has the request and has not answered it


class Slurm:
    """A cluster of which `scontrol` and `squeue` tell. Between a look at a node and its change a few milliseconds pass:
    Slurm has no request that does both."""

    source = SLURM

    def __init__(self, settings: SlurmSettings) -> None:
        self.settings = settings
        only = "ELIAS only reads this Slurm: `slurm.update` names no command that changes nodes"
        self.readonly = "" if settings.update else only
        # Nothing else: variables such as SQUEUE_FORMAT change what the commands print.
        self._environment = {name: os.environ[name] for name in ("PATH", "SLURM_CONF") if name in os.environ}
        self._environment |= {"LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
        if settings.conf is not None:
            self._environment["SLURM_CONF"] = str(settings.conf)

    async def look(self) -> Picture:
        """Raises Temporary where Slurm cannot be asked."""
        nodes = await self._run([self._path("scontrol"), "--all", "--oneliner", "--details", "show", "nodes"])
        jobs = await self._run([self._path("squeue"), "--all", "--noheader", f"--format={reading.JOBS}"])
        # Beside what else the agent does: 5,000 nodes take a second.
        return await asyncio.to_thread(reading.picture, nodes, jobs, self.settings.partitions)

    async def node(self, name: str) -> SlurmNode:
        """As it is now, without its jobs. Raises Temporary where Slurm cannot be asked, Refused if it has none."""
        if not _NAME.fullmatch(name):  # Slurm takes expressions for many nodes
            raise Refused("no-node", f"`{name}` is not the name of one node")
        said = await self._run([self._path("scontrol"), "--all", "--oneliner", "--details", "show", "node", name])
        found = [reading.node_of(line, Counter()) for line in reading.records(said)]
        if [node.name for node in found] != [name]:
            raise Refused("no-node", f"Slurm has no node `{name}`")
        return found[0]

    async def drain(self, node: SlurmNode, decision: str) -> None:
        await self._update(node.name, "state=drain", f"reason={reason(decision)}")

    async def resume(self, node: SlurmNode) -> None:
        await self._update(node.name, "state=resume")

    def drained(self, node: SlurmNode, decision: str) -> bool:
        return "DRAIN" in node.states and node.reason == reason(decision)

    async def _update(self, name: str, *changes: str) -> None:
        """Raises Unanswered where it may have been done, Temporary where it was not."""
        await self._run([*self.settings.update, "update", f"nodename={name}", *changes])

    def _path(self, command: str) -> str:
        folder = self.settings.commands
        return str(folder / command) if folder else command

    async def _run(self, command: Sequence[str]) -> str:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdin=nothing, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise Temporary(f"`{command[0]}` cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(self.settings.timeout):
                out, problem = (text.decode(errors="replace") for text in await process.communicate())
        except TimeoutError:
            raise Unanswered(f"`{command[0]}` did not end within {self.settings.timeout:g} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # sudo's ends by Slurm's own time limits
                    process.kill()
        if process.returncode:
            said = " ".join((problem.strip() or out.strip()).split())[:300] or f"code {process.returncode}"
            raise (Unanswered if _LATE in said else Temporary)(f"`{' '.join(command[:4])}` failed: {said}")
        return out
