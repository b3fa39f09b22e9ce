"""What can be done about a node under pressure: pure functions from jobs and capacity to candidates."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from federation.records import Candidate
from managers.urm.capacity import Node
from managers.urm.jobs import Job, Stopped, running_on
from managers.urm.points import VICTIMS
from managers.urm.requests import JobRequest

MOVABLE = 4  # jobs proposed for migration, and as many to be submitted again
_KEEPS_ROOM = {"memory": "memory_threshold", "cpu": "cpu_threshold", "gpu": "gpu_threshold"}

_VICTIM: Mapping[str, Callable[[Sequence[Job]], Job]] = {
    "lowest_priority": lambda jobs: jobs[0],
    "newest": lambda jobs: max(jobs, key=lambda job: job.order),
    "largest": lambda jobs: max(jobs, key=lambda job: (job.request.memory, job.request.gpu, job.order)),
}


def relief(
    node: str, jobs: Mapping[str, Job], others: Sequence[Node], options: Mapping[str, Any], *, cordoned: bool
) -> list[Candidate]:
    """What takes load off a node, at most 9 and only what is possible now.

    others: the nodes that take new work, by name. options: the spec's settings, thresholds in percent.
    """
    here = running_on(jobs, node)
    return [
        *_shedding(node, here),
        *([] if cordoned else _scaling(node, others, options)),
        *_moving(node, here, others),
    ]


def undoing(node: str, stopped: Sequence[Stopped], *, cordoned: bool) -> list[Candidate]:
    """What takes back what was done before, at most 5: the stopped jobs by priority, and the cordon."""
    by_rank = sorted(stopped, key=lambda stop: (-stop.request.priority, stop.job))[:MOVABLE]
    again = [Candidate("resubmit", {"job": stop.job, "node": node}, _of_job(stop.request)) for stop in by_rank]
    return [*again, Candidate("scale_in", {"node": node})] if cordoned else again


def _shedding(node: str, here: Sequence[Job]) -> list[Candidate]:
    if not here:
        return []
    chosen = [(which, _VICTIM[which](here)) for which in VICTIMS]
    return [
        Candidate("shed_load", {"which": which, "job": job.id, "node": node}, _of_job(job.request))
        for which, job in chosen
    ]


def _scaling(node: str, others: Sequence[Node], options: Mapping[str, Any]) -> list[Candidate]:
    calm = [other for other in others if not _pressed(other, options)]
    if not calm:
        return []
    first, least = calm[0], min(calm, key=lambda n: (n.load, n.name))
    attributes = {to.name: _of_target(to) for to in (first, least)}
    return [
        Candidate("scale_out", {"target": target, "to": to.name, "node": node}, attributes[to.name])
        for target, to in (("next_available_node", first), ("least_loaded_node", least))
    ]


def _pressed(node: Node, options: Mapping[str, Any]) -> bool:
    return any(
        value is not None and value > options[setting]
        for figure, setting in _KEEPS_ROOM.items()
        for value in (node.figures.get(figure),)
    )


def _moving(node: str, here: Sequence[Job], others: Sequence[Node]) -> list[Candidate]:
    """Each restartable job with the least loaded node that has room for it; where none has, the candidate says so."""
    if not others:
        return []
    moves = []
    for job in [job for job in here if job.request.restartable][:MOVABLE]:
        to = min(others, key=lambda other: (not other.fits(job.request), other.load, other.name))
        moves.append(
            Candidate(
                "migrate",
                {"job": job.id, "node": node, "to": to.name},
                {**_of_job(job.request), **_of_target(to)},
                None if to.fits(job.request) else "room",
            )
        )
    return moves


def _of_job(request: JobRequest) -> dict[str, Any]:
    return {
        "job.gpu": request.gpu,
        "job.cpu": request.cpus,
        "job.memory": request.memory,
        "job.priority": request.priority,
    }


def _of_target(node: Node) -> dict[str, Any]:
    return {
        "target.gpu_free": node.gpus_free,
        "target.cpu_free": node.cpus_free,
        "target.memory_free": node.memory_free,
    }
