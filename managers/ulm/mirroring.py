"""Keeps MLflow in step with the record: `elias policy mirror`, whenever a policy came or a promotion was made.

In a process of its own and behind the record, so nothing waits for MLflow and nothing fails with it. What did not
work is tried again later, and said once.
"""

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Callable
from typing import NamedTuple

from federation import privatefile
from federation.settings import Settings
from managers.ulm.trials import TrialsState

LOOK = 5.0  # seconds between two looks at the record
AGAIN, REST = 10.0, 600.0  # seconds until it is tried again where it failed: at first, and at most
PATIENCE = 1800.0  # seconds that it may take: weights are copied


class Standing(NamedTuple):
    """What MLflow is to show. policies: versions. steps: of each point how many promotions were made there: back where
    it was is not the same, for a copy that was made in between shows what was then."""

    policies: frozenset[str]
    steps: frozenset[tuple[str, int]]


def standing(state: TrialsState) -> Standing:
    return Standing(frozenset(state.policies), frozenset((point, line.step) for point, line in state.lines.items()))


class Mirroring:
    """state: the one of now."""

    def __init__(self, settings: Settings, state: Callable[[], TrialsState], log: logging.Logger) -> None:
        self._settings, self._state, self._log = settings, state, log

    async def keep(self) -> None:
        """As long as it is not cancelled, where there is an MLflow to keep in step."""
        if not self._settings.mlflow.enabled or importlib.util.find_spec("mlflow") is None:
            return
        shown, rest = Standing(frozenset(), frozenset()), AGAIN
        while True:
            now = standing(self._state())
            if now == shown:
                await asyncio.sleep(LOOK)
                continue
            wrong = await self._mirror()
            if not wrong:
                shown, rest = now, AGAIN
                continue
            if rest == AGAIN:
                self._log.warning("MLflow is behind the record, which counts: `elias policy mirror` says %s", wrong)
            await asyncio.sleep(rest)
            rest = min(2 * rest, REST)

    async def _mirror(self) -> str:
        """What went wrong, in its own words; empty: nothing did."""
        path = self._settings.state / "ulm" / "mlflow.yaml"
        text = self._settings.model_dump_json(exclude_defaults=True, exclude_none=True)
        command = ["nice", "-n", "5", sys.executable, "-m", "managers.uim.cli", "--config", str(path)]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            await asyncio.to_thread(privatefile.write, path, text.encode())
            process = await asyncio.create_subprocess_exec(*command, "policy", "mirror", stdout=nothing, stderr=pipe)
        except OSError as error:
            return str(error)
        try:
            async with asyncio.timeout(PATIENCE):
                _, said = await process.communicate()
        except TimeoutError:
            return f"nothing for {PATIENCE:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return "" if process.returncode == 0 else " ".join(said.decode(errors="replace").split())[-500:]
