"""Ray's job interface. It serves on the loopback address of the head alone, so the agent of another node asks the agent
of the head, over Ray, which is authenticated and may be encrypted; HTTP would be neither everywhere.
"""

import asyncio
from typing import Any

import ray
from ray.job_submission import JobDetails, JobSubmissionClient

from federation.runtime.cluster import Cluster
from federation.runtime.reporting import agent_of_the_head
from federation.runtime.service import NAMESPACE

NAME = "jobs"  # under which an agent serves it to others


class Away(RuntimeError):
    """The agent of the head does not answer now; nobody knows whether it did what it was asked."""


class Board:
    """On the head. Blocking calls of Ray's client, each in a thread. RuntimeError, OSError: it does not answer now."""

    def __init__(self, client: JobSubmissionClient) -> None:
        self._client = client

    async def submit(self, request: dict[str, Any]) -> None:
        await asyncio.to_thread(self._client.submit_job, **request)

    async def info(self, name: str) -> JobDetails:
        return await asyncio.to_thread(self._client.get_job_info, name)

    async def all(self) -> list[JobDetails]:
        return await asyncio.to_thread(self._client.list_jobs)

    async def stop(self, name: str) -> bool:
        return bool(await asyncio.to_thread(self._client.stop_job, name))


class DistantBoard:
    """On every other node. All methods raise Away, and RuntimeError as Board's do."""

    async def submit(self, request: dict[str, Any]) -> None:
        await self._ask("submit", request)

    async def info(self, name: str) -> JobDetails:
        found: JobDetails = await self._ask("info", name)
        return found

    async def all(self) -> list[JobDetails]:
        found: list[JobDetails] = await self._ask("all")
        return found

    async def stop(self, name: str) -> bool:
        return bool(await self._ask("stop", name))

    async def _ask(self, method: str, *args: Any) -> Any:
        try:
            agent = ray.get_actor(await asyncio.to_thread(agent_of_the_head), NAMESPACE)
            return await agent.ask.remote(NAME, method, *args)
        except ray.exceptions.RayTaskError as error:
            kind = Away if isinstance(error.cause, KeyError) else RuntimeError  # it is just starting
            raise kind(f"the job interface of the head: {error.cause}") from None
        except (ray.exceptions.RayError, ValueError) as error:
            raise Away(f"the agent of the head is away: {error}") from None


async def board(agent: Any) -> Board | DistantBoard:
    """As this agent reaches it; on the head, from now on for the agents of other nodes too. RuntimeError,
    OSError: not now."""
    cluster = Cluster.attach(agent.settings.state)
    if cluster is None:
        raise RuntimeError("there is no running cluster to submit to")
    if not cluster.dashboard:
        return DistantBoard()
    found = agent.interfaces[NAME] = Board(await asyncio.to_thread(JobSubmissionClient, cluster.dashboard))
    return found
