"""UFM: which nodes there are, how they are, and where work runs."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, ClassVar

import msgspec
import numpy as np

from federation.clock import SECOND
from federation.manager import Emission, Follow, Manager, Target
from federation.peers.messages import Capacity
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind
from federation.settings import Settings
from managers.job import needs, recorded
from managers.ufm.alert_point import ALERT
from managers.ufm.alerts import Alerts
from managers.ufm.asked import request_of
from managers.ufm.dispatch import task_facts, task_nodes
from managers.ufm.folding import ADMISSION, JOINED, LEAVING, LEFT, PRESSURE, Folding, Job, UfmState
from managers.ufm.foreign.watch import ForeignWatch
from managers.ufm.health import Healths
from managers.ufm.kubernetes.node import KUBERNETES
from managers.ufm.peers.point import FORWARD
from managers.ufm.peers.rooms import free_for
from managers.ufm.peers.watch import PeersWatch
from managers.ufm.placement import Fleet, Free, Node, Proposer, Request, Typical
from managers.ufm.placement.fleet import WHOLE
from managers.ufm.points import DISPATCH, NODE_HEALTH, PLACEMENT, POINTS, ROUTING
from managers.ufm.prometheus.watch import NAME as PROMETHEUS
from managers.ufm.prometheus.watch import PrometheusWatch
from managers.ufm.slurm.node import SLURM


class Ufm(Manager):
    """`typical`: the requests that fragmentation is measured against, where they are known beforehand; otherwise
    learnt.
    """

    name = "ufm"
    points = POINTS
    follows: ClassVar[tuple[Follow, ...]] = (
        Follow(Kind.ASKED, ADMISSION),
        Follow(Kind.ANSWERED, ADMISSION),
        Follow(Kind.OUTCOME, PRESSURE),
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
        self.folding = Folding(state, self.fleet, self.proposer.learn if self.typical is None else None)
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
        self.folding.room = self.health.hear(node.name, report, now) or self.folding.room
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
        if self.folding.room:
            self.folding.room = False
            for job in sorted(self.state.waiting.values(), key=_urgency)[:64]:
                yield _placement_event(job, "elias/ufm", f"{job.id} at {now}")
        yield from self.peers.due(self._unplaced(), now)

    def _unplaced(self) -> dict[str, dict[str, Any]]:
        """The data of all jobs that wait for room here."""
        return {**self.state.peers.queued, **{job.id: job.data for job in self.state.waiting.values()}}

    def wake(self) -> int | None:
        if self.folding.room or self.peers.news:
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
        asked = needs(event)
        request = request_of(asked)
        room = self._fitting(request)
        if point is ROUTING:
            return {"nodes": room, "gpus": request.gpus, "memory": request.memory}
        share = request.gpu_milli / 10 if request.gpus else None
        return {
            **(self.peers.facts(asked, now) if point is FORWARD else {}),
            "feasible": room,
            "gpus": request.gpus,
            "gpu_share": share,
            "cpus": request.cpu_milli / 1000,
            "memory": request.memory,
            "priority": asked.priority,
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
        asked = needs(event)
        if point is FORWARD:
            return self.peers.candidates(event, asked, waits=event.subject in self._unplaced())
        if point is PLACEMENT and event.subject in self.state.peers.sent:
            return [Candidate("hold")]  # whoever was given it runs it
        request = request_of(asked)
        if point is PLACEMENT and event.subject in self.state.running:
            return self._kept(self.state.running[event.subject], event, request)
        algorithm = self.options[point.name]["algorithm"]
        proposed = self.proposer.propose(request, algorithm, decision=event.id, subject=event.subject, limit=15)
        best = [place for place in proposed if self.health.seen(place.node)]
        if point is ROUTING:
            routes = [Candidate("route", {"node": p.node}, _attributes(self.fleet.free(p.node))) for p in best]
            return [*routes, Candidate("hold")]
        best.sort(key=lambda proposal: proposal.node != asked.node)  # where a job was moved on purpose, if it fits
        places = [_place(p.node, p.gpus, self.fleet.free(p.node), request) for p in best]
        return [*places, Candidate("hold")]

    def _kept(self, job: Job, event: Event, request: Request) -> list[Candidate]:
        """The place that a job holds, where the decision that gave it is looked at again before the job begins. No
        other decision gives it a second one."""
        here, places = self.fleet.allocations[job.id], []
        if job.placement == event.decision(PLACEMENT.name) and self.health.seen(here.node):
            free = self.fleet.room_of(job.id, request)
            places = [] if free is None else [_place(here.node, here.gpus, free, request)]
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
        if entry.point == ALERT.name:
            self.alerts.fold(entry, body)
            return
        self.folding.fold(entry, body)
        if entry.point == ADMISSION:
            may_go = bool(self.state.peers.queued)
        else:
            may_go = entry.point == PLACEMENT.name and entry.kind == Kind.ASKED and body.event.data.get("anywhere")
        self.peers.news = self.peers.news or bool(may_go and self.peers.told)

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        if entry.kind == Kind.ANSWERED and entry.point == ADMISSION and body.action == "admit":
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


def _place(node: str, gpus: Sequence[int], free: Free, request: Request) -> Candidate:
    attributes = _attributes(free) | {"job.gpu": request.total_gpu_milli / WHOLE}
    return Candidate("place", {"node": node, "gpus": list(gpus)}, attributes)


def _urgency(job: Job) -> tuple[int, str]:
    return -recorded(job.data).priority, job.id


def _placement_event(job: Job, source: str, id: str) -> Event:
    return Event(id, source, PLACEMENT.events[0], job.id, None, job.data)
