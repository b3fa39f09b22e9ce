"""Holds the slow worker: asks it, and ends it when its answer is no longer wanted."""

import asyncio
import sys
from collections.abc import Callable

from tiki.editor.slow import Answer, answer

LONGEST = 60.0
"""Seconds after which an answer is given up."""
_LARGEST = 2**26
"""Bytes of one answer."""


class Worker:
    """A process of `tiki.editor.slow`, started when it is first asked. One question at a time; a newer one ends it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def ask(self, question: bytes, then: Callable[[Answer], None]) -> None:
        """`then` hears the answer, unless something else is asked before, or the worker ends or takes too long."""
        if self._task is not None and not self._task.done():
            self.stop()
        self._task = asyncio.get_running_loop().create_task(self._ask(question, then))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = self._task = None

    async def _ask(self, question: bytes, then: Callable[[Answer], None]) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tiki.editor.slow", stdin=pipe, stdout=pipe, limit=_LARGEST
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(question + b"\n")
            await process.stdin.drain()
            line = await asyncio.wait_for(process.stdout.readline(), LONGEST)
        except (TimeoutError, ValueError, ConnectionError):
            line = b""
        if line:
            then(answer(line))
        else:
            if process.returncode is None:
                process.kill()
            self._process = None
