"""Runs jobs on this node as Ray jobs: started once, awaited to the end, stopped on order."""

import asyncio
import shlex
from typing import Any

from ray.job_submission import JobStatus, JobSubmissionClient

from federation.effects import Doer, Order
from federation.records import Outcome
from federation.runtime.cluster import Cluster
from managers.ufm.cordon import Cordons

POLL = 0.5  # seconds between two looks at a running job
PIN = 0.001  # of the resource that every Ray node has under its own address


def submission_id(job: str) -> str:
    """The name of a job in Ray."""
    return f"elias-{job}"


class Jobs:
    """The jobs of one node. Ray keeps a job running while its agent is away, so a probe simply goes on awaiting it, and
    a new agent looks for what the one before it started."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.cordons = Cordons(agent.folder / "cordons")
        self.running: dict[str, str] = {}
        self.complete = False
        """Whether `running` holds whatever runs here; until then nothing is reported of it."""
        self._client: JobSubmissionClient | None = None

    def figures(self) -> dict[str, Any]:
        if not self.complete:
            return {}
        return {"jobs": [{"id": job, "since": since} for job, since in self.running.items()]}

    async def adopt(self) -> None:
        """Find what runs here since before this agent."""
        while not self.complete:
            try:
                client = await self.client()
                found = await asyncio.to_thread(client.list_jobs)
            except (RuntimeError, OSError):  # Ray's dashboard starts beside us
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

    async def client(self) -> JobSubmissionClient:
        if self._client is None:
            cluster = Cluster.attach(self.agent.settings.state)
            if cluster is None:
                raise RuntimeError("there is no running cluster to submit to")
            self._client = await asyncio.to_thread(JobSubmissionClient, cluster.dashboard)
        return self._client

    async def start(self, order: Order) -> Outcome:
        if self.agent.node in self.cordons:
            return Outcome("refused", "the node is cordoned")
        client = await self.client()
        await asyncio.to_thread(
            client.submit_job,
            entrypoint=_entrypoint(order.payload),
            submission_id=submission_id(order.subject),
            runtime_env={"env_vars": _environment(order)},
            entrypoint_resources={f"node:{self.agent.address}": PIN},
            metadata={"elias_job": order.subject, "elias_decision": order.decision, "elias_node": self.agent.node},
        )
        return await self.end(order)

    async def end(self, order: Order) -> Outcome:
        """Awaits the end of a job; its outcome."""
        return await self._end(order.subject, order.decision)

    async def _end(self, job: str, decision: str) -> Outcome:
        self.running[job] = decision
        try:
            client = await self.client()
            while True:
                info = await asyncio.to_thread(client.get_job_info, submission_id(job))
                if info.status.is_terminal():
                    return _outcome(info)
                await asyncio.sleep(POLL)
        finally:
            self.running.pop(job, None)

    async def stop(self, order: Order) -> Outcome:
        client = await self.client()
        stopped = await asyncio.to_thread(client.stop_job, submission_id(order.args["job"]))
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
        client = await self.jobs.client()
        known = {info.submission_id for info in await asyncio.to_thread(client.list_jobs)}
        if submission_id(order.subject) not in known:
            return Outcome("failed", "interrupted before it was submitted")
        return await self.jobs.end(order)


class Stop:
    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    async def do(self, order: Order) -> Outcome:
        return await self.jobs.stop(order)

    async def probe(self, order: Order) -> Outcome:
        return await self.jobs.stop(order)  # stopping a stopped job changes nothing


def doers(agent: Any) -> dict[str, Doer]:
    jobs = Jobs(agent)
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
