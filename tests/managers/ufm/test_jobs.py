"""The jobs of a node as its agent tells them, with a made-up Ray."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.job_submission import JobStatus

from managers.ufm import jobs
from managers.ufm.board import Board
from managers.ufm.jobs import Jobs, submission_id


class Ray:
    """Jobs by name: on which node, and how they are. away: its dashboard does not answer."""

    def __init__(self, **nodes: str) -> None:
        self.nodes = nodes
        self.status = dict.fromkeys(nodes, JobStatus.RUNNING)
        self.away = False

    def list_jobs(self) -> list[Any]:
        return [self.get_job_info(submission_id(job, f"d {job}")) for job in self.nodes]

    def get_job_info(self, submitted: str) -> Any:
        if self.away:
            raise ConnectionError("the dashboard is away")
        job = submitted.split("-")[1]
        known = {"elias_job": job, "elias_decision": f"d {job}", "elias_node": self.nodes[job]}
        times = {"start_time": 0, "end_time": 0, "driver_exit_code": 0, "message": ""}
        return SimpleNamespace(metadata=known, status=self.status[job], **times)


class Agent:
    def __init__(self, folder: Path) -> None:
        self.node, self.folder = "n1", folder
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))


def told(of: Jobs) -> list[str] | None:
    figures = of.figures()
    return [job["since"] for job in figures["jobs"]] if "jobs" in figures else None


async def test_a_new_agent_tells_of_the_jobs_that_the_one_before_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL", 0.001)
    ray, agent = Ray(train="n1", eval="n1", elsewhere="n2"), Agent(tmp_path)
    ray.status["eval"] = JobStatus.SUCCEEDED
    ray.away = True
    ours = Jobs(agent)
    ours._board = Board(ray)  # type: ignore[arg-type]
    agent.spawn(ours.adopt())
    await asyncio.sleep(0)
    assert told(ours) is None  # nobody knows yet
    ray.away = False
    await agent.tasks[0]
    assert told(ours) == ["d train"]
    ray.status["train"] = JobStatus.SUCCEEDED
    await asyncio.gather(*agent.tasks)
    assert told(ours) == []
