"""What can be done about a node under pressure: from jobs and capacity to candidates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from federation.records import Candidate
from managers.job import JobRequest
from managers.urm.capacity import Node
from managers.urm.jobs import Job, Stopped
from managers.urm.points import VICTIMS
from managers.urm.ranking import Ranking

MOVABLE = 4  # jobs proposed for migration, and as many to be submitted again
_KEEPS_ROOM = {"memory": "memory_threshold", "cpu": "cpu_threshold", "gpu": "gpu_threshold"}

_VICTIM: Mapping[str, Callable[[Sequence[Job]], Job]] = {
    "lowest_priority": lambda jobs: jobs[0],
    "newest": lambda jobs: max(jobs, key=lambda job: job.order),
    "largest": lambda jobs: max(jobs, key=lambda job: (job.request.memory, job.request.gpu, job.order)),
}


class Refuge(NamedTuple):
    """A node that may take load, with the attributes of a candidate that moves it there."""

    name: str
    attributes: dict[str, Any]


class Refuges(NamedTuple):
    """Where load may go. nodes: all of them, the least loaded first. first, least_loaded: of those that are not under
    pressure themselves the best two by name and by load: a node is no refuge for itself."""

    nodes: Iterable[Node]
    first: tuple[Refuge, ...]
    least_loaded: tuple[Refuge, ...]


class Places:
    """Ranks the nodes that take new work: what is asked after one of them has changed costs no look at the others.

    options: the spec's settings, thresholds in percent.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self._all: Ranking[Node] = Ranking()
        self._calm: Ranking[Node] = Ranking()  # by name
        self._least: Ranking[Node] = Ranking()  # of those, by load

    def put(self, node: Node) -> None:
        self._all.put(node.name, node, node.load)
        if _pressed(node, self.options):
            self._calm.drop(node.name)
            self._least.drop(node.name)
        else:
            self._calm.put(node.name, node)
            self._least.put(node.name, node, node.load)

    def drop(self, node: Node) -> None:
        for ranking in (self._all, self._calm, self._least):
            ranking.drop(node.name)

    def refuges(self) -> Refuges:
        return Refuges(self._all, _best(self._calm), _best(self._least))


def refuges(nodes: Iterable[Node], options: Mapping[str, Any]) -> Refuges:
    """nodes: those that take new work."""
    places = Places(options)
    for node in nodes:
        places.put(node)
    return places.refuges()


def _best(ranking: Ranking[Node]) -> tuple[Refuge, ...]:
    return tuple(map(_refuge, islice(ranking, 2)))


def _refuge(node: Node) -> Refuge:
    return Refuge(node.name, _of_target(node))


def relief(node: str, jobs: Iterable[Job], places: Refuges, *, cordoned: bool) -> list[Candidate]:
    """What takes load off a node, at most 9 and only what is possible now. jobs: those that run there."""
    scaling = [] if cordoned or not places.first else _scaling(node, places)
    here = sorted(jobs, key=lambda job: job.rank, reverse=True)
    return [*_shedding(node, here), *scaling, *_moving(node, here, places.nodes)] if here else scaling


def undoing(node: str, stopped: Sequence[Stopped], *, cordoned: bool) -> list[Candidate]:
    """What takes back what was done before, at most 5: the stopped jobs by priority, and the cordon."""
    by_rank = sorted(stopped, key=lambda stop: (-stop.request.priority, stop.job))[:MOVABLE]
    again = [Candidate("resubmit", {"job": stop.job, "node": node}, _of_job(stop.request)) for stop in by_rank]
    return [*again, Candidate("scale_in", {"node": node})] if cordoned else again


def _shedding(node: str, here: Sequence[Job]) -> list[Candidate]:
    chosen = [(which, _VICTIM[which](here)) for which in VICTIMS]
    return [
        Candidate("shed_load", {"which": which, "job": job.id, "node": node}, _of_job(job.request))
        for which, job in chosen
    ]


def _scaling(node: str, places: Refuges) -> list[Candidate]:
    """Any two refuges hold one that is another node, or there is none."""
    chosen = (("next_available_node", places.first), ("least_loaded_node", places.least_loaded))
    return [
        Candidate("scale_out", {"target": target, "to": to.name, "node": node}, to.attributes)
        for target, ranked in chosen
        for to in [refuge for refuge in ranked if refuge.name != node][:1]
    ]


def _pressed(node: Node, options: Mapping[str, Any]) -> bool:
    return any(
        value is not None and value > options[setting]
        for figure, setting in _KEEPS_ROOM.items()
        for value in (node.figures.get(figure),)
    )


def _moving(node: str, here: Sequence[Job], nodes: Iterable[Node]) -> list[Candidate]:
    """Each restartable job with the least loaded node that has room for it; where none has, the candidate says so."""
    least = next((other for other in nodes if other.name != node), None)
    if least is None:
        return []
    moves = []
    for job in [job for job in here if job.request.restartable][:MOVABLE]:
        to = next((other for other in nodes if other.name != node and other.fits(job.request)), least)
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
