"""Starts a training as a job of this installation, as `elias run` would, and waits for its end."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from federation import privatefile
from federation.clock import SECOND, Clock
from federation.effects import Order
from federation.policy.evidence import Records
from federation.records import Answered, Asked, Event, Kind, Outcome, Record, decode
from federation.replies import Rejected, Reply
from federation.settings import Settings
from managers.ulm.training_points import CURRENT

EXECUTOR = "ulm.training"
FOLDER = "trainings"
LOOK = 5.0  # seconds between two looks at the ledger
WAITS = 86400.0  # seconds that a training may wait for room, or for a person to admit it

_ADMISSION, _PLACEMENT = "urm.admission", "ufm.placement"
_ENDS = ("done", "failed", "refused", "expired")

Submit = Callable[[Event], Awaitable[list[Reply] | Rejected]]


class Sleep(Protocol):
    async def __call__(self, seconds: float, /) -> None: ...


def payload(asked: Asked, options: Mapping[str, Any], version: str) -> dict[str, Any]:
    """What the job needs beside the base. version: of the policy in force; empty: the one of the settings."""
    facts = asked.facts
    return {
        "from": version,
        "method": facts.get("method") or "full",
        "objective": facts.get("objective") or "sft",
        "cpus": options["job_cpus"],
        "memory": options["job_memory"],
        "seconds": options["job_time"],
    }


def submission(order: Order, folder: Path) -> Event:
    """The job. folder: of this training; it holds the settings, and will hold all that comes of it."""
    given = order.payload
    base = order.args["base"]
    command = [
        *("timeout", "--kill-after=60", str(round(given["seconds"]))),
        *(sys.executable, "-m", "managers.uim.cli", "--config", str(folder / "elias.yaml"), "train", "again"),
        *("--objective", given["objective"], "--method", given["method"], "--base", base),
        *(["--policy", given["from"]] if base == CURRENT and given["from"] else []),
        *("--out", str(folder)),
    ]
    data = {
        "command": command,
        "cpus": given["cpus"],
        "memory": given["memory"],
        "gpus": cards(base, given["method"]),
        "restartable": True,
        "cwd": str(folder),
    }
    job = job_of(order.decision)
    return Event(job, f"elias/ulm/{getpass.getuser()}", "elias.job.submitted", job, None, data)


def cards(base: str, method: str) -> int:
    """GPUs that the presets of `elias train` are made for."""
    if base == CURRENT:
        return 0
    return 2 if method == "lora" or base == "codellama-34b" else 1


def job_of(decision: str) -> str:
    return f"training-{decision[:12]}"


class Train:
    """submit: gives an event to whoever admits jobs. sleep: of the clock."""

    def __init__(
        self, settings: Settings, store: Records, clock: Clock, submit: Submit, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._submit, self._sleep = submit, sleep

    async def do(self, order: Order) -> Outcome:
        folder = self._settings.state / FOLDER / order.decision
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = self._settings.model_dump_json(exclude_defaults=True, exclude_none=True)
        privatefile.write(folder / "elias.yaml", text.encode())
        said = await self._submit(submission(order, folder))
        if isinstance(said, Rejected):
            return Outcome("failed", f"the job was refused: {said.message}", reward=0.0)
        return await self._end(order)

    async def probe(self, order: Order) -> Outcome:
        """A job goes on while its manager is away."""
        if not await asyncio.to_thread(self._was_submitted, job_of(order.decision)):
            return Outcome("failed", "interrupted before it was submitted", reward=0.0)
        return await self._end(order)

    def _was_submitted(self, job: str) -> bool:
        known = self._store.read(kinds=[Kind.ASKED], points=[_ADMISSION])
        return any(record.header.subject == job for record in known)

    async def _end(self, order: Order) -> Outcome:
        until = self._clock.now() + round((order.payload["seconds"] + WAITS) * SECOND)
        job, cursor = job_of(order.decision), 0
        while self._clock.now() < until:
            for record in await asyncio.to_thread(self._news, cursor):
                cursor = record.header.seq
                ended = _ended(record) if record.header.subject == job else None
                if ended is not None:
                    return ended
            await self._sleep(LOOK)
        return Outcome("failed", f"job {job} did not end in time: `elias jobs` shows what holds it", reward=0.0)

    def _news(self, after: int) -> list[Record]:
        kinds, points = [Kind.ANSWERED, Kind.OUTCOME], [_ADMISSION, _PLACEMENT]
        return list(self._store.read(after=after, kinds=kinds, points=points))


def _ended(record: Record) -> Outcome | None:
    """What a record of the job says of its end; None: nothing, as where it is placed anew."""
    job = record.header.subject
    if record.header.kind == Kind.OUTCOME and record.header.point == _PLACEMENT:
        outcome: Outcome = decode(Kind.OUTCOME, record.body)
        if outcome.status in _ENDS:
            how = outcome.detail.strip() or outcome.status
            return Outcome(outcome.status, f"job {job}: {how}", {"job": job}, float(outcome.status == "done"))
    elif record.header.kind == Kind.ANSWERED and record.header.point == _ADMISSION:
        answered: Answered = decode(Kind.ANSWERED, record.body)
        if answered.action == "hold":
            return Outcome("failed", f"job {job} was not admitted: {answered.reason}", {"job": job}, 0.0)
    return None
