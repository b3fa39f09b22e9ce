"""A simulated world beside a federation in one process, on a virtual clock: a week in minutes.

Everything that decides is what decides on a cluster: desks, gate, executors, ledger and the embedded policy. What the
specs and the policy leave open goes to an advisor of stated skill where a cluster would ask one, and else waits for a
person: at a critical point, wherever policy and advisor do not agree.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self

import tiki
from federation import decide
from federation.advisors.question import Advice, Question
from federation.cases import Case
from federation.clock import SECOND, VirtualClock
from federation.counsel import Heard
from federation.effects import Executor, FreezeFlag
from federation.errors import Refused
from federation.gate import Wish, order_of
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission, Manager
from federation.points import Mode, schemas
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED, Said, Tier
from federation.records import Answered, Asked, Effect, Event, Kind, Outcome, decode
from federation.records import Mode as ModeBody
from federation.replies import Rejected
from federation.settings import Settings, shipped_specs
from managers.uam import apps
from managers.uam.manager import Uam
from managers.ucm.manager import Ucm
from managers.ufm.manager import Ufm
from managers.uim.manager import Uim
from managers.ulm.manager import Ulm
from managers.urm.manager import Urm
from training.world import calls, hindsight
from training.world.answerers import Answerer
from training.world.doers import Hands, Letters
from training.world.folder import declared, reversible
from training.world.mail import TARGETS
from training.world.tally import Tally
from training.world.world import World

LISTENERS = ("ufm", "urm", "ulm", "uam")
PATIENCE = 3600.0  # seconds of real time for a batch of questions to the policy: virtual time stands still meanwhile
SURE = 0.9  # how sure the advisor says it is of what it answers
GRACE = 5.0  # seconds past its expiry that an effect on a node that is not heard counts as lost


class _Turn(NamedTuple):
    """Whose word on a decision is awaited. tier: advisor or operator."""

    manager: str
    decision: str
    attempt: int
    tier: str


class _Due(NamedTuple):
    """Somebody answers at this ledger time (ns)."""

    at: int
    turn: _Turn


class Run:
    """advisor: is asked at every point at which a cluster with advisors would ask one. interval: seconds between two
    reports of a node. specs: folder of the rules in force; by default those that ship."""

    def __init__(
        self,
        world: World,
        folder: Path,
        advisor: Answerer,
        person: Answerer,
        *,
        interval: float = 10.0,
        seed: int = 0,
        specs: Path | None = None,
    ) -> None:
        self.world, self.advisor, self.person, self.interval = world, advisor, person, interval
        self.clock, self.tally = VirtualClock(), Tally()
        self.settings = _settings(folder, interval)
        self.uam = Uam(self.settings)
        others: list[Manager] = [made(self.settings) for made in (Ufm, Ucm, Urm, Ulm, Uim)]
        managers = [*others, self.uam]
        self.points = points_of(type(manager) for manager in managers)
        bundle = tiki.load(specs or shipped_specs(), schemas(self.points))
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.hands = Hands(world)
        nodes = dict.fromkeys(world.fleet.machines, self._executor(folder / "nodes.db", self.hands.doers()))
        letters = {"message.deliver": Letters(world.mail, self.clock)}
        executors = {**nodes, "@ucm": self._executor(folder / "ucm.db", letters)}
        tier = Tier.of(self.settings.policy)
        self.federation = LocalFederation(managers, bundle, self.store, self.clock, self.settings, executors, tier)
        self._engine = Embedded(SHIPPED)
        self._random = Random(f"{seed} draws")
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._due: list[_Due] = []
        self._known: set[_Turn] = set()
        self._read = self._answers = 0

    def _executor(self, path: Path, doers: Mapping[str, Any]) -> Executor:
        return Executor(path, doers, self.clock, FreezeFlag(self.settings.state))

    async def __aenter__(self) -> Self:
        """Reversible actions act, applications are declared."""
        for action in reversible(self.points):
            self.federation.note(Emission(Kind.MODE, "", "", "", ModeBody(action, Mode.ACT, "the week")))
        self.uam.declare(apps.load(declared(self.settings.state)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for executor in {id(e): e for e in self.federation.executors.values()}.values():
            executor.close()
        await self._engine.close()
        self.store.close()

    async def go_on(self, seconds: float, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """progress: called with the steps done and in all."""
        steps = round(seconds / self.interval)
        for step in range(steps):
            await self._step()
            progress(step + 1, steps)

    async def _step(self) -> None:
        self.clock.advance(self.interval)
        self.world.advance(self.interval)
        reports = list(self.world.reports())
        for name in LISTENERS:
            self.federation.report(name, reports)
        for event in self.world.take_asks():
            self._post(event)
        self.federation.tick()
        await self._settle()
        self._answer()
        await self._settle()

    def _post(self, event: Event) -> None:
        (reply,) = self.federation.post([event])
        if isinstance(reply, Rejected):
            self.tally.refused[f"{event.type}: {reply.code}"] += 1

    # -- until nothing moves -----------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Effects act, jobs end, the policy answers, and who asked hears it."""
        moved = True
        while moved:
            moved = await self._consult()
            moved = await self._act() or moved
            self._tell()

    async def _consult(self) -> bool:
        consults = self.federation.consults()
        if not consults:
            return False
        asked = [consult.prompt for consult in consults.values() if consult.at_once is None]
        scores = iter(await self._engine.score(asked, PATIENCE) if asked else ())
        said = {
            decision: consult.at_once or consult.heard(Said(self._engine.version, "embedded", next(scores)))
            for decision, consult in consults.items()
        }
        self.federation.hear(
            {d: Heard(one.offered, said[d], self._random.random(), turn=one.turn) for d, one in consults.items()}
        )
        return True

    async def _act(self) -> bool:
        self.hands.settle()
        for decision, wish in list(self.federation.gate.state.released.items()):
            if decision not in self._tasks:
                self._begin(decision, wish)
        for _ in range(4):  # what can end now does so within a few turns of the loop
            await asyncio.sleep(0)
        ended = [decision for decision, task in self._tasks.items() if task.done()]
        for decision in ended:
            outcome = self._tasks.pop(decision).result()
            if decision in self.federation.gate.state.released:
                self.federation.outcome(decision, outcome)
        return bool(ended)

    def _begin(self, decision: str, wish: Wish) -> None:
        order, effect = order_of(wish), wish.effect
        executor = self.federation.executors.get(effect.node)
        if executor is None or not self._reached(effect.node):
            if self.clock.now() > effect.expires + round(GRACE * SECOND):
                self.federation.outcome(decision, Outcome("unknown", f"{effect.node} was not reached in time"))
            return
        if effect.disruptive:
            called_for = hindsight.trouble(self.world, effect.action, wish.subject)
            self.tally.effects[f"{wish.point}/{effect.action}", called_for] += 1
            began = self.world.troubles.latest("node", wish.subject)
            if effect.action == "drain" and called_for and began is not None:
                self.tally.drained.append(self.world.now - began.at)
        self._tasks[decision] = asyncio.ensure_future(executor.perform(order))

    def _reached(self, node: str) -> bool:
        return node not in self.world.fleet.machines or self.world.fleet.heard(node)

    def _tell(self) -> None:
        """Who asked the world's questions hears the answers."""
        answers = sum(desk.figures.answered.total() for desk in self.federation.desks.values())
        if answers == self._answers:
            return
        self._answers = answers
        for record in self.store.read(after=self._read):
            self._read = record.header.seq
            point, subject = record.header.point, record.header.subject
            if record.header.kind == Kind.EFFECT:
                effect: Effect = decode(Kind.EFFECT, record.body)
                if effect.verdict == "withheld":
                    self.tally.withholds(point, self.world.now, subject)
            if record.header.kind != Kind.ANSWERED:
                continue
            answered: Answered = decode(Kind.ANSWERED, record.body)
            matter = self.world.matters.open.get(subject)
            if matter is not None and matter.point == point and not matter.settled:
                right = hindsight.right(self.world, point, self._asked(record.header.decision))
                self.tally.answered(point, answered.tier, answered.choice in right)
                if answered.action == "verify":
                    self.tally.verifies(point, self.world.now, subject)
                self.world.answered(subject, answered.action, answered.args)
            else:
                self.tally.answered(point, answered.tier)
                self._observed(point, subject, answered)

    def _observed(self, point: str, subject: str, answered: Answered) -> None:
        """What would have been done, where the mode only observes."""
        does = self.points[point].effects.get(answered.action)
        if answered.mode == Mode.OBSERVE and does is not None and does.disruptive:
            called_for = hindsight.trouble(self.world, answered.action, subject)
            self.tally.observed[f"{point}/{answered.action}", called_for] += 1

    # -- cases -------------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        for manager, desk in self.federation.desks.items():
            for decision, case in desk.cases.open.items():
                turn = _Turn(manager, decision, case.attempt, case.tier)
                if case.tier in ("advisor", "operator") and turn not in self._known:
                    self._known.add(turn)
                    self._expect(turn, case)
        while self._due and self._due[0].at <= self.clock.now():
            self._reply(heapq.heappop(self._due).turn)

    def _expect(self, turn: _Turn, case: Case) -> None:
        who = self.advisor if turn.tier == "advisor" else self.person
        if who is self.person:
            records = [(r.header.kind, decode(r.header.kind, r.body)) for r in self.store.decision(case.decision)]
            why = calls.cause(self.points[case.point], records)
            self.tally.paged(case.point, self.world.now, case.subject, why)
        heapq.heappush(self._due, _Due(self.clock.now() + round(who.takes * SECOND), turn))

    def _reply(self, turn: _Turn) -> None:
        desk = self.federation.desks[turn.manager]
        case = desk.cases.open.get(turn.decision)
        if case is None or (case.attempt, case.tier) != (turn.attempt, turn.tier):
            return  # it has timed out, or was asked again
        if turn.tier == "advisor":
            self._advise(desk.question(turn.decision))
            return
        asked = self._asked(turn.decision)
        choice = self._choice(self.person, case.point, asked)
        if choice is None:
            return  # nobody knows; the case has its time-out
        candidate = asked.candidates[choice]
        with contextlib.suppress(Refused):  # what was chosen is no longer offered
            self.federation.answer(
                turn.manager, turn.decision, candidate.action, self.person.name, "as it looks now", **candidate.args
            )

    def _advise(self, question: Question) -> None:
        choice = self._choice(self.advisor, question.point, question.asked)
        sure = None if choice is None else SURE
        said = Advice("simulated", self.advisor.name, choice, sure, "as it looks now", seconds=self.advisor.takes)
        self.federation.advise(question, said)

    def _choice(self, who: Answerer, point: str, asked: Asked) -> int | None:
        """The candidate that somebody chooses, by index; None: a person is to."""
        offered = decide.offered(asked, self.points[point].terminal)
        choice = who.answer(self.world, point, asked, offered)
        if choice is None:
            return None
        self.tally.words[who.name, point, choice.is_right] += 1
        return choice.candidate

    def _asked(self, decision: str) -> Asked:
        records = self.store.decision(decision)
        asked: Asked = next(decode(r.header.kind, r.body) for r in reversed(records) if r.header.kind == Kind.ASKED)
        return asked


def _settings(folder: Path, interval: float) -> Settings:
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    targets = {target: {"kind": "webhook", "url": "http://127.0.0.1:9"} for target in TARGETS}
    advisor = {"kind": "openai", "model": "simulated", "base_url": "http://127.0.0.1:9"}  # nobody listens there
    sections = {"telemetry": {"interval": interval}, "targets": targets, "advisors": {"providers": [advisor]}}
    return Settings.model_validate({"state": state, **sections})
