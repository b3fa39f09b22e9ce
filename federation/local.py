"""A federation in one process, without Ray: the same desks, gate, appender and executors on any clock.

Replays, simulations and most tests run here. What differs from a cluster is only who carries the messages.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tiki
from federation.advisors.question import Advice, Question
from federation.clock import Clock
from federation.counsel import Heard
from federation.desk import Desk
from federation.effects import Executor
from federation.errors import Refused
from federation.gate import Gate, order_of
from federation.ledger.appender import Appender, Batch
from federation.ledger.store import Store
from federation.manager import Emission, Manager, hears
from federation.points import DecisionPoint, versions
from federation.policy.tier import Consult, Said, Tier
from federation.records import BundleText, Entry, Event, Kind, Outcome, encode
from federation.replies import Rejected, Reply
from federation.settings import Settings


def points_of(managers: Iterable[type[Manager]]) -> dict[str, DecisionPoint]:
    """The points of these managers and of the gate, by name."""
    everyone: tuple[type[Manager], ...] = (*managers, Gate)
    return {p.name: p for m in everyone for p in m.points}


class LocalFederation:
    """`executors`: by node name; an effect for a node that has none stays released."""

    def __init__(
        self,
        managers: Sequence[Manager],
        bundle: tiki.Bundle,
        store: Store,
        clock: Clock,
        settings: Settings,
        executors: Mapping[str, Executor] | None = None,
        tier: Tier | None = None,
    ) -> None:
        """The advisors of the settings are asked by whoever carries `questions`."""
        self.clock, self.store, self.settings = clock, store, settings
        self.executors: Mapping[str, Executor] = executors if executors is not None else {}
        self.appender = Appender(store, clock, "local")
        self.epoch = self.appender.open(force=True)
        self.gate = Gate(settings)
        everyone: list[Manager] = [*managers, self.gate]
        self.desks = {m.name: Desk(m, bundle, store, tier, advisors=settings.advisors) for m in everyone}
        self._incarnations = {name: self.appender.register(name, {}) for name in self.desks}
        self._numbers = dict.fromkeys(self.desks, 0)
        self.gate.epoch, self.gate.incarnation = self.epoch, self._incarnations["gate"]
        self._cursor = 0
        self._by_type = {kind: desk for desk in self.desks.values() for kind in desk.by_type}
        self.put_in_force(bundle)

    def put_in_force(self, bundle: tiki.Bundle) -> None:
        points = points_of(type(d.manager) for d in self.desks.values() if d.manager is not self.gate)
        text = BundleText(bundle.digest, bundle.texts, versions(points))
        self._commit("gate", [Entry(Kind.BUNDLE, "", "", "", encode(text))])
        for desk in self.desks.values():
            desk.use(bundle)

    def post(self, events: Sequence[Event]) -> list[list[Reply] | Rejected]:
        """Decide events as the gateway would: all of them of types that one manager answers."""
        desk = self._by_type[events[0].type]
        work = desk.handle(events, self.clock.now())
        self._commit(desk.manager.name, work.entries)
        self.settle()
        return work.replies

    def report(self, manager: str, reports: Iterable[Mapping[str, Any]]) -> None:
        self._commit(manager, self.desks[manager].watch(reports, self.clock.now()))
        self.settle()

    def tick(self) -> None:
        self.appender.tick()
        for name, desk in self.desks.items():
            self._commit(name, desk.tick(self.clock.now()))
        self.settle()

    def answer(
        self, manager: str, decision: str, action: str, by: str = "operator", words: str = "", **args: Any
    ) -> Reply:
        reply, entries = self.desks[manager].answer(decision, action, args, by, words, self.clock.now())
        self._commit(manager, entries)
        self.settle()
        return reply

    def report_outcomes(
        self, manager: str, outcomes: Iterable[tuple[str, float, str]], by: str
    ) -> list[Refused | None]:
        """See `Desk.report_outcomes`."""
        found, entries = self.desks[manager].report_outcomes(outcomes, by)
        self._commit(manager, entries)
        self.settle()
        return found

    def consults(self) -> dict[str, Consult]:
        """What waits for the policy, by decision."""
        return {d: desk.consult(d) for desk in self.desks.values() for d in desk.consulting}

    def hear(self, said: Mapping[str, Heard]) -> dict[str, Reply]:
        """Take the policy's word on some of `consults`."""
        replies: dict[str, Reply] = {}
        for name, desk in self.desks.items():
            entries, heard = desk.hear({d: one for d, one in said.items() if d in desk.consulting}, self.clock.now())
            self._commit(name, entries)
            replies |= heard
        self.settle()
        return replies

    def shadows(self) -> dict[str, Consult]:
        """What challengers in the shadow are to be asked, by decision."""
        return {d: consult for desk in self.desks.values() for d, consult in desk.shadows().items()}

    def overhear(self, said: Mapping[str, Said | None]) -> None:
        """Take what challengers said to all of `shadows`."""
        for name, desk in self.desks.items():
            self._commit(name, desk.overhear(said, self.clock.now()))

    def questions(self) -> dict[str, Question]:
        """What waits for an advisor, by decision."""
        return {d: desk.question(d) for desk in self.desks.values() for d in desk.advising}

    def advise(self, question: Question, advice: Advice) -> Reply | None:
        """Take an advisor's word on one of `questions`. None: it came too late."""
        name = question.point.partition(".")[0]
        entries, reply = self.desks[name].advise(question, advice, self.clock.now())
        self._commit(name, entries)
        self.settle()
        return reply

    def note(self, emission: Emission, writer: str = "gate") -> None:
        """Put a person's word (mode, freeze; a word on cases through UIM) on the log."""
        entry = Entry(emission.kind, emission.point, emission.subject, emission.decision, encode(emission.body))
        self._commit(writer, [entry])
        self.desks[writer].take(entry)
        self._commit(writer, self.desks[writer].settle(self.clock.now()))
        self.settle()

    def settle(self) -> None:
        """Carry records to those who follow them until nobody has more to say."""
        while self._cursor < self.appender.head.size:
            new = list(self.store.read(after=self._cursor))
            self._cursor = new[-1].header.seq
            for name, desk in self.desks.items():
                mine = [
                    r
                    for r in new
                    if r.header.writer != name and hears(desk.manager, r.header.kind, r.header.point, r.body)
                ]
                if mine:
                    self._commit(name, desk.follow(mine, self.clock.now()))

    async def act(self) -> int:
        """Send what is released to its executor and record the outcomes; returns how many acted."""
        done = 0
        for decision, wish in list(self.gate.state.released.items()):
            executor = self.executors.get(wish.effect.node)
            if executor is None:
                continue
            self.outcome(decision, await executor.perform(order_of(wish)))
            done += 1
        return done

    def outcome(self, decision: str, outcome: Outcome) -> None:
        wish = self.gate.state.released[decision]
        entry = Entry(Kind.OUTCOME, wish.point, wish.subject, decision, encode(outcome))
        self._commit("gate", [entry])
        self.desks["gate"].take(entry)
        self.settle()

    def _commit(self, writer: str, entries: list[Entry]) -> None:
        if not entries:
            return
        batch = Batch(writer, self._incarnations[writer], self._numbers[writer], entries)
        (receipt,) = self.appender.commit([batch])
        if isinstance(receipt, Exception):
            raise receipt
        self._numbers[writer] += 1
