"""What the log says of nodes and jobs, folded: which nodes there are, which of them take work, and where jobs stand."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from federation.records import Asked, Entry, Event, Kind, Outcome
from managers.job import recorded
from managers.ufm.alerts import AlertsState
from managers.ufm.asked import request_of
from managers.ufm.peers.point import FORWARD
from managers.ufm.peers.state import PeersState
from managers.ufm.placement import Demand, Fleet, Node, Request, Typical
from managers.ufm.placement.fleet import FleetState
from managers.ufm.points import NODE_HEALTH, PLACEMENT

ADMISSION = "urm.admission"
PRESSURE = "urm.resource_pressure"
WAITING = 10_000  # jobs that wait for room; the next one is told to come again later
JOINED, LEAVING, LEFT = "elias.node.joined", "elias.node.leaving", "elias.node.left"


class Job(msgspec.Struct, frozen=True, gc=False):
    """A job as it was submitted. data: command, resources, priority. placement: the decision by which it runs. held:
    it has its room, and somebody is still to let it begin. lost: it was started, and whoever ran it cannot tell what
    became of it."""

    id: str
    data: dict[str, Any]
    attempt: int = 0
    placement: str = ""
    held: bool = False
    lost: bool = False

    @property
    def request(self) -> Request:
        return request_of(recorded(self.data))


class UfmState(msgspec.Struct):
    fleet: FleetState = FleetState()
    drained: dict[str, bool] = {}
    leaving: dict[str, bool] = {}  # nodes that somebody takes out of the cluster: they end what they have
    silent: dict[str, bool] = {}  # whether a node missed its last check when it was last decided about
    displaced: dict[str, list[Job]] = {}  # by the decision that ended their stay: jobs to be placed again
    admitted: dict[str, Job] = {}
    waiting: dict[str, Job] = {}
    running: dict[str, Job] = {}
    demand: Demand = msgspec.field(default_factory=Demand)
    alerts: AlertsState = msgspec.field(default_factory=AlertsState)
    peers: PeersState = msgspec.field(default_factory=PeersState)


class Folding:
    """learn: takes the typical requests when other ones have become so; None: they are known beforehand."""

    def __init__(self, state: UfmState, fleet: Fleet, learn: Callable[[Sequence[Typical]], None] | None) -> None:
        self.state, self.fleet, self._learn = state, fleet, learn
        self.room = False
        """Whether there may be room for a job that waits: it appeared since somebody looked."""

    def fold(self, entry: Entry, body: Any) -> None:
        """A record of admission, placement, forwarding, or a node."""
        if entry.point == ADMISSION:
            self._fold_admission(entry, body)
        elif entry.point == PLACEMENT.name:
            self._fold_placement(entry, body)
        elif entry.point == FORWARD.name:
            self._fold_forward(entry, body)
        elif entry.point in (NODE_HEALTH.name, PRESSURE):
            self._fold_node(entry, body)

    def _fold_forward(self, entry: Entry, body: Any) -> None:
        self.state.peers.fold(entry, body)
        if entry.subject in self.state.peers.sent:
            self.state.waiting.pop(entry.subject, None)

    def _fold_admission(self, entry: Entry, body: Any) -> None:
        job = self.state.admitted.get(entry.subject)
        self.state.peers.fold_admission(entry, body, job.data if job else {})
        if entry.kind == Kind.ASKED:
            self.state.admitted[entry.subject] = Job(entry.subject, body.event.data)
        elif body.action != "admit":
            self.state.admitted.pop(entry.subject, None)

    def _fold_placement(self, entry: Entry, body: Any) -> None:
        job = entry.subject
        if entry.kind == Kind.ASKED:
            self._fold_asked_placement(job, body)
        elif entry.kind == Kind.ANSWERED and body.action == "place" and body.mode == "observe":
            self.state.peers.end_guest(job, Outcome("refused", "it only says what it would do with jobs"))
        elif entry.kind == Kind.ANSWERED and body.action == "place":
            asked = self.state.waiting.pop(job, None)
            if asked is not None and job not in self.fleet.allocations:
                held = body.mode == "approve"
                self.state.running[job] = msgspec.structs.replace(asked, placement=entry.decision, held=held)
                self.fleet.reserve(job, body.args["node"], asked.request, body.args["gpus"])
        running = self.state.running.get(job)
        if running is None or running.placement != entry.decision:  # it may have been placed anew since
            return
        if entry.kind == Kind.EVENT:
            self._end(entry.decision, [running])
        elif entry.kind == Kind.EFFECT and body.verdict != "wanted":
            self.state.running[job] = msgspec.structs.replace(running, held=body.verdict != "released")
        elif entry.kind == Kind.OUTCOME and body.data.get("leaving"):
            self._end(entry.decision, [running], whatever=True)
        elif entry.kind == Kind.OUTCOME and body.status != "unknown":
            self._release(job)
            self.state.peers.end_guest(job, body)
        elif entry.kind == Kind.OUTCOME:
            self._fold_lost(running)

    def _fold_lost(self, job: Job) -> None:
        """Nobody knows what became of it. Where its node is silent and taken out as well, it is gone with its node;
        else it may still run, which its node will tell."""
        self.state.running[job.id] = msgspec.structs.replace(job, lost=True)
        node = self.fleet.allocations[job.id].node
        if self.state.drained.get(node) and self.state.silent.get(node):
            self._end(job.placement, self._restartable(node))

    def _end(self, decision: str, jobs: list[Job], *, whatever: bool = False) -> None:
        """They run no more; those that can be restarted are to be placed again. whatever: none of them has begun."""
        for job in jobs:
            self._release(job.id)
        again = [job for job in jobs if whatever or job.held or job.data.get("restartable")]
        for job in (job for job in jobs if job not in again):
            self.state.peers.end_guest(job.id, Outcome("unknown", "its node was lost, and nobody saw how it ended"))
        if again:
            self.state.displaced[decision] = again

    def _release(self, job: str) -> None:
        del self.state.running[job]
        self.room = self.fleet.release(job) is not None or self.room

    def _fold_asked_placement(self, job: str, asked: Asked) -> None:
        self.state.admitted.pop(job, None)
        self.state.displaced = {
            d: left for d, js in self.state.displaced.items() if (left := [j for j in js if j.id != job])
        }
        running = self.state.running.get(job)
        if job in self.state.peers.sent or (running is not None and not running.lost):
            return
        attempt = self.state.waiting[job].attempt + 1 if job in self.state.waiting else 0
        waiting = self.state.waiting[job] = Job(job, asked.event.data, attempt)
        if len(self.state.waiting) > WAITING:
            del self.state.waiting[next(iter(self.state.waiting))]
        if self._learn is not None and attempt == 0 and self.state.demand.observe(waiting.request):
            self._learn(self.state.demand.typical)

    def _fold_node(self, entry: Entry, body: Any) -> None:
        name = entry.subject
        if entry.kind == Kind.EVENT:
            self._fold_membership(name, body)
        elif entry.kind == Kind.ASKED and entry.point == NODE_HEALTH.name:
            self.state.silent[name] = body.facts.get("missed", 0) > 0
        elif entry.kind == Kind.OUTCOME and "cordoned" in body.data and name in self.fleet.nodes:
            drained = body.data["cordoned"]
            if drained and entry.point == NODE_HEALTH.name and self.state.silent.get(name):
                self._end(entry.decision, self._restartable(name))
            self.state.drained[name] = drained
            fit = not (drained or self.state.leaving.get(name))
            self.fleet.put(msgspec.structs.replace(self.fleet.nodes[name], schedulable=fit))
            self.room = self.room or fit

    def _fold_membership(self, name: str, event: Event) -> None:
        if event.type == LEFT:
            gone = self.fleet.remove(name)
            for known in (self.state.leaving, self.state.silent):  # a cordon outlives it: its agent keeps that
                known.pop(name, None)
            self._end(event.id, [self.state.running[one.owner] for one in gone if one.owner in self.state.running])
            return
        self.state.leaving[name] = event.type == LEAVING
        fit = not (self.state.drained.get(name) or self.state.leaving[name])
        self.fleet.put(msgspec.structs.replace(msgspec.convert(event.data, Node), schedulable=fit))
        self.room = self.room or fit

    def _restartable(self, node: str) -> list[Job]:
        """Lost jobs of a node that can be restarted. Silence alone does not say that a node is dead: what its agent
        started may go on, and would run twice."""
        here = [a.owner for a in self.fleet.allocations.values() if a.node == node]
        jobs = [self.state.running[owner] for owner in here if owner in self.state.running]
        return [job for job in jobs if job.lost and job.data.get("restartable")]
