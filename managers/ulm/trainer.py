"""Starts a training as a job of this installation, as `elias run` would, and waits for its end."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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
_STOPPED = "STOPPED"  # of a job in Ray: on order, and not by itself or by the system

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
        end = await self._end(order, job_of(order.decision, number))
        return await self._done(order, number + 1) if end.killed and number < TRIES else end.outcome

    async def _end(self, order: Order, job: str) -> "End":
        """Of a job, or of the run that follows where it was stopped."""
        runs, followed, until = Runs(job), "", 0
        cursor = await asyncio.to_thread(self._begun, order)
        while True:
            for record in await asyncio.to_thread(self._news, cursor):
                cursor = record.header.seq
                runs.fold(record)
            end = runs.end()
            if end is not None:
                return end
            if runs.current != followed:
                followed, until = runs.current, self._clock.now() + round((order.payload["seconds"] + WAITS) * SECOND)
            if self._clock.now() >= until:
                break
            await self._sleep(LOOK)
        said = f"{runs} did not end in time; the decisions about it on the page say what held it"
        return End(Outcome("failed", said, reward=0.0))

    def _news(self, after: int) -> list[Record]:
        kinds, points = [Kind.ANSWERED, Kind.EFFECT, Kind.OUTCOME], [_ADMISSION, _PLACEMENT]
        return list(self._store.read(after=after, kinds=kinds, points=points))


class End(NamedTuple):
    """Of a job. killed: by a signal, or gone with the cluster that it ran on; what fails by itself would fail again.
    stopped: on order."""

    outcome: Outcome
    killed: bool = False
    stopped: bool = False


class Runs:
    """A job, and what it is submitted again as where it was stopped to relieve its node; URM calls that `JOB-r2` and so
    on (docs/resources.md). Folds their records, whichever run they are of."""

    def __init__(self, job: str) -> None:
        self._job, self._number = job, 1
        self._placed: set[str] = set()  # the placements with an effect: of any other anybody may say what came of it
        self._ends: dict[str, End] = {}

    def __str__(self) -> str:
        return f"job {self._job}" + (f", stopped and to go on as {self.current}," if self._number > 1 else "")

    @property
    def current(self) -> str:
        """The run that nobody is known to have stopped."""
        return self._job if self._number == 1 else f"{self._job}-r{self._number}"

    def fold(self, record: Record) -> None:
        header = record.header
        if header.subject != self._job and not header.subject.startswith(f"{self._job}-r"):
            return
        end = None
        if header.point == _ADMISSION and header.kind == Kind.ANSWERED:
            end = _not_admitted(header.subject, decode(header.kind, record.body))
        elif header.point == _PLACEMENT and header.kind == Kind.EFFECT:
            self._placed.add(header.decision)
        elif header.point == _PLACEMENT and header.kind == Kind.OUTCOME and header.decision in self._placed:
            end = _ended(header.subject, decode(header.kind, record.body))
        if end is not None:
            self._ends.setdefault(header.subject, end)

    def end(self) -> End | None:
        """Of the current run; None: it goes on, or is still to be submitted."""
        while (found := self._ends.get(self.current)) is not None and found.stopped:
            self._number += 1
        return found


def _not_admitted(job: str, answered: Answered) -> End | None:
    if answered.action != "hold":
        return None
    return End(Outcome("failed", f"job {job} was not admitted: {answered.reason}", {"job": job}, 0.0))


def _ended(job: str, outcome: Outcome) -> End | None:
    """None: nobody knows, and it is placed anew."""
    if outcome.status not in _ENDS:
        return None
    how, code = outcome.detail.strip() or outcome.status, outcome.data.get("exit_code")
    said = Outcome(outcome.status, f"job {job}: {how}", {"job": job}, float(outcome.status == "done"))
    stopped = outcome.data.get("status") == _STOPPED
    killed = outcome.status == "failed" and not stopped and (code is None or code < 0 or code > 128)
    return End(said, killed, stopped)
