"""Starts a training as a job of this installation, as `elias run` would, and waits for its end."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
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
TRIES = 5
"""Jobs of a training at most. One that was killed goes on as the next, for all that was done lies in its folder."""

_ADMISSION, _PLACEMENT = "urm.admission", "ufm.placement"
_ENDS = ("done", "failed", "refused", "expired")

Submit = Callable[[Event], Awaitable[list[Reply] | Rejected]]


class Sleep(Protocol):
    async def __call__(self, seconds: float, /) -> None: ...


def payload(asked: Asked, options: Mapping[str, Any], version: str, changed: Mapping[str, int]) -> dict[str, Any]:
    """What the job needs beside the base. version: of the policy in force; empty: the one of the settings. changed: by
    point, the ledger time (ns) since when its world is another."""
    facts = asked.facts
    return {
        "from": version,
        "method": facts.get("method") or "full",
        "objective": facts.get("objective") or "sft",
        "cpus": options["job_cpus"],
        "memory": options["job_memory"],
        "seconds": options["job_time"],
        "changed": dict(changed),
    }


def submission(order: Order, folder: Path, number: int = 1) -> Event:
    """The job. folder: of this training; it holds the settings, and will hold all that comes of it. number: see
    `job_of`."""
    given = order.payload
    base = order.args["base"]
    command = [
        *("timeout", "--kill-after=60", str(round(given["seconds"]))),
        *(sys.executable, "-m", "managers.uim.cli", "--config", str(folder / "elias.yaml"), "train", "again"),
        *("--objective", given["objective"], "--method", given["method"], "--base", base),
        *(["--policy", given["from"]] if base == CURRENT and given["from"] else []),
        *(word for point, at in given.get("changed", {}).items() for word in ("--changed", f"{point}={_written(at)}")),
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
    job = job_of(order.decision, number)
    return Event(job, f"elias/ulm/{getpass.getuser()}", "elias.job.submitted", job, None, data)


def _written(at: int) -> str:
    """Ledger time (ns) in whole seconds, as commands read it."""
    return datetime.fromtimestamp(at // SECOND, UTC).isoformat()


def cards(base: str, method: str) -> int:
    """GPUs that the presets of `elias train` are made for."""
    if base == CURRENT:
        return 0
    return 2 if method == "lora" or base == "codellama-34b" else 1


def job_of(decision: str, number: int = 1) -> str:
    """number: from 1; the second goes on where the first was killed."""
    return f"training-{decision[:12]}" + (f"-{number}" if number > 1 else "")


class Train:
    """submit: gives an event to whoever admits jobs. sleep: of the clock."""

    def __init__(
        self, settings: Settings, store: Records, clock: Clock, submit: Submit, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._submit, self._sleep = submit, sleep

    async def do(self, order: Order) -> Outcome:
        folder = self._folder(order)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = self._settings.model_dump_json(exclude_defaults=True, exclude_none=True)
        privatefile.write(folder / "elias.yaml", text.encode())
        return await self._done(order, 1)

    async def probe(self, order: Order) -> Outcome:
        """A job goes on while its manager is away."""
        submitted = await asyncio.to_thread(self._submitted, order)
        if not submitted:
            return Outcome("failed", "interrupted before it was submitted", reward=0.0)
        return await self._done(order, submitted)

    def _folder(self, order: Order) -> Path:
        return self._settings.state / FOLDER / order.decision

    def _begun(self, order: Order) -> int:
        """The record before which no job of this training is."""
        return next((record.header.seq for record in self._store.decision(order.decision)), 0)

    def _submitted(self, order: Order) -> int:
        """Jobs of this training so far."""
        known = self._store.read(after=self._begun(order), kinds=[Kind.ASKED], points=[_ADMISSION])
        subjects = {record.header.subject for record in known}
        return sum(job_of(order.decision, number) in subjects for number in range(1, TRIES + 1))

    async def _done(self, order: Order, number: int) -> Outcome:
        """Its end, from this job on. One that is known already is not submitted again."""
        said = await self._submit(submission(order, self._folder(order), number))
        if isinstance(said, Rejected):
            return Outcome("failed", f"the job was refused: {said.message}", reward=0.0)
        outcome, killed = await self._end(order, job_of(order.decision, number))
        return await self._done(order, number + 1) if killed and number < TRIES else outcome

    async def _end(self, order: Order, job: str) -> tuple[Outcome, bool]:
        """What comes of a job, and whether somebody else ended it."""
        until = self._clock.now() + round((order.payload["seconds"] + WAITS) * SECOND)
        cursor = await asyncio.to_thread(self._begun, order)
        while self._clock.now() < until:
            for record in await asyncio.to_thread(self._news, cursor):
                cursor = record.header.seq
                ended = _ended(record) if record.header.subject == job else None
                if ended is not None:
                    return ended
            await self._sleep(LOOK)
        said = f"job {job} did not end in time; the decisions about it on the page say what held it"
        return Outcome("failed", said, reward=0.0), False

    def _news(self, after: int) -> list[Record]:
        kinds, points = [Kind.ANSWERED, Kind.OUTCOME], [_ADMISSION, _PLACEMENT]
        return list(self._store.read(after=after, kinds=kinds, points=points))


def _ended(record: Record) -> tuple[Outcome, bool] | None:
    """What a record of the job says of its end, and whether somebody else ended it; None: nothing, as where it is
    placed anew."""
    job = record.header.subject
    if record.header.kind == Kind.OUTCOME and record.header.point == _PLACEMENT:
        outcome: Outcome = decode(Kind.OUTCOME, record.body)
        if outcome.status in _ENDS:
            how = outcome.detail.strip() or outcome.status
            ended = Outcome(outcome.status, f"job {job}: {how}", {"job": job}, float(outcome.status == "done"))
            return ended, _killed(outcome)
    elif record.header.kind == Kind.ANSWERED and record.header.point == _ADMISSION:
        answered: Answered = decode(Kind.ANSWERED, record.body)
        if answered.action == "hold":
            return Outcome("failed", f"job {job} was not admitted: {answered.reason}", {"job": job}, 0.0), False
    return None


def _killed(outcome: Outcome) -> bool:
    """By a signal, or gone with the cluster that it ran on. What fails by itself would fail again."""
    code = outcome.data.get("exit_code")
    return outcome.status == "failed" and (code is None or code < 0 or code > 128)
