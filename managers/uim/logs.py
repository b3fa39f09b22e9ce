"""The output of a job, as the agent of its node reads it there."""

import asyncio
import codecs
import re
from collections.abc import AsyncIterator

from federation.errors import EliasError, Temporary
from managers.uim.api import cluster, jobs
from managers.uim.api.context import Context
from managers.uim.jobstates import ENDED

LOOK = 0.3  # seconds between two looks for more
PATIENCE = 60.0  # seconds for a job to be started
_RUNNING = "Running entrypoint for job "
_PREAMBLE = re.compile(rf"[-\d]+ [:,\d]+\tINFO job_manager\.py|{_RUNNING}")


async def follow(here: Context, job: str) -> AsyncIterator[str]:
    """The output of a job to its end, wherever it runs; from its beginning again where it is moved. Raises Temporary
    when it does not start."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    place, agent, offset, text = "", "", 0, Text()
    while True:
        now = await asyncio.to_thread(jobs.find, here, job)
        if now.placement is not None and now.node and now.placement.id != place:
            place, agent, offset, text = now.placement.id, "", 0, Text()
        agent = agent or (await _agent(here, now.node) if place else "")
        more, runs = b"", False
        if agent:
            try:
                more, runs = await here.link.call(agent, "ask", "output", "read", job, place, offset)
            except EliasError:
                agent = ""  # the next look may find another one
        offset += len(more)
        ended = not more and not runs and now.state in ENDED
        if (more or ended) and (lines := text.take(more)):
            yield lines
        if ended:
            return
        if not more:
            if not offset and asyncio.get_running_loop().time() > deadline:
                raise Temporary(f"job {job} was not started within {PATIENCE:g} s")
            await asyncio.sleep(LOOK)


async def _agent(here: Context, node: str) -> str:
    """Of a node; empty while it is not known."""
    try:
        reports = {one["name"]: one["report"] for one in await cluster.all_nodes(here)}
    except EliasError:
        return ""
    return str(reports.get(node, {}).get("actor", "")).removeprefix("elias.")


class Text:
    """Bytes as they come, made text: without the lines that Ray puts before the output of a job."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun, self._left = False, ""

    def take(self, more: bytes) -> str:
        """What can be shown now; `more` is empty where nothing follows."""
        text = self._left + self._decoder.decode(more, not more)
        while not self._begun:
            line, end, rest = text.partition("\n")
            if _PREAMBLE.match(line) and end:
                text = rest
            elif more and not end and _may_become_preamble(line):
                self._left = text
                return ""
            else:
                self._begun = True
        self._left = ""
        return text


def _may_become_preamble(line: str) -> bool:
    return line[:1].isdigit() or _RUNNING.startswith(line[: len(_RUNNING)])
