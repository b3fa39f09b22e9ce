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
_PREAMBLE = re.compile(r"[-\d]+ [:,\d]+\tINFO job_manager\.py")


async def follow(here: Context, job: str) -> AsyncIterator[str]:
    """The output of a job to its end, wherever it runs; from its beginning again where it is moved. Raises Temporary
    when it does not start."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    place, agent, offset, text = "", "", 0, Text(job)
    while True:
        now = await asyncio.to_thread(jobs.find, here, job)
        if now.placement is not None and now.node and now.placement.id != place:
            place, agent, offset, text = now.placement.id, "", 0, Text(job)
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
    """Bytes as they come, made text: without the lines of Ray about the job. One stands before the output; the other is
    written beside the start of the job, and so may come in the midst of what that prints first.
    """

    def __init__(self, job: str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._left = ""
        self._preamble = True
        self._running = f"Running entrypoint for job elias-{job}-"

    def take(self, more: bytes) -> str:
        """What can be shown now; `more` is empty where nothing follows."""
        text = self._left + self._decoder.decode(more, not more)
        self._left = ""
        while self._preamble:
            line, end, rest = text.partition("\n")
            if end and _PREAMBLE.match(line):
                text = rest
            elif more and not end and line[:1].isdigit():
                self._left = text
                return ""
            else:
                self._preamble = False
        if self._running:
            text = self._without_running(text, last=not more)
        return text

    def _without_running(self, text: str, *, last: bool) -> str:
        begin = text.find(self._running)
        if begin < 0:
            begin = len(text) if last else _begins(self._running, text)
            self._left = text[begin:]
            return text[:begin]
        line, end, rest = text[begin:].partition("\n")
        if not (end or last):
            self._left = line
            return text[:begin]
        self._running = ""
        return text[:begin] + rest


def _begins(word: str, text: str) -> int:
    """Where a beginning of the word stands at the end of the text; the end itself where none does."""
    return next((at for at in range(max(0, len(text) - len(word)), len(text)) if word.startswith(text[at:])), len(text))
