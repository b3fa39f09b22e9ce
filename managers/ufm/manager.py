"""UFM: which nodes there are, how they are, and where work runs."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, ClassVar

import msgspec
import numpy as np

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Emission, Follow, Manager, Target
from federation.peers.messages import Capacity
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, Outcome
from federation.settings import Settings
from managers.ufm.alert_point import ALERT
from managers.ufm.alerts import Alerts, AlertsState
from managers.ufm.dispatch import task_facts, task_nodes
from managers.ufm.foreign.watch import ForeignWatch
from managers.ufm.health import Healths
from managers.ufm.kubernetes.node import KUBERNETES
from managers.ufm.peers.point import FORWARD
from managers.ufm.peers.rooms import free_for
from managers.ufm.peers.state import PeersState
from managers.ufm.peers.watch import PeersWatch
from managers.ufm.placement import Demand, Fleet, Free, Node, Proposer, Request, Typical
from managers.ufm.placement.fleet import WHOLE, FleetState
from managers.ufm.points import DISPATCH, NODE_HEALTH, PLACEMENT, POINTS, ROUTING
from managers.ufm.prometheus.watch import NAME as PROMETHEUS
from managers.ufm.prometheus.watch import PrometheusWatch
from managers.ufm.slurm.node import SLURM

WAITING = 10_000  # jobs that wait for room; the next one is told to come again later


JOINED, LEAVING, LEFT = "elias.node.joined", "elias.node.leaving", "elias.node.left"


class Job(msgspec.Struct, frozen=True, gc=False):
    """A job as it was submitted. data: command, resources, priority. placement: the decision by which it runs. lost: it
    was started, and whoever ran it cannot tell what became of it."""

    id: str
    data: dict[str, Any]
    attempt: int = 0
    placement: str = ""
    lost: bool = False


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


class Ufm(Manager):
    """`typical`: the requests that fragmentation is measured against, where they are known beforehand; otherwise
    learnt.
    """

    name = "ufm"
    points = POINTS
    follows: ClassVar[tuple[Follow, ...]] = (
        Follow(Kind.ASKED, "urm.admission"),
        Follow(Kind.ANSWERED, "urm.admission"),
        Follow(Kind.OUTCOME, "urm.resource_pressure"),
    )
    State = UfmState

    def __init__(self, settings: Settings, typical: Sequence[Typical] | None = None) -> None:
        super().__init__(settings)
        self.typical = typical
        self.health = Healths(settings.telemetry.interval)
        self.slurm = ForeignWatch(SLURM, settings.slurm)
        self.kubernetes = ForeignWatch(KUBERNETES, settings.kubernetes)
        self.foreign: tuple[ForeignWatch[Any], ...] = (self.slurm, self.kubernetes)
        self.prometheus = PrometheusWatch(settings.prometheus)
        self._beside: dict[str, ForeignWatch[Any] | PrometheusWatch] = {w.source.name: w for w in self.foreign}
        self._beside[PROMETHEUS] = self.prometheus
        self._left: dict[str, float] = {}  # when nodes that have left measured themselves last (s since 1970)
        self._news: deque[Emission] = deque()
        self._adopt(UfmState())

    def _adopt(self, state: UfmState) -> None:
        self.state = state
        self.fleet = Fleet.from_state(state.fleet)
        self.proposer = Proposer(self.fleet, state.demand.typical if self.typical is None else self.typical)
        self.alerts = Alerts(state.alerts, self._status_of, usable=bool(self.settings.alertmanager.url))
        self.peers = PeersWatch(self.settings.peers, state.peers)

    def dump(self) -> UfmState:
        self.state.fleet = self.fleet.to_state()
        state: UfmState = self.state
        return state

    def load(self, state: UfmState) -> None:
        self._adopt(state)

    # -- telemetry and health ----------------------------------------------------------------------------------------

    def observe(self, report: Mapping[str, Any], now: int) -> Iterator[Event]:
        """A node's report is its sign of life. Its first one, one with other totals, and the word that it leaves or has
        left are events for the record. What was seen of foreign clusters is told by the agent that looks, and
        what peers have free by who speaks with them."""
        if "peer" in report:
            self.peers.hear(report, now)
            return
        for name, watch in self._beside.items():
            if name in report:
                watch.hear(report, now)
                return
        node = _node_of(report)
        if report.get("measured", inf) <= self._left.get(node.name, -inf):
            return  # begun before it said that it has left
        if (kind := self._news_of(node, report)) is not None:
            event = Event(f"{node.name} {now}", "elias/agent", kind, node.name, None, msgspec.to_builtins(node))
            self._news.append(Emission(Kind.EVENT, NODE_HEALTH.name, node.name, "", event))
        if report.get("left"):
            self.health.forget(node.name)
            self._left[node.name] = float(report.get("measured", -inf))
            return
        self._room = self.health.hear(node.name, report, now) or self._room
        self._news += self._ended_unseen(report)
        yield from ()

    def _news_of(self, node: Node, report: Mapping[str, Any]) -> str | None:
        known = self.fleet.nodes.get(node.name)
        if report.get("left"):
            return LEFT if known is not None else None
        leaving = bool(report.get("leaving"))
        if known is None or msgspec.structs.replace(known, schedulable=True) != node:
            return JOINED
        if leaving == self.state.leaving.get(node.name, False):
            return None
        return LEAVING if leaving else JOINED

    def _ended_unseen(self, report: Mapping[str, Any]) -> Iterator[Emission]:
        """Lost jobs that their node, which is heard again, does not run."""
        if "jobs" not in report:
            return
        known = {job.get("since") for job in report["jobs"]} | {news.decision for news in self._news}
        for job in [job for job in self.state.running.values() if job.lost and job.placement not in known]:
            here = self.fleet.allocations.get(job.id)
            if here is not None and here.node == report["node"]:
                event = Event(f"{job.id} ended {job.placement}", "elias/agent", "elias.job.ended", job.id)
                yield Emission(Kind.EVENT, PLACEMENT.name, job.id, job.placement, event)

    def emit(self, now: int) -> Iterable[Emission]:
        while self._news:
            yield self._news.popleft()
        yield from self.alerts.emit()

    def due(self, now: int) -> Iterator[Event]:
        """One health check of each node whose turn it is, and placements for jobs that wait where room appeared."""
        interval = round(self.options[NODE_HEALTH.name]["health_check_interval"] * SECOND)
        for name in self.health.check(self.fleet.nodes, interval, now):
            yield Event(f"{name} {now}", "elias/ufm", NODE_HEALTH.events[0], name)
        for watch in self.foreign:
            for name in watch.checked(interval, now):
                yield Event(f"{name} {now}", "elias/ufm", NODE_HEALTH.events[0], name)
        yield from self.alerts.due(now)
        if self._room:
            self._room = False
            for job in sorted(self.state.waiting.values(), key=_urgency)[:64]:
                yield _placement_event(job, "elias/ufm", f"{job.id} at {now}")
        yield from self.peers.due(self._unplaced(), request_of, now)

    _room = False

    def _unplaced(self) -> dict[str, dict[str, Any]]:
        """The data of all jobs that wait for room here."""
        return {**self.state.peers.queued, **{job.id: job.data for job in self.state.waiting.values()}}

    def wake(self) -> int | None:
        if self._room or self.peers.news:
            return 1
        interval = round(self.options[NODE_HEALTH.name]["health_check_interval"] * SECOND)
        times = (self.health.wake, self.alerts.wake(), *(watch.wake(interval) for watch in self.foreign))
        return min(time for time in times if time is not None)

    # -- facts and candidates ----------------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> dict[str, Any]:
        if point is NODE_HEALTH:
            return self._health_facts(event, now)
        if point is DISPATCH:
            return task_facts(event)
        if point is ALERT:
            return self.alerts.facts(event, now)
        request = request_of(event.data)
        room = self._fitting(request)
        if point is ROUTING:
            return {"nodes": room, "gpus": request.gpus, "memory": request.memory}
        share = request.gpu_milli / 10 if request.gpus else None
        return {
            **(self.peers.facts(event, request, now) if point is FORWARD else {}),
            "feasible": room,
            "gpus": request.gpus,
            "gpu_share": share,
            "cpus": request.cpu_milli / 1000,
            "memory": request.memory,
            "priority": int(event.data.get("priority", 0)),
        }

    def _health_facts(self, event: Event, now: int) -> dict[str, Any]:
        if (watch := self._abroad(event.subject)) is not None:
            measured = self.prometheus.facts(event.subject.removeprefix(watch.source.prefix), now)
            return {**watch.facts(event.subject, now), **measured, **event.data}
        health = self.health.of.get(event.subject)
        status = "drained" if self.state.drained.get(event.subject) else "up"
        known = {**(health.facts(now) if health else {}), **self.prometheus.facts(event.subject, now)}
        return {"status": status, **known, **event.data}

    def _abroad(self, node: str) -> ForeignWatch[Any] | None:
        """The foreign cluster that a node is of; None: ours."""
        if node in self.fleet.nodes:
            return None
        return next((watch for watch in self.foreign if node.startswith(watch.source.prefix)), None)

    def _status_of(self, node: str) -> str | None:
        if node not in self.fleet.nodes:
            return None
        return "drained" if self.state.drained.get(node) or self.state.leaving.get(node) else "up"

    def _fitting(self, request: Request) -> int:
        slots = np.arange(len(self.fleet.changed))
        return int(self.fleet.fits(request, slots).sum())

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is NODE_HEALTH and (watch := self._abroad(event.subject)) is not None:
            return watch.candidates(event.subject)
        if point is NODE_HEALTH and event.subject not in self.fleet.nodes:
            return [Candidate("hold")]  # it has left since
        if point is NODE_HEALTH:
            up = sum(node.schedulable for node in self.fleet.nodes.values())
            return [Candidate("drain", {}, {"fleet.up": up}), Candidate("readmit"), Candidate("hold")]
        if point is DISPATCH:
            return [*task_nodes(event), Candidate("hold")]
        if point is ALERT:
            return self.alerts.propose(event, facts)
        request = request_of(event.data)
        if point is FORWARD:
            return self.peers.candidates(event, request, waits=event.subject in self._unplaced())
        if point is PLACEMENT and event.subject in self.state.peers.sent:
            return [Candidate("hold")]  # whoever was given it runs it
        algorithm = self.options[point.name]["algorithm"]
        proposed = self.proposer.propose(request, algorithm, decision=event.id, subject=event.subject, limit=15)
        best = [place for place in proposed if self.health.seen(place.node)]
        if point is ROUTING:
            routes = [Candidate("route", {"node": p.node}, _attributes(self.fleet.free(p.node))) for p in best]
            return [*routes, Candidate("hold")]
        wanted = event.data.get("node")  # a job that was moved on purpose goes there if it fits
        best.sort(key=lambda proposal: proposal.node != wanted)
        job = {"job.gpu": request.total_gpu_milli / WHOLE}
        places = [
            Candidate("place", {"node": p.node, "gpus": list(p.gpus)}, _attributes(self.fleet.free(p.node)) | job)
            for p in best
        ]
        return [*places, Candidate("hold")]

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        if point is ALERT:
            return self.alerts.target(asked)
        if point is FORWARD:
            return self.peers.target(asked, answered)
        if point is NODE_HEALTH and (watch := self._abroad(asked.event.subject)) is not None:
            return watch.target(asked.event.subject)
        if point is NODE_HEALTH:
            node = asked.event.subject
            groups = self.fleet.nodes[node].groups if node in self.fleet.nodes else ()
            return Target(self._nearest_agent(node), [f"node:{node}", *groups])
        node, data = str(answered.args["node"]), asked.event.data
        job: dict[str, Any] = {key: data[key] for key in ("command", "cwd") if key in data}
        return Target(node, [f"node:{node}", *self.fleet.nodes[node].groups], job)

    def _nearest_agent(self, node: str) -> str:
        """The node itself, or if it is out of sight the first other one that reports: a cordon is kept by whoever
        can.
        """
        seen = [name for name in sorted(self.health.of) if self.health.seen(name)]
        return node if node in seen or not seen else seen[0]

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        if entry.point == "urm.admission":
            self._fold_admission(entry, body)
        elif entry.point == ALERT.name:
            self.alerts.fold(entry, body)
        elif entry.point == PLACEMENT.name:
            self._fold_placement(entry, body)
        elif entry.point == FORWARD.name:
            self._fold_forward(entry, body)
        elif entry.point in (NODE_HEALTH.name, "urm.resource_pressure"):
            self._fold_node(entry, body)

    def _fold_forward(self, entry: Entry, body: Any) -> None:
        self.state.peers.fold(entry, body)
        if entry.subject in self.state.peers.sent:
            self.state.waiting.pop(entry.subject, None)

    def _fold_admission(self, entry: Entry, body: Any) -> None:
        job = self.state.admitted.get(entry.subject)
        self.state.peers.fold_admission(entry, body, job.data if job else {})
        self.peers.news = self.peers.news or bool(self.state.peers.queued and self.peers.told)
        if entry.kind == Kind.ASKED:
            self.state.admitted[entry.subject] = Job(entry.subject, body.event.data)
        elif body.action != "admit":
            self.state.admitted.pop(entry.subject, None)

    def _fold_placement(self, entry: Entry, body: Any) -> None:
        job = entry.subject
        if entry.kind == Kind.ASKED:
            self._fold_asked_placement(job, body)
        elif entry.kind == Kind.ANSWERED and body.action == "place" and body.mode == "act":
            asked = self.state.waiting.pop(job, None)
            if asked is not None and job not in self.fleet.allocations:
                self.state.running[job] = msgspec.structs.replace(asked, placement=entry.decision)
                self.fleet.reserve(job, body.args["node"], request_of(asked.data), body.args["gpus"])
        elif entry.kind == Kind.ANSWERED and body.action == "place" and body.mode == "observe":
            self.state.peers.end_guest(job, Outcome("refused", "it only says what it would do with jobs"))
        running = self.state.running.get(job)
        if running is None or running.placement != entry.decision:  # it may have been placed anew since
            return
        if entry.kind == Kind.EVENT:
            self._end(entry.decision, [running])
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
        again = [job for job in jobs if whatever or job.data.get("restartable")]
        for job in (job for job in jobs if job not in again):
            self.state.peers.end_guest(job.id, Outcome("unknown", "its node was lost, and nobody saw how it ended"))
        if again:
            self.state.displaced[decision] = again

    def _release(self, job: str) -> None:
        del self.state.running[job]
        self._room = self.fleet.release(job) is not None or self._room

    def _fold_asked_placement(self, job: str, asked: Asked) -> None:
        self.state.admitted.pop(job, None)
        self.state.displaced = {
            d: left for d, js in self.state.displaced.items() if (left := [j for j in js if j.id != job])
        }
        if job in self.state.peers.sent:
            return
        self.peers.news = self.peers.news or bool(asked.event.data.get("anywhere") and self.peers.told)
        attempt = self.state.waiting[job].attempt + 1 if job in self.state.waiting else 0
        self.state.waiting[job] = Job(job, asked.event.data, attempt)
        if len(self.state.waiting) > WAITING:
            del self.state.waiting[next(iter(self.state.waiting))]
        if self.typical is None and attempt == 0 and self.state.demand.observe(request_of(asked.event.data)):
            self.proposer.learn(self.state.demand.typical)

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
            self._room = self._room or fit

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
        self._room = self._room or fit

    def _restartable(self, node: str) -> list[Job]:
        """Lost jobs of a node that can be restarted. Silence alone does not say that a node is dead: what its agent
        started may go on, and would run twice."""
        here = [a.owner for a in self.fleet.allocations.values() if a.node == node]
        jobs = [self.state.running[owner] for owner in here if owner in self.state.running]
        return [job for job in jobs if job.lost and job.data.get("restartable")]

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        if entry.kind == Kind.ANSWERED and entry.point == "urm.admission" and body.action == "admit":
            job = self.state.admitted.get(entry.subject)
            if job is not None and job.id not in self.state.peers.sent:
                back = self.state.peers.back.get(job.id)
                yield _placement_event(job, "elias/urm", f"{job.id} back {back}" if back else f"{job.id} 0")
        elif entry.kind in (Kind.EVENT, Kind.OUTCOME) and entry.point in (NODE_HEALTH.name, PLACEMENT.name):
            cause = entry.decision or body.id
            for job in self.state.displaced.get(cause, ()):
                yield _placement_event(job, "elias/ufm", f"{job.id} after {cause}")

    def room_for(self, peer: str) -> Capacity:
        """What this peer may use here now."""
        guests = self.state.peers.running(peer)
        return Capacity(free_for(self.settings.peers.known[peer], guests, self.fleet))

    # -- views -------------------------------------------------------------------------------------------------------

    def view(self, now: int) -> dict[str, Any]:
        nodes = []
        for name, node in sorted(self.fleet.nodes.items()):
            health, free = self.health.of.get(name), self.fleet.free(name)
            nodes.append(
                {
                    "name": name,
                    "status": "leaving" if self.state.leaving.get(name) else self._status_of(name),
                    "silence": None if health is None else (now - health.reported) / SECOND,
                    "missed": health.missed if health else 0,
                    "report": dict(health.report) if health else {},
                    "cpus": node.cpu_milli / 1000,
                    "cpu_free": free.cpu_milli / 1000,
                    "memory": node.memory,
                    "memory_free": free.memory,
                    "gpus": node.gpus,
                    "gpu_free": sum(free.gpu_milli) / WHOLE,
                }
            )
        running = [
            {"id": owner, "node": a.node, "command": job.data.get("command", []), "gpus": list(a.gpus)}
            for owner, job in self.state.running.items()
            if (a := self.fleet.allocations.get(owner)) is not None
        ]
        jobs = {"running": running, "waiting": [j.id for j in self.state.waiting.values()]}
        clusters = {watch.source.name: watch.summary(now) for watch in self.foreign}
        told = [
            f"{watch.source.title} is out of sight, and nothing is known of its nodes: {known['problem']}"
            for watch in self.foreign
            if (known := clusters[watch.source.name]) is not None and known["problem"]
        ]
        told += self.prometheus.problems(now)
        nodes += [node for watch in self.foreign for node in watch.view(now)]
        peers, alerts = self.peers.view(now), self.alerts.view()
        return {"nodes": nodes, "jobs": jobs, "alerts": alerts, "peers": peers, **clusters, "problems": told}


def request_of(data: Mapping[str, Any]) -> Request:
    """What a job asks for, from an event's data. Raises Refused."""
    try:
        share = data.get("gpu_share")
        gpus = int(data.get("gpus", 0)) if share is None else 1
        return Request(
            cpu_milli=round(float(data.get("cpus", 0)) * 1000),
            memory=int(data.get("memory", 0)),
            gpus=gpus,
            gpu_milli=WHOLE if share is None else round(float(share) * WHOLE),
            models=tuple(data.get("models", ())),
            labels=tuple(data.get("labels", ())),
        )
    except (TypeError, ValueError) as error:
        raise Refused(
            "bad-request", f"what the job asks for makes no sense: {error}", cure="see docs/placement.md"
        ) from None


def _node_of(report: Mapping[str, Any]) -> Node:
    gpus = report.get("gpus", ())
    return Node(
        name=str(report["node"]),
        cpu_milli=int(report["cpus"]) * 1000,
        memory=int(report["memory_total"]),
        gpus=len(gpus),
        model=gpus[0]["name"] if gpus else "",
        labels=tuple(report.get("labels", ())),
        groups=tuple(report.get("groups", ())),
    )


def _attributes(free: Free) -> dict[str, Any]:
    return {
        "target.cpu_free": free.cpu_milli / 1000,
        "target.memory_free": free.memory,
        "target.gpu_free": sum(free.gpu_milli) / WHOLE,
    }


def _urgency(job: Job) -> tuple[int, str]:
    return -int(job.data.get("priority", 0)), job.id


def _placement_event(job: Job, source: str, id: str) -> Event:
    return Event(id, source, PLACEMENT.events[0], job.id, None, job.data)
