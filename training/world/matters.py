"""What the users of a simulated world ask beside jobs: packages, rollouts, storms, workflows, tasks, profiles.

A matter is drawn as the world of its decision point draws a situation, and goes on as it is answered: a rollout gets
its share, a storm shrinks by what was done about it, a step is tried again. Some requests have nothing wrong with them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.records import Candidate, Event
from managers.ucm.points import COORDINATION, STORM
from managers.ufm.dispatch import COUNTED
from managers.ufm.points import DISPATCH
from managers.uim.points import ROLLOUT
from managers.uim.rollout import rollout_candidates
from managers.ulm.points import OPTIMISATION
from managers.urm.points import PACKAGE
from training.scenarios.catalogue import WORLDS
from training.scenarios.scenario import rights
from training.scenarios.world import Seen
from training.world.agenda import Agenda
from training.world.chances import Chances
from training.world.troubles import Troubles

LOOKS = 12  # times that a matter is asked about; then its owner does without an answer
PLAIN: Mapping[str, Any] = {"hash": "matches", "signature": "valid", "conflicts": 0, "vulnerabilities": 0}
LEVERS = {"batch": "overhead", "drop_low": "low", "drop_duplicates": "duplicates", "reroute": "standby_room"}
_TROUBLES = {
    PACKAGE.name: ("package", "something was wrong with it"),
    STORM.name: ("storm", "more arrived than was taken"),
    COORDINATION.name: ("workflow", "a step failed or was late"),
}


@dataclass
class Matter:
    """outcomes: what comes of each candidate, in the outcome unit of the point."""

    number: int
    point: str
    seen: Seen
    outcomes: tuple[float, ...]
    looks: int = 1
    settled: bool = False

    @property
    def subject(self) -> str:
        return f"{self.point.partition('.')[2]}-{self.number}"

    def right(self, offered: Collection[int]) -> set[int]:
        """Those of the offered candidates, by index, that turn out as good as any of them, within the epsilon of the
        point: what a guard forbids is no measure for what is chosen."""
        among = tuple(self.outcomes[index] for index in offered)
        good = rights(among, WORLDS[self.point].epsilon) if among else ()
        return {index for index, right in zip(offered, good, strict=True) if right}


class Matters:
    """ask: how somebody asks. open: by subject."""

    def __init__(
        self,
        seed: int,
        chances: Chances,
        agenda: Agenda,
        troubles: Troubles,
        ask: Callable[[Event], None],
        source: str,
    ) -> None:
        self.chances, self.agenda, self.troubles, self.ask, self.source = chances, agenda, troubles, ask, source
        self.random = Random(f"{seed} matters")
        self.open: dict[str, Matter] = {}
        self._numbers = 0
        for point, mean in (
            (PACKAGE.name, chances.package),
            (ROLLOUT.name, chances.rollout),
            (STORM.name, chances.storm),
            (COORDINATION.name, chances.workflow),
            (DISPATCH.name, chances.dispatch),
            (OPTIMISATION.name, chances.profile),
        ):
            agenda.often(mean, self.random, _Arrival(self, point))

    def arrive(self, point: str) -> None:
        seen = self._drawn(point)
        if seen is None:
            return
        self._numbers += 1
        matter = Matter(self._numbers, point, seen, self._outcomes(point, seen))
        self.open[matter.subject] = matter
        self._put(matter)
        if point in _TROUBLES and not _plain(seen):
            kind, what = _TROUBLES[point]
            self.troubles.add(self.agenda.now, kind, matter.subject, what)

    def _drawn(self, point: str) -> Seen | None:
        """None: everything went well, and nobody has anything to ask."""
        plain = self.random.random() < self.chances.plain
        if point == COORDINATION.name and plain:
            return None
        world = WORLDS[point]
        seen = world.ask(self.random.choice(world.families), self.random)
        if point == PACKAGE.name and plain:
            return Seen({**seen.facts, **PLAIN}, seen.candidates)
        if point == ROLLOUT.name:
            return _at_share(seen, 5.0)
        return seen

    def _outcomes(self, point: str, seen: Seen) -> tuple[float, ...]:
        return WORLDS[point].outcomes(seen, self.random)

    def _put(self, matter: Matter) -> None:
        event = f"{matter.subject}-{matter.looks}"
        kind, data = WORLDS[matter.point].point.events[0], data_of(matter.point, matter.seen)
        self.ask(Event(event, self.source, kind, matter.subject, None, data))

    # -- what comes of an answer -------------------------------------------------------------------------------------

    def answered(self, subject: str, action: str, args: Mapping[str, Any]) -> None:
        matter = self.open.get(subject)
        if matter is None or matter.settled:
            return
        goes_on = _GOES_ON.get(matter.point)
        following = None if goes_on is None else goes_on(matter.seen, action, args, self.random)
        if following is None or matter.looks >= LOOKS:
            matter.settled = True
            del self.open[subject]
            return
        seen, wait = following
        matter.settled = True
        self.agenda.after(getattr(self.chances, wait), self._again, matter, seen)

    def _again(self, matter: Matter, seen: Seen) -> None:
        matter.seen, matter.outcomes = seen, self._outcomes(matter.point, seen)
        matter.looks, matter.settled = matter.looks + 1, False
        self._put(matter)


class _Arrival:
    """Calls `arrive` for one point; a value, so that a copy of the world has its own."""

    def __init__(self, matters: Matters, point: str) -> None:
        self.matters, self.point = matters, point

    def __call__(self) -> None:
        self.matters.arrive(self.point)


def data_of(point: str, seen: Seen) -> dict[str, Any]:
    """The data of the event that asks about this situation."""
    facts = dict(seen.facts)
    if point == PACKAGE.name:
        others = [
            {"version": c.args["version"], **{n.removeprefix("alternate."): v for n, v in c.attributes.items()}}
            for c in seen.candidates
            if c.action == "alternate"
        ]
        return {**_named(seen.candidates, "install"), "alternates": others, **facts}
    if point == DISPATCH.name:
        nodes = [
            {"name": c.args["node"], **{n.removeprefix("target."): v for n, v in c.attributes.items()}}
            for c in seen.candidates
            if c.action == "dispatch"
        ]
        return {**{name: value for name, value in facts.items() if name not in COUNTED}, "nodes": nodes}
    if point == OPTIMISATION.name:
        changes = {
            c.args["what"]: {n.removeprefix("change."): v for n, v in c.attributes.items()}
            for c in seen.candidates
            if c.action == "optimise"
        }
        return {**facts, "possibilities": changes}
    return facts


def _named(candidates: tuple[Candidate, ...], action: str) -> dict[str, Any]:
    return next(dict(c.args) for c in candidates if c.action == action)


def _plain(seen: Seen) -> bool:
    return all(seen.facts.get(name) == value for name, value in PLAIN.items())


def _at_share(seen: Seen, share: float) -> Seen:
    return Seen({**seen.facts, "share": share}, tuple(rollout_candidates(share)))


_Next = tuple[Seen, str] | None


def _rollout(seen: Seen, action: str, args: Mapping[str, Any], random: Random) -> _Next:
    """More is known with each look; a version that has all the traffic is through when it is left there."""
    share = float(args["share"]) if action == "advance" else float(seen.facts["share"])
    if action == "roll_back" or (action == "hold" and share >= 100):
        return None
    more = round(seen.facts["requests"] + 40 * share * random.uniform(5, 50))
    elapsed = 600.0 if action == "advance" else float(seen.facts["elapsed"]) + 600.0
    following = _at_share(seen, share)
    return following._replace(facts={**following.facts, "requests": more, "elapsed": elapsed}), "rollout_looks"


def _storm(seen: Seen, action: str, args: Mapping[str, Any], random: Random) -> _Next:
    """What was done takes its part of the load away; what is left fills the queue or empties it."""
    facts = dict(seen.facts)
    less = 0.5 if action == "throttle" else float(facts.get(LEVERS.get(action, ""), 0.0) or 0.0) / 100
    load = float(facts["load"]) * (1 - less) * (1 + float(facts.get("trend", 0.0)) / 400)
    load *= random.uniform(0.8, 1.0)  # senders tire
    if load <= 90:
        return None
    fill = min(100.0, max(0.0, float(facts["queue_fill"]) + (load - 100) / 5))
    return Seen({**facts, "load": round(load), "queue_fill": round(fill)}, seen.candidates), "storm_looks"


def _workflow(seen: Seen, action: str, args: Mapping[str, Any], random: Random) -> _Next:
    """Another try reaches more nodes or fails again; who waits is later still."""
    facts = dict(seen.facts)
    if action == "retry_step" and random.random() > float(facts.get("recovers", 50.0)) / 100:
        facts["attempts"] = int(facts["attempts"]) + 1
        return Seen(facts, seen.candidates), "workflow_looks"
    if action == "hold" and facts["trouble"] == "late" and random.random() < 0.5:
        facts["elapsed"] = float(facts["elapsed"]) + 50.0
        return Seen(facts, seen.candidates), "workflow_looks"
    return None


_GOES_ON: Mapping[str, Callable[[Seen, str, Mapping[str, Any], Random], _Next]] = {
    ROLLOUT.name: _rollout,
    STORM.name: _storm,
    COORDINATION.name: _workflow,
}
