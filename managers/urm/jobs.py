"""The jobs that URM knows: which wait, which run where, which were stopped. All of it follows from the log."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from managers.job import JobRequest

QUEUE = 1000  # waiting jobs; one more is not taken
KEPT = 200  # stopped jobs that can be submitted again; the oldest is forgotten first

ASKED, WAITING, ADMITTED, PLACED, FORWARDED = "asked", "waiting", "admitted", "placed", "forwarded"


class Job(msgspec.Struct):
    """data: as submitted. order: of arrival. asks: how often it was asked. placement: the decision for
    `node`, or the one that gave it to a peer."""

    id: str
    data: dict[str, Any]
    request: JobRequest
    order: int
    status: str = ASKED
    asks: int = 0
    asked_at: int = 0
    node: str = ""
    gpus: list[int] = []
    placement: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        return -self.request.priority, self.order


class Stopped(msgspec.Struct):
    """A job that a decision stops, or has stopped: what is needed to submit it again. `to`: where migrate wants it."""

    job: str
    node: str
    data: dict[str, Any]
    request: JobRequest
    decision: str
    to: str = ""


class UrmState(msgspec.Struct):
    """What URM remembers.

    stopping: stops under way, by decision. stopped: by the id under which the job would be submitted again. cordoning:
    decisions on their way to keep new work away from a node (True) or not (False). cordoned: nodes that URM keeps free
    of new work; drained: those that UFM does.
    """

    jobs: dict[str, Job] = {}
    arrivals: int = 0
    stopping: dict[str, Stopped] = {}
    stopped: dict[str, Stopped] = {}
    cordoning: dict[str, bool] = {}
    cordoned: list[str] = []
    drained: list[str] = []


def waiting(jobs: Mapping[str, Job]) -> list[Job]:
    """Waiting jobs in the order in which they start: by priority, then by arrival."""
    return sorted((job for job in jobs.values() if job.status == WAITING), key=lambda job: job.rank)


def next_run(job: str) -> str:
    """The id under which a job is submitted again: `train`, `train-r2`, `train-r3`."""
    found = re.fullmatch(r"(.+)-r(\d+)", job)
    return f"{found[1]}-r{int(found[2]) + 1}" if found else f"{job}-r2"
