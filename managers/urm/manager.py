"""The resource manager: which jobs may start, and what is done about nodes under pressure and package requests."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Follow, Manager
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Effect, Entry, Event, Kind, Outcome
from federation.settings import Settings
from managers.job import JobRequest, parse, recorded
from managers.urm import packages, pressure
from managers.urm.capacity import Capacity, Node, Room
from managers.urm.jobs import (
    ADMITTED,
    ASKED,
    FORWARDED,
    KEPT,
    PLACED,
    QUEUE,
    WAITING,
    Job,
    Stopped,
    UrmState,
    next_run,
    waiting,
)
from managers.urm.points import ADMISSION, PACKAGE, POINTS, PRESSURE, SAMPLE_AGE
from managers.urm.pressure import Places, Refuges

PLACEMENT = "ufm.placement"
FORWARD = "ufm.forward"
NODE_HEALTH = "ufm.node_health"
SUBMITTED = ADMISSION.events[0]
SAMPLE = PRESSURE.events[0]
SOURCE = "elias/urm"

RETRY = 30.0  # seconds between two questions about the first waiting job when nothing is known to have changed
SHOWN = 100  # jobs that a view lists

_HOLD = Candidate("hold")
_NO_ROOM = Room(0, 0, 0.0, 0.0, 0.0, 0.0, ())


class Urm(Manager):
    name = "urm"
    points = POINTS
    follows: ClassVar[tuple[Follow, ...]] = (
        Follow(Kind.ANSWERED, PLACEMENT),
        Follow(Kind.OUTCOME, PLACEMENT),
        Follow(Kind.EFFECT, FORWARD),
        Follow(Kind.OUTCOME, FORWARD),
        Follow(Kind.OUTCOME, NODE_HEALTH),
    )
    State = UrmState
    state: UrmState

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.capacity = Capacity()
        self._running: dict[str, dict[str, Job]] = {}  # by node and id; follows from the state
        self._places: Places | None = None
        self._started: int | None = None
        self._waiting: int | None = None  # jobs, at the last look at the queue
        self._now = 0
        self._folds: Mapping[tuple[str, str], Callable[[Entry, Any], None]] = {
            (Kind.ASKED, ADMISSION.name): self._fold_submitted,
            (Kind.ANSWERED, ADMISSION.name): self._fold_admission,
            (Kind.ANSWERED, PLACEMENT): self._fold_placement,
            (Kind.OUTCOME, PLACEMENT): self._fold_ended,
            (Kind.EFFECT, FORWARD): self._fold_forward,
            (Kind.OUTCOME, FORWARD): self._fold_forwarded,
            (Kind.OUTCOME, NODE_HEALTH): self._fold_node_health,
            (Kind.ANSWERED, PRESSURE.name): self._fold_relief,
            (Kind.OUTCOME, PRESSURE.name): self._fold_relieved,
        }
        self._reactions: Mapping[tuple[str, str], Callable[[Entry, Any], Iterable[Event]]] = {
            (Kind.OUTCOME, PLACEMENT): self._next_in_queue,
            (Kind.OUTCOME, FORWARD): self._came_back,
            (Kind.ANSWERED, ADMISSION.name): self._next_in_queue,
            (Kind.OUTCOME, PRESSURE.name): self._migrated,
            (Kind.ANSWERED, PRESSURE.name): self._resubmitted,
        }

    def load(self, state: UrmState) -> None:
        self.state = state
        self.capacity, self._places = Capacity(), None
        self._running = {}
        for name in (*state.cordoned, *state.drained):
            self.capacity.close(name, True)
        for job in state.jobs.values():
            if job.status == PLACED:
                self._runs(job)

    # -- telemetry and time ------------------------------------------------------------------------------------------

    def observe(self, report: Mapping[str, Any], now: int) -> Iterator[Event]:
        self._pass(now)
        node = self.capacity.report(report, now)
        yield Event(f"{node.name} {now}", SOURCE, SAMPLE, node.name)

    def due(self, now: int) -> Iterator[Event]:
        self._pass(now)
        self.capacity.forget(now)
        self._waiting = len(waiting(self.state.jobs))
        queue = self._queue()
        if queue and now - queue[0].asked_at >= round(RETRY * SECOND):
            yield from self._ask_again(queue[0])

    def _pass(self, now: int) -> None:
        self._now = now
        if self._started is None:
            self._started = now

    @property
    def _settled(self) -> bool:
        """Every node that is there has had time to report since this process started."""
        return self._started is not None and self._now - self._started >= round(SAMPLE_AGE * SECOND)

    def _ask_again(self, job: Job) -> Iterator[Event]:
        """Ask about a waiting job if it could start now, or if nobody could ever start it."""
        startable = next(self.capacity.with_room(job.request, self._now), None) is not None
        if startable or (self._settled and not self._fits_ever(job.request)):
            yield Event(f"{job.id} again {job.asks}", SOURCE, SUBMITTED, job.id, None, job.data)

    # -- facts and candidates ----------------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        self._pass(now)
        if point is PACKAGE:
            return packages.facts(event)
        return self._admission(event, now) if point is ADMISSION else self._pressure(event, now)

    def _pressure(self, event: Event, now: int) -> dict[str, Any]:
        if not event.subject:
            cure = "set `subject` to the node's name"
            raise Refused("no-subject", "a sample is of a node", place=f"event {event.id}", cure=cure)
        node = self.capacity.nodes.get(event.subject)
        reported = {**node.figures, **node.trend()} if node is not None and node.fresh(now) else {}
        queued = {} if self._waiting is None else {"waiting": self._waiting}
        return {
            **reported,
            **queued,
            **event.data,
            "jobs": len(self._running.get(event.subject, ())),
            "stopped": len(self._stopped_on(event.subject)),
            "cordoned": event.subject in self.state.cordoned,
        }

    def _admission(self, event: Event, now: int) -> dict[str, Any]:
        request = parse(event)
        known = self.state.jobs.get(event.subject)
        if known is not None and known.status != ASKED and event.source != SOURCE:
            cure = "give the new job another id"
            raise Refused(
                "job-exists", f"job `{event.subject}` is {known.status}", place=f"event {event.id}", cure=cure
            )
        nodes = self.capacity.usable(now)
        room = [node for node in nodes if node.fits(request)]
        queue = [job for job in self.state.jobs.values() if job.status == WAITING and job.id != event.subject]
        rank = known.rank if known is not None else (-request.priority, self.state.arrivals)
        return {
            "memory": request.memory,
            "cpus": request.cpus,
            "gpus": request.gpu,
            "priority": request.priority,
            "nodes": len(nodes),
            "settled": self._settled,
            "fits_now": bool(room),
            "fits_ever": self._fits_ever(request) or self._may_go(event.data),
            **_free([node.room for node in nodes]),
            "pressure": min((node.figures["memory"] or 0.0 for node in room), default=None),
            "queue_depth": len(queue),
            "ahead": sum(job.rank < rank and not self._only_elsewhere(job) for job in queue),
        }

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is ADMISSION:
            return [
                Candidate("admit", forbidden=None if facts["fits_now"] else "room"),
                Candidate("wait", forbidden=None if facts["queue_depth"] < QUEUE else "queue"),
                Candidate("hold"),
            ]
        if point is PACKAGE:
            return packages.proposals(packages.parse(event))
        node, cordoned = event.subject, event.subject in self.state.cordoned
        here = self._running.get(node)
        ending = {stop.job for stop in self.state.stopping.values()} if here else ()
        staying = [job for job in here.values() if job.id not in ending] if here else ()
        return [
            *pressure.relief(node, staying, self._refuges(), cordoned=cordoned),
            *pressure.undoing(node, self._stopped_on(node), cordoned=cordoned),
            _HOLD,
        ]

    def _refuges(self) -> Refuges:
        """Anew where the specs have changed, else brought up to date by the nodes that have."""
        options, usable = self.options[PRESSURE.name], self.capacity.usable(self._now)
        changed = self.capacity.changed()
        if self._places is None or self._places.options is not options:
            self._places, changed = Places(options), usable
        for node in changed:
            if self.capacity.takes_work(node):
                self._places.put(node)
            else:
                self._places.drop(node)
        return self._places.refuges()

    def _fits_ever(self, request: JobRequest) -> bool:
        return any(node.fits_ever(request) for node in self.capacity.usable(self._now))

    def _queue(self) -> list[Job]:
        """Waiting jobs in the order in which they start here."""
        return [job for job in waiting(self.state.jobs) if not self._only_elsewhere(job)]

    def _may_go(self, data: Mapping[str, Any]) -> bool:
        """Whether UFM may give the job to another cluster."""
        return bool(self.settings.peers.known and data.get("anywhere"))

    def _only_elsewhere(self, job: Job) -> bool:
        """Whether it waits for a peer's room alone: nobody here has to wait for it."""
        return self._may_go(job.data) and not self._fits_ever(job.request)

    def _stopped_on(self, node: str) -> list[Stopped]:
        stopped = self.state.stopped
        return [stop for stop in stopped.values() if stop.node == node and not stop.to] if stopped else []

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        fold = self._folds.get((entry.kind, entry.point))
        if fold is not None:
            fold(entry, body)

    def _fold_submitted(self, entry: Entry, asked: Asked) -> None:
        state, data = self.state, asked.event.data
        job = state.jobs.get(entry.subject)
        if job is None:
            job = state.jobs[entry.subject] = Job(entry.subject, data, recorded(data), state.arrivals)
            state.arrivals += 1
        job.status = ASKED
        job.asks += 1
        job.asked_at = asked.at
        state.stopped.pop(entry.subject, None)

    def _fold_admission(self, entry: Entry, answered: Answered) -> None:
        job = self.state.jobs.get(entry.subject)
        if job is None:
            return
        if answered.action == "admit":
            job.status = ADMITTED
            self.capacity.expect(job.id, job.request, self._now)
        elif answered.action == "wait":
            job.status = WAITING
        else:
            self._drop(job.id)

    def _fold_placement(self, entry: Entry, answered: Answered) -> None:
        job = self.state.jobs.get(entry.subject)
        if job is None or answered.action != "place":
            return
        if answered.mode == "observe":
            self._drop(job.id)
            return
        self._runs_no_more(job)
        job.status, job.placement = PLACED, entry.decision
        job.node = str(answered.args["node"])
        job.gpus = [int(gpu) for gpu in answered.args.get("gpus", ()) if str(gpu).isdigit()]
        self._runs(job)

    def _fold_ended(self, entry: Entry, _: Outcome) -> None:
        job = self.state.jobs.get(entry.subject)
        if job is not None and job.placement == entry.decision:
            self._drop(job.id)

    def _fold_forward(self, entry: Entry, effect: Effect) -> None:
        job = self.state.jobs.get(entry.subject)
        if job is not None and effect.settled:
            self.capacity.release(job.id)
            job.status, job.placement = FORWARDED, entry.decision

    def _fold_forwarded(self, entry: Entry, outcome: Outcome) -> None:
        job = self.state.jobs.get(entry.subject)
        if job is None or job.status != FORWARDED or job.placement != entry.decision:
            return
        if outcome.undone:
            job.status = WAITING
        else:
            self._drop(job.id)

    def _fold_node_health(self, entry: Entry, outcome: Outcome) -> None:
        if outcome.status == "done" and "cordoned" in outcome.data:
            self._close(self.state.drained, entry.subject, outcome.data["cordoned"])

    def _fold_relief(self, entry: Entry, answered: Answered) -> None:
        if answered.mode not in ("approve", "act"):
            return
        if answered.action in ("scale_out", "scale_in"):
            self.state.cordoning[entry.decision] = answered.action == "scale_out"
        job = self.state.jobs.get(str(answered.args.get("job", "")))
        if job is not None:
            to = str(answered.args.get("to", ""))
            self.state.stopping[entry.decision] = Stopped(job.id, job.node, job.data, job.request, entry.decision, to)

    def _fold_relieved(self, entry: Entry, outcome: Outcome) -> None:
        state = self.state
        stop, cordon = state.stopping.pop(entry.decision, None), state.cordoning.pop(entry.decision, None)
        if outcome.status != "done":
            return
        if stop is not None:
            state.stopped[next_run(stop.job)] = stop
            if len(state.stopped) > KEPT:
                del state.stopped[next(iter(state.stopped))]
        if cordon is not None:
            self._close(state.cordoned, entry.subject, cordon)

    def _close(self, closed: list[str], node: str, on: bool) -> None:
        if on and node not in closed:
            closed.append(node)
        elif not on and node in closed:
            closed.remove(node)
        self.capacity.close(node, node in self.state.cordoned or node in self.state.drained)

    def _drop(self, job: str) -> None:
        self._runs_no_more(self.state.jobs.pop(job))
        self.capacity.release(job)

    def _runs(self, job: Job) -> None:
        self._running.setdefault(job.node, {})[job.id] = job
        self.capacity.reserve(job.id, job.request, job.node, _shares(job))

    def _runs_no_more(self, job: Job) -> None:
        here = self._running.get(job.node)
        if here is not None and here.pop(job.id, None) is not None and not here:
            del self._running[job.node]

    # -- what a record raises ----------------------------------------------------------------------------------------

    def react(self, entry: Entry, body: Any) -> Iterable[Event]:
        reaction = self._reactions.get((entry.kind, entry.point))
        return () if reaction is None else reaction(entry, body)

    def _next_in_queue(self, entry: Entry, _: Any) -> Iterable[Event]:
        queue = self._queue()
        return self._ask_again(queue[0]) if queue and queue[0].id != entry.subject else ()

    def _came_back(self, entry: Entry, outcome: Outcome) -> Iterator[Event]:
        job = self.state.jobs.get(entry.subject)
        if job is not None and outcome.undone and job.status == WAITING and job.placement == entry.decision:
            yield Event(f"{job.id} again {job.asks}", SOURCE, SUBMITTED, job.id, None, job.data)

    def _migrated(self, entry: Entry, _: Outcome) -> Iterator[Event]:
        for name, stop in self.state.stopped.items():
            if stop.decision == entry.decision and stop.to:
                data = {**stop.data, "node": stop.to}
                yield Event(f"again {entry.decision}", SOURCE, SUBMITTED, name, None, data)

    def _resubmitted(self, entry: Entry, answered: Answered) -> Iterable[Event]:
        if answered.action != "resubmit" or "job" not in answered.args:
            return ()
        name = next_run(str(answered.args["job"]))
        if name not in self.state.stopped:
            return ()
        return [Event(f"again {entry.decision}", SOURCE, SUBMITTED, name, None, self.state.stopped[name].data)]

    # -- what people see ---------------------------------------------------------------------------------------------

    def view(self, now: int) -> dict[str, Any]:
        """queue: waiting jobs in order. running: admitted and placed ones. Sizes in bytes, times in ns."""
        jobs = self.state.jobs.values()
        queue = waiting(self.state.jobs)
        running = [job for job in jobs if job.status in (ADMITTED, PLACED)]
        return {
            "waiting": len(queue),
            "queue": [_shown(job) for job in queue[:SHOWN]],
            "running": [_shown(job) for job in sorted(running, key=lambda job: job.rank)[:SHOWN]],
            "asked": [_shown(job) for job in jobs if job.status == ASKED][:SHOWN],
            "stopped": [
                {"id": stop.job, "node": stop.node, "again": name} for name, stop in self.state.stopped.items()
            ],
            "cordoned": list(self.state.cordoned),
            "nodes": {node.name: _room(node) for node in self.capacity.usable(now)},
        }


def _shares(job: Job) -> dict[int, float] | None:
    """GPU index -> share; None where placement did not say which."""
    return dict.fromkeys(job.gpus, job.request.gpu_share or 1.0) if job.gpus else None


def _free(rooms: Sequence[Room]) -> dict[str, Any]:
    """Of the node that has most of each, and of all together."""
    largest = {
        name: max(map(attrgetter(name), rooms or [_NO_ROOM]))
        for name in ("memory_free", "memory_total", "cpus_free", "cpus_total", "gpus_free", "gpus_total")
    }
    together = {
        f"fleet_{name}": sum(map(attrgetter(name), rooms)) for name in ("memory_free", "cpus_free", "gpus_free")
    }
    return {**largest, **together}


def _shown(job: Job) -> dict[str, Any]:
    request = job.request
    return {
        "id": job.id,
        "status": job.status,
        "node": job.node,
        "priority": request.priority,
        "cpus": request.cpus,
        "memory": request.memory,
        "gpus": request.gpu,
        "asked_at": job.asked_at,
    }


def _room(node: Node) -> dict[str, Any]:
    return {"memory_free": node.memory_free, "cpus_free": node.cpus_free, "gpus_free": node.gpus_free}
