"""Runs jobs on this node as Ray jobs: started once, awaited to the end, stopped on order."""

import asyncio
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.job_submission import JobStatus

from federation.effects import Doer, Order
from federation.records import Outcome
from federation.runtime.session import Session
from managers.ufm.board import Away, Board, DistantBoard, board
from managers.ufm.cordon import Cordons

PART = 256 << 10  # bytes of output that are read at a time
POLL = 0.5  # seconds between two looks at a running job
APPEARS = 60.0  # seconds in which the job interface of a head that starts is up
PIN = 0.001  # of the resource that every Ray node has under its own address


def submission_id(job: str, decision: str) -> str:
    """The name of a job in Ray, by the decision that placed it: Ray takes no name twice, and a job may begin anew."""
    return f"elias-{job}-{decision[:8]}"


class Jobs:
    """The jobs of one node. Ray keeps a job running while its agent is away, so a probe simply goes on awaiting it, and
    a new agent looks for what the one before it started."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.cordons = Cordons(agent.folder / "cordons")
        self.running: dict[str, str] = {}
        self.complete = False
        """Whether `running` holds whatever runs here; until then nothing is reported of it."""
        self._board: Board | DistantBoard | None = None

    def figures(self) -> dict[str, Any]:
        if not self.complete:
            return {}
        return {"jobs": [{"id": job, "since": since} for job, since in self.running.items()]}

    async def adopt(self) -> None:
        """Find what runs here since before this agent."""
        while not self.complete:
            try:
                found = await (await self.board()).all()
            except (RuntimeError, OSError):
                await asyncio.sleep(POLL)
                continue
            for info in found:
                known = info.metadata or {}
                if known.get("elias_node") == self.agent.node and not info.status.is_terminal():
                    self.agent.spawn(self._watch(known["elias_job"], known["elias_decision"]))
            await asyncio.sleep(0)  # they are on the list before it counts
            self.complete = True

    async def _watch(self, job: str, decision: str) -> None:
        while True:
            try:
                await self._end(job, decision)
                return
            except (RuntimeError, OSError):
                self.running[job] = decision  # its end was not seen
                await asyncio.sleep(POLL)

    async def board(self) -> Board | DistantBoard:
        """Waits for it: Ray's dashboard may have begun just now. RuntimeError, OSError: it does not come up."""
        begun = asyncio.get_running_loop().time()
        while self._board is None:
            try:
                self._board = await board(self.agent)
            except (RuntimeError, OSError):
                if asyncio.get_running_loop().time() - begun > APPEARS:
                    raise
                await asyncio.sleep(POLL)
        return self._board

    async def start(self, order: Order) -> Outcome:
        if self.agent.node in self.cordons:
            return Outcome("refused", "the node is cordoned")
        if self.agent.leaving:
            return Outcome("refused", "the node leaves the cluster", {"leaving": True})
        request = {
            "entrypoint": _entrypoint(order.payload),
            "submission_id": submission_id(order.subject, order.decision),
            "runtime_env": {"env_vars": _environment(order)},
            "entrypoint_resources": {f"node:{self.agent.address}": PIN},
            "metadata": {"elias_job": order.subject, "elias_decision": order.decision, "elias_node": self.agent.node},
        }
        await self._submit(request)
        return await self.end(order)

    async def _submit(self, request: dict[str, Any]) -> None:
        asked = await self.board()
        while True:
            try:
                await asked.submit(request)
                return
            except Away:
                await asyncio.sleep(POLL)
            with suppress(Away):  # it may have been taken all the same
                if request["submission_id"] in {info.submission_id for info in await asked.all()}:
                    return

    async def end(self, order: Order) -> Outcome:
        """Awaits the end of a job; its outcome."""
        return await self._end(order.subject, order.decision)

    async def _end(self, job: str, decision: str) -> Outcome:
        self.running[job] = decision
        try:
            asked = await self.board()
            while True:
                with suppress(Away):  # it runs on meanwhile
                    info = await asked.info(submission_id(job, decision))
                    if info.status.is_terminal():
                        return _outcome(info)
                await asyncio.sleep(POLL)
        finally:
            self.running.pop(job, None)

    async def stop(self, order: Order) -> Outcome:
        job = str(order.args["job"])
        stopped = job in self.running and await (await self.board()).stop(submission_id(job, self.running[job]))
        return Outcome(
            "done" if stopped else "failed", "" if stopped else "it had ended before", {"job": order.args["job"]}
        )


class Start:
    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def figures(self) -> dict[str, Any]:
        return self.jobs.figures()

    async def do(self, order: Order) -> Outcome:
        return await self.jobs.start(order)

    async def probe(self, order: Order) -> Outcome:
        known = {info.submission_id for info in await (await self.jobs.board()).all()}
        if submission_id(order.subject, order.decision) not in known:
            return Outcome("failed", "interrupted before it was submitted")
        return await self.jobs.end(order)


class Stop:
    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    async def do(self, order: Order) -> Outcome:
        return await self.jobs.stop(order)

    async def probe(self, order: Order) -> Outcome:
        return await self.jobs.stop(order)  # stopping a stopped job changes nothing


class Output:
    """What jobs of this node print, as Ray keeps it."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def read(self, job: str, decision: str, offset: int) -> tuple[bytes, bool]:
        """From this byte on, PART bytes at most, and whether there may be more: the job runs. decision: by which it was
        placed."""
        runs = self._jobs.running.get(job) == decision
        session = Session.of(self._jobs.agent.settings.state)
        if session is None or "/" in job:  # Ray takes no such name
            return b"", False
        path = Path(session.temp_dir, "session_latest", "logs", f"job-driver-{submission_id(job, decision)}.log")
        return await asyncio.to_thread(_part, path, offset), runs


def _part(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PART)
    except FileNotFoundError:
        return b""


def doers(agent: Any) -> dict[str, Doer]:
    jobs = Jobs(agent)
    agent.interfaces["output"] = Output(jobs)
    agent.spawn(jobs.adopt())
    return {"job.start": Start(jobs), "job.stop": Stop(jobs)}


def _entrypoint(job: dict[str, Any]) -> str:
    command = shlex.join(str(word) for word in job["command"])
    return f"cd {shlex.quote(job['cwd'])} && exec {command}" if job.get("cwd") else command


def _environment(order: Order) -> dict[str, str]:
    gpus = ",".join(str(gpu) for gpu in order.args.get("gpus", ()))
    return {"CUDA_VISIBLE_DEVICES": gpus, "ELIAS_JOB": order.subject}


def _outcome(info: Any) -> Outcome:
    seconds = ((info.end_time or 0) - (info.start_time or 0)) / 1000
    data = {"status": str(info.status), "exit_code": info.driver_exit_code, "seconds": seconds}
    if info.status == JobStatus.SUCCEEDED:
        return Outcome("done", "", data, reward=1.0)
    detail = (info.message or "").strip().splitlines()
    return Outcome("failed", detail[-1][:500] if detail else str(info.status), data, reward=0.0)
