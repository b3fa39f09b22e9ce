"""The output of a job, as Ray's job interface streams it."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from ray.job_submission import JobSubmissionClient

from federation.errors import Temporary
from federation.runtime.cluster import Cluster

START = 0.2  # seconds between two looks for a job that is placed but not started yet
PATIENCE = 60.0
_PREAMBLE = re.compile(r"[-\d]+ [:,\d]+\tINFO job_manager\.py|Running entrypoint for job ")


async def follow(state: Path, job: str) -> AsyncIterator[str]:
    """The output of a job of this state folder's cluster, to its end. Raises Temporary when it does not start."""
    cluster = Cluster.attach(state)
    if cluster is None:
        raise Temporary("there is no running cluster")
    try:
        client = await asyncio.to_thread(JobSubmissionClient, cluster.dashboard)
    except ConnectionError as error:
        raise Temporary("Ray's job interface does not answer; is Ray being restarted?") from error
    name = f"elias-{job}"
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not await asyncio.to_thread(_known, client, name):
        if asyncio.get_running_loop().time() > deadline:
            raise Temporary(f"job {job} was not started within {PATIENCE:g} s")
        await asyncio.sleep(START)
    begun = False
    async for lines in client.tail_job_logs(name):
        own = lines if begun else without_preamble(lines)
        begun = begun or bool(own)
        if own:
            yield own


def without_preamble(text: str) -> str:
    """Without the lines that Ray puts before the output of a job."""
    lines = text.splitlines(keepends=True)
    while lines and _PREAMBLE.match(lines[0]):
        lines.pop(0)
    return "".join(lines)


def _known(client: JobSubmissionClient, name: str) -> bool:
    try:
        client.get_job_status(name)
    except RuntimeError:  # Ray's word for "no such job"
        return False
    return True
