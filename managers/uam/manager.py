"""UAM: keeps declared applications running.

What is declared and what was ordered is state, folded from the log. How the processes are is telemetry: node agents
tell, and a manager that was restarted knows again with their next reports.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Emission, Manager, Target
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, Outcome
from federation.settings import Settings
from federation.supervision import Backoff
from managers.uam.apps import Declared
from managers.uam.points import POINTS, RESTART
from managers.uam.sight import Seen, Sight

REMEMBERED = 100  # restarts of an instance whose times are kept
REPEAT = (
    60 * SECOND
)  # what changes nothing (an action that only observes) is said again after that, or at another status
OBSERVED, REQUEST = RESTART.events
REQUESTS = ("start", "restart", "stop")
STARTS = ("start", "restart")


class Instance(msgspec.Struct):
    """What was asked and ordered of one instance. Times are ledger time, ns.

    node, effect: where and by which decision it was started last. pending: the decision whose effect is on its way;
    case: the one that waits for somebody. halted: why it is left alone (stopped, given up, held). asked, status, cause:
    of the last question. quiet: its answer changed nothing.
    """

    node: str = ""
    effect: str = ""
    started: bool = False
    pending: str = ""
    case: str = ""
    halted: str = ""
    asked: int = 0
    status: str = ""
    cause: str = ""
    quiet: bool = False
    restarts: list[int] = []


class UamState(msgspec.Struct):
    """changed: when the declaration of an application changed last, ledger time, ns."""

    apps: dict[str, Declared] = {}
    changed: dict[str, int] = {}
    instances: dict[str, Instance] = {}
    decided: int = 0


class Uam(Manager):
    name = "uam"
    points = POINTS
    State = UamState
    state: UamState

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.problem: Refused | None = None
        """What is wrong with `apps.yaml`; the declaration before stays in force."""
        self._declared: dict[str, Declared] | None = None
        self.sight = Sight()

    # -- what is declared --------------------------------------------------------------------------------------------

    def declare(self, apps: dict[str, Declared]) -> None:
        """Put a declaration in force with the next record."""
        self._declared = apps

    def emit(self, now: int) -> Iterable[Emission]:
        apps, self._declared = self._declared, None
        if apps is not None and list(apps.items()) != list(self.state.apps.items()):
            data = msgspec.to_builtins({"apps": apps, "at": now})
            event = Event(f"declared {now}", "elias/uam", "elias.apps.declared", "", None, data)
            yield Emission(Kind.EVENT, RESTART.name, "", "", event)

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        match entry.kind:
            case Kind.EVENT:
                self._fold_declared(msgspec.convert(body.data["apps"], dict[str, Declared]), body.data.get("at"))
            case Kind.ASKED:
                self._fold_asked(entry, body)
            case Kind.ANSWERED:
                self._fold_answered(entry, body)
            case Kind.OUTCOME:
                self._fold_outcome(entry, body)
            case Kind.MODE:
                for instance in self.state.instances.values():
                    instance.quiet = False

    def _fold_declared(self, apps: dict[str, Declared], at: int | None) -> None:
        before, self.state.apps = self.state.apps, apps
        changed = {name: at for name in apps if before.get(name) != apps[name] and at is not None}
        self.state.changed = {name: when for name, when in (self.state.changed | changed).items() if name in apps}
        for key in [k for k in self.state.instances if not self._is_declared(k)]:
            del self.state.instances[key]
        for key, instance in self.state.instances.items():
            name = key.partition("/")[0]
            if before.get(name) != apps[name]:
                instance.halted, instance.quiet, instance.restarts = "", False, []

    def _fold_asked(self, entry: Entry, asked: Asked) -> None:
        self.state.decided += 1
        instance = self._instance(entry.subject)
        instance.asked, instance.status = asked.at, str(asked.facts.get("status", ""))
        data = asked.event.data
        instance.cause = (
            f"request {data['request']}"
            if "request" in data
            else next((cause for cause in ("sibling", "stray") if cause in data), "itself")
        )
        if asked.waits:
            instance.case = entry.decision

    def _fold_answered(self, entry: Entry, answered: Answered) -> None:
        instance = self._instance(entry.subject)
        waited, instance.case = instance.case == entry.decision, ""
        instance.quiet = answered.mode == "observe" or answered.tier == "fallback"
        if answered.mode == "observe":
            return
        if answered.mode in ("approve", "act"):
            instance.pending = entry.decision
        if answered.action in STARTS:
            self._fold_start(instance, answered)
        elif instance.cause == "request stop":
            instance.halted = "stopped"
        elif answered.action == "give_up":
            instance.halted = "given up"
        elif waited and answered.tier != "fallback":
            instance.halted = "held"

    @staticmethod
    def _fold_start(instance: Instance, answered: Answered) -> None:
        instance.halted, instance.node = "", str(answered.args["node"])
        if instance.cause.startswith("request") or answered.tier == "operator":
            instance.restarts = []
        elif instance.started and instance.cause == "itself":
            instance.restarts = [*instance.restarts, instance.asked][-REMEMBERED:]
        instance.started = True

    def _fold_outcome(self, entry: Entry, outcome: Outcome) -> None:
        key = _key(entry.subject)
        instance = self.state.instances.get(key)
        if instance is None or instance.pending != entry.decision:
            return
        instance.pending = ""
        instance.quiet = outcome.status == "refused"
        if outcome.status == "unknown":
            instance.effect = ""
        elif "effect" in outcome.data:
            instance.effect = str(outcome.data["effect"])
        self.sight.outdate(key, instance.node)
        if not self._is_declared(key):
            del self.state.instances[key]

    def _instance(self, subject: str) -> Instance:
        return self.state.instances.setdefault(_key(subject), Instance())

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        """A member of a group that is restarted takes those with it that the group's strategy names."""
        if entry.kind != Kind.ANSWERED or body.action != "restart" or body.mode != "act":
            return
        failed, names = _key(entry.subject), list(self.state.apps)
        app = self.state.apps.get(failed.partition("/")[0])
        if app is None or app.strategy == "one_for_one" or self._instance(failed).cause != "itself":
            return
        after = names.index(failed.partition("/")[0]) if app.strategy == "rest_for_one" else -1
        for key in self._keys():
            name = key.partition("/")[0]
            member = name in self.state.apps and self.state.apps[name].group == app.group and names.index(name) > after
            if member and key != failed and self.sight.runs(key) and self._asks(key):
                yield Event(f"{entry.decision} {key}", "elias/uam", OBSERVED, key, None, {"sibling": failed})

    # -- looking -----------------------------------------------------------------------------------------------------

    def observe(self, report: Mapping[str, Any], now: int) -> Iterable[Event]:
        self.sight.take(report, now, {key: instance.node for key, instance in self.state.instances.items()})
        return self._look(str(report["node"]))

    def due(self, now: int) -> Iterable[Event]:
        """Those without a home yet are looked at here alone: by then every node that is there could tell of itself."""
        self.sight.look(now)
        for key in [key for key, seen in self.sight.processes.items() if self._is_gone(key, seen.node)]:
            del self.sight.processes[key]
        return self._look("")

    def _look(self, node: str) -> Iterator[Event]:
        """Ask about every instance that nobody is busy with, on one node or on all that were heard of lately."""
        for key in self._keys():
            where = self._where(key) if node == "" else self._home(key)
            if node in ("", where) and self.sight.fresh(where) and self._asks(key) and not self._left_alone(key):
                yield Event(f"{key} {self.state.decided}", "elias/uam", OBSERVED, key)
        for key, stray in list(self.sight.strays.items()):
            if node in ("", stray.node) and self.sight.fresh(stray.node) and self._asks(key):
                data = {"stray": stray.node}
                yield Event(f"{key} stray {self.state.decided}", "elias/uam", OBSERVED, key, None, data)

    def wake(self) -> int | None:
        """When the next back-off is over."""
        ended = [(k, s.since) for k, s in self.sight.processes.items() if not s.running and self._asks(k)]
        ends = [since + self._backoff(key) for key, since in ended]
        return min((end for end in ends if end > self.sight.now), default=None)

    def _keys(self) -> list[str]:
        """Every instance that is declared or seen, in the order of the declaration."""
        declared = [f"{name}/{i}" for name, app in self.state.apps.items() for i in range(app.instances)]
        return list(dict.fromkeys([*declared, *sorted(self.sight.processes)]))

    def _asks(self, key: str) -> bool:
        """Nothing is on its way for it, and what was seen of it is not older than what was done."""
        instance, seen = self.state.instances.get(key), self.sight.processes.get(key)
        if instance is None:
            return True
        stale = self.sight.outdated(key) or (seen is not None and instance.effect not in ("", seen.effect))
        return not (instance.pending or instance.case or stale)

    def _left_alone(self, key: str) -> bool:
        instance = self.state.instances.get(key)
        if instance is None:
            return False
        said = instance.quiet and instance.status == self._status(key) and self.sight.now - instance.asked < REPEAT
        return said or self._backs_off(key) or instance.halted not in ("", "stopped")

    def _backs_off(self, key: str) -> bool:
        """It ended a moment ago, as it is declared now: whoever decides what follows, nothing is done before its
        back-off is over, so nobody is asked until then."""
        if self._status(key) != "exited":
            return False
        return self.sight.now - self.sight.processes[key].since < self._backoff(key)

    def _is_declared(self, key: str) -> bool:
        name, _, number = key.partition("/")
        return name in self.state.apps and int(number) < self.state.apps[name].instances

    def _where(self, key: str) -> str:
        """Its home, or else the node with the fewest instances among those with room for it: the one with the most free
        memory, ties by name."""
        home = self._home(key)
        if home:
            return home
        app = self.state.apps.get(key.partition("/")[0])
        needs = (app.memory if app is not None else None) or 0
        taken = [instance.node for other, instance in self.state.instances.items() if other != key]
        free = self.sight.free
        return min(self.sight.nodes(), key=lambda n: (free(n) < needs, taken.count(n), -free(n), n), default="")

    def _home(self, key: str) -> str:
        """Where it runs, as declared, or where it was; empty where it has none, or its node is gone."""
        instance, app = self.state.instances.get(key), self.state.apps.get(key.partition("/")[0])
        seen = self.sight.processes.get(key)
        if app is not None and app.node != "any" and not self.sight.runs(key):
            return app.node
        if seen is not None:
            return seen.node
        home = instance.node if instance is not None else ""
        return "" if home and self._is_gone(key, home) else home

    def _is_gone(self, key: str, node: str) -> bool:
        """Whether its node has been away for so long that it is started elsewhere."""
        app = self.state.apps.get(key.partition("/")[0])
        return (
            app is not None
            and app.node == "any"
            and app.moves_after is not None
            and self.sight.silence(node) >= app.moves_after
            and self._mostly_heard()
        )

    def _mostly_heard(self) -> bool:
        """Where most nodes are silent it is rather us who are cut off, and the rest could not carry it all."""
        heard = set(self.sight.nodes())
        homes = {instance.node for instance in self.state.instances.values() if instance.node}
        return 2 * len(heard) >= len(heard | homes)

    def _status(self, key: str) -> str:
        seen, app = self.sight.processes.get(key), self.state.apps.get(key.partition("/")[0])
        if seen is None or (app is not None and not seen.running and seen.digest != app.digest):
            return "missing"
        return seen.status

    def _wanted(self, key: str, request: str) -> str:
        instance, app = self.state.instances.get(key), self.state.apps.get(key.partition("/")[0])
        halted = instance is not None and instance.halted == "stopped" and not request
        if app is None or not self._is_declared(key) or request == "stop" or halted:
            return "stopped"
        return "replaced" if self.sight.runs(key) and self.sight.processes[key].digest != app.digest else "running"

    def _backoff(self, key: str) -> int:
        options = self.options[RESTART.name]
        first, longest = float(options["backoff_initial"]), float(options["backoff_max"])
        return Backoff(min(first, longest), 2.0, longest).delay(self._restarts(key))

    def _restarts(self, key: str) -> int:
        instance = self.state.instances.get(key)
        return sum(at > self._window_start() for at in instance.restarts) if instance is not None else 0

    def _window_start(self) -> int:
        return self.sight.now - round(float(self.options[RESTART.name]["restart_window"]) * SECOND)

    def _others_failing(self, key: str) -> int:
        since = self._window_start()
        others = (instance for other, instance in self.state.instances.items() if other != key)
        return sum(bool(other.restarts) and other.restarts[-1] > since for other in others)

    # -- facts, candidates, targets ----------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> dict[str, Any]:
        self.sight.look(now)
        key = _key(event.subject)
        if event.source != "elias/uam":
            self._check_known(event, key)
        if event.type == REQUEST:
            self._check_request(event, key)
        request = event.data.get("request")
        instance, app = self.state.instances.get(key), self.state.apps.get(key.partition("/")[0])
        stray = self._stray(event, key)
        seen = self.sight.processes.get(key) if stray is None else stray
        runs = seen is not None and seen.running
        ended = (
            seen.since if seen is not None else instance.asked if instance is not None and instance.started else None
        )
        memory = seen.memory if seen is not None else None
        facts: dict[str, Any] = {
            "wanted": self._wanted(key, request or "") if stray is None else "stopped",
            "request": request,
            "restart_type": app.restart if app is not None else "temporary",
            "exit_code": seen.exit_code if seen is not None else None,
            "restarts": self._restarts(key),
            "waited": None if ended is None or runs else max(0, now - ended) / SECOND,
            "backoff": self._backoff(key) / SECOND,
            "failed_checks": seen.failed_checks if seen is not None else None,
            "memory": memory,
            "memory_used": 100 * memory / app.memory if memory is not None and app is not None and app.memory else None,
            "priority": app.priority if app is not None else 0,
            "sibling_failed": "sibling" in event.data,
            "others_failing": self._others_failing(key),
        }
        uptime = None if seen is None else (now - seen.since) / SECOND if runs else seen.ran
        if seen is None or uptime is not None:
            facts["uptime"] = uptime
        name = key.partition("/")[0]
        if name in self.state.changed:
            facts["declared_for"] = max(0, now - self.state.changed[name]) / SECOND
        if stray is not None:
            facts["status"] = stray.status
        elif self.sight.fresh(self._where(key)):
            facts["status"] = self._status(key)
        return facts

    def _stray(self, event: Event, key: str) -> Seen | None:
        """What a question about a process that runs where it does not belong is about."""
        stray = self.sight.strays.get(key) if event.source == "elias/uam" else None
        return stray if stray is not None and stray.node == event.data.get("stray") else None

    def _check_known(self, event: Event, key: str) -> None:
        """What is neither declared nor seen is nobody's application: nothing is kept of it."""
        if key not in self._keys():
            known = ", ".join(self._keys()[:20])
            cure = f"the instances are {known}" if known else "declare it in apps.yaml"
            raise Refused("no-app", f"there is no instance `{key}`", place=f"event {event.id}: subject", cure=cure)

    def _check_request(self, event: Event, key: str) -> None:
        request, place = event.data.get("request"), f"event {event.id}"
        if request not in REQUESTS:
            cure = 'data is {"request": "start"}, "restart" or "stop"'
            raise Refused("bad-request", f"`{request}` cannot be asked of an application", place=place, cure=cure)
        pending = self._instance(key).pending
        if self.sight.outdated(key) or pending not in ("", event.decision(RESTART.name)):
            raise Refused(
                "busy", f"`{key}` is just being started or stopped", place=place, cure="ask again in a moment"
            )

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        key = _key(event.subject)
        stray = self._stray(event, key)
        args = {"node": self._where(key) if stray is None else stray.node}
        runs = stray is not None or self.sight.runs(key)
        undeclared = None if self._is_declared(key) else "not_declared"
        return [
            Candidate("start", args, forbidden=undeclared or ("it_runs_already" if runs else None)),
            Candidate("restart", args, forbidden=undeclared),
            Candidate("stop", args, forbidden=None if runs else "nothing_runs"),
            Candidate("give_up"),
            Candidate("hold"),
        ]

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        name, _, number = _key(asked.event.subject).partition("/")
        payload: dict[str, Any] = {"app": name, "instance": int(number)}
        if answered.action in STARTS:
            app = self.state.apps[name]
            payload |= {"digest": app.digest, "launch": app.launch}
        node = str(answered.args["node"])
        return Target(node, [f"node:{node}", f"app:{name}"], payload)

    # -- telling -----------------------------------------------------------------------------------------------------

    def view(self, now: int) -> dict[str, Any]:
        """apps: every instance, declared or found running; problem: what is wrong with the file, empty if nothing."""
        problem = self.problem
        told = {"message": problem.message, "place": problem.place, "cure": problem.cure} if problem is not None else {}
        keys = [key for key in self._keys() if self._is_declared(key) or self.sight.runs(key)]
        return {"apps": [self._shown(key, now) for key in keys], "problem": told}

    def _shown(self, key: str, now: int) -> dict[str, Any]:
        instance, seen = self.state.instances.get(key) or Instance(), self.sight.processes.get(key)
        app, runs = self.state.apps.get(key.partition("/")[0]), self.sight.runs(key)
        busy = "starting" if instance.pending else self._status(key)
        return {
            "name": key,
            "status": instance.halted or busy,
            "declared": self._is_declared(key),
            "node": seen.node if seen is not None else instance.node,
            "pid": seen.pid if seen is not None and runs else None,
            "exit_code": seen.exit_code if seen is not None else None,
            "uptime_s": (now - seen.since) / SECOND if seen is not None and runs else None,
            "memory": seen.memory if seen is not None else None,
            "restarts": self._restarts(key),
            "case": instance.case,
            "group": app.group if app is not None else "",
            "command": app.launch["command"] if app is not None else [],
        }


def _key(subject: str) -> str:
    """`web/0`; `web` means its first instance."""
    name, _, number = subject.partition("/")
    return f"{name}/{number}" if number.isdecimal() else f"{name}/0"
