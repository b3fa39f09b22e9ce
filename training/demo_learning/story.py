"""The demonstration of learning, from the first question to the end: what happens is what ELIAS does by itself.

The world asks, answers and changes; ELIAS notices, learns, tries and promotes. Of both, this only looks at the ledger
and says what stands there.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray

from federation.errors import Temporary
from federation.ledger.store import Store
from federation.policy import artefacts
from federation.policy.calibration import PointCalibration
from federation.policy.tier import SHIPPED
from federation.records import Asked, Kind, Record, decode
from federation.runtime.service import NAMESPACE, actor_name
from federation.settings import Settings
from training.demo_learning import sabotage
from training.demo_learning.findings import Found, Step
from training.demo_learning.nodes import nodes
from training.demo_learning.people import Counted, People
from training.demo_learning.pressed import POINT, Pressed

NODES = 300
BEFORE = 4000  # decisions before the world changes
LATER = 600  # decisions by which is measured how it is at the end
SKILL = 0.99  # of the operator
SLOWLY = 5.0  # questions a second while each goes to a person
PATIENCE = 1800.0  # seconds within which whatever is awaited has to happen
LOOK = 1.0  # seconds between two looks at the ledger

ULM = ("ulm.calibration", "ulm.retrain", "ulm.should_train", "ulm.training_method", "ulm.base_model", "ulm.promotion")

Tell = Callable[[float, str, str], None]
"""seconds since the beginning, kind, text."""


class Story:
    def __init__(self, settings: Settings, config: Path, seed: int, rate: float, tell: Tell) -> None:
        """rate: questions a second while the policy answers."""
        self.settings, self.config, self.rate, self._tell = settings, config, rate, tell
        self.found = Found(seed)
        self.world = Pressed(seed)
        self.people = People(settings, self.world, nodes(NODES), rate, SKILL)
        self.store = Store.open(settings.ledger_url, read_only=True)
        self.calibration: PointCalibration | None = None
        self.policy = ""
        self._data: Path | None = None
        self._cursor, self._began, self._training = 0, time.monotonic(), time.monotonic()
        self._sabotage: threading.Thread | None = None
        self._foul: Path | None = None
        self._said = dict[str, str]()

    def close(self) -> None:
        self.people.close()
        if self._sabotage is not None:
            self._sabotage.join()
        self.store.close()

    def tell(self) -> Found:
        """All of it; or as far as it comes, where something that is awaited does not: then promises are not held."""
        self.people.start()
        try:
            for chapter in (self._decides, self._changes, self._learns, self._tries, self._foiled):
                chapter()
        except Temporary as error:
            self._line("world", f"it goes no further: {error}")
        if self._data is not None:
            self._measure()
        self.found.decisions, self.found.seconds = self.people.counted.asked, self._at()
        return self.found

    # -- the chapters ------------------------------------------------------------------------------------------------

    def _decides(self) -> None:
        self._line("world", f"{NODES} nodes ask what is done about them, {self.rate:g} questions a second")
        if self._until_asked(BEFORE):
            why = "the audit gave a false alarm before the world changed, as it may in 5 of 100 runs"
            raise Temporary(f"{why}; another --seed shows the rest")
        self.found.quiet = self.people.counted.share
        self._line(
            "world", f"{self.people.counted.asked} decisions; {self.found.quiet:.1%} went up a tier, to an operator"
        )

    def _changes(self) -> None:
        self._line(
            "world",
            "now jobs that wait are served elsewhere, and memory that rises goes on rising",
        )
        ray.get(ray.get_actor(actor_name("fleet"), NAMESPACE).change.remote())
        self.world.change()
        before = self.people.counted
        drift = self._until(lambda record, body: record.header.kind == Kind.DRIFT)
        self.people.rate = min(self.rate, SLOWLY)
        since = self.people.counted.since(before)
        self.found.noticed, self.found.changed = since.asked, since.share
        self.found.checked, self.found.mistaken = drift.checked, drift.wrong
        self._line(
            "elias",
            f"the audit has noticed: {drift.wrong} of {drift.checked} answers that were checked are wrong, "
            f"{since.asked} decisions after the change; the policy decides nothing alone here any more",
        )

    def _learns(self) -> None:
        before = self.people.counted
        registered = self._until(lambda record, body: record.header.kind == Kind.POLICY)
        self.found.broken = self.people.counted.since(before).share
        self.policy = registered.policy
        self._data = self._learned_from(registered.data["digest"])
        self.found.examples = int(registered.data.get("train", 0))
        self.found.objective = str(registered.preset.get("method", ""))
        self.people.rate = self.rate
        self._sabotage = threading.Thread(target=self._make_foul, name="sabotage")
        self._sabotage.start()

    def _tries(self) -> None:
        self._until(lambda record, body: record.header.kind == Kind.PROMOTION and body.stage in _LAST)
        if self.found.own[-1].stage != "champion":
            raise Temporary("the challenger was not promoted")
        before = self._settled()
        self._until_asked(before.asked + LATER)
        self.found.after = self.people.counted.since(before).share
        self._line("world", f"{self.found.after:.1%} of the questions go up a tier now")

    def _foiled(self) -> None:
        assert self._sabotage is not None
        self._sabotage.join()
        if self._foul is None:
            raise Temporary("the sabotaged challenger could not be made")
        self._line("world", "somebody slips in a policy that was trained on shuffled labels, and claims 12 % for it")
        sabotage.register(self._foul, self.config)
        self._until(lambda record, body: record.header.kind == Kind.PROMOTION and body.stage in _LAST)

    def _measure(self) -> None:
        from training.dataset import store  # noqa: PLC0415 - what follows loads models
        from training.demo_learning.measured import compared, promised  # noqa: PLC0415

        self.people.rate = 0.001
        self._line("world", "asking both policies, and trees, questions that nobody was asked yet")
        assert self._data is not None
        folder = artefacts.place(self.settings.state, self.policy)
        self.found.regret = compared(self.world.scenario, SHIPPED, folder, store.load(self._data).train)
        self.found.alone, self.found.wrong = promised(self.world.scenario, folder, self.calibration)

    # -- sabotage ----------------------------------------------------------------------------------------------------

    def _make_foul(self) -> None:
        assert self._data is not None
        folder = self.settings.state / "sabotage"
        try:
            self._foul = sabotage.made(self._data, self.config, SHIPPED, folder, self.found.seed)
        except Temporary as error:
            self._line("world", f"nobody could make a sabotaged challenger: {error}")

    def _learned_from(self, digest: str) -> Path:
        """The data set of the honest training."""
        (found,) = self.settings.state.glob(f"trainings/*/data/{digest}")
        return found

    # -- what stands in the ledger -----------------------------------------------------------------------------------

    def _until(self, done: Callable[[Record, Any], bool]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for record in self._news():
                body = decode(record.header.kind, record.body)
                self._say(record, body)
                if done(record, body):
                    return body
            self.people.check()
            time.sleep(LOOK)
        raise Temporary(f"what was awaited did not come within {PATIENCE:.0f} s; refused: {self.people.refused}")

    def _news(self) -> Iterator[Record]:
        kinds = [Kind.DRIFT, Kind.POLICY, Kind.PROMOTION]
        upto = self.store.head().size  # of both, or what is written between them would be passed over
        found = [*self.store.read(after=self._cursor, upto=upto, kinds=kinds)]
        steps = [Kind.ANSWERED, Kind.EFFECT, Kind.OUTCOME]
        found += self.store.read(after=self._cursor, upto=upto, kinds=steps, points=ULM)
        for record in sorted(found, key=lambda one: one.header.seq):
            self._cursor = record.header.seq
            yield record

    def _say(self, record: Record, body: Any) -> None:
        header = record.header
        match header.kind:
            case Kind.ANSWERED:
                self._answered(header.point, header.decision, body)
            case Kind.EFFECT if header.point == "ulm.base_model" and body.verdict == "released":
                self._training = time.monotonic()
                self._line("elias", f"a training begins as a job, from `{body.args['base']}`")
            case Kind.OUTCOME if header.point == "ulm.base_model":
                self.found.training = time.monotonic() - self._training
                self._line("elias", f"the training is {body.status} after {self.found.training:.0f} s: {body.detail}")
            case Kind.POLICY:
                gains = {point: one.improvement for point, one in body.estimates.items()}
                gain = (
                    f"the past says that it gains {gains[POINT.name]:.0f} %" if POINT.name in gains else "no estimate"
                )
                self._line("elias", f"policy {body.policy[:12]} is registered; {gain}")
            case Kind.PROMOTION:
                self._promoted(body)

    def _answered(self, point: str, decision: str, body: Any) -> None:
        said = f"{body.action} by {body.clause}"
        if body.action == "hold":
            if point == "ulm.promotion" and self._said.get(point) != said:
                self._line("elias", f"{point}: {said}{self._facts(decision, _SHOWN)}")
        elif point == "ulm.retrain":
            self._line("elias", f"{point}: {said}{self._facts(decision, ('drift', 'lapsed', 'new_examples'))}")
        else:
            args = f" ({', '.join(str(v) for v in body.args.values())})" if point != "ulm.promotion" else ""
            facts = _SHOWN if point == "ulm.promotion" else ()
            self._line("elias", f"{point}: {said}{args}{self._facts(decision, facts)}")
        self._said[point] = said

    def _facts(self, decision: str, names: tuple[str, ...]) -> str:
        asked = next(
            decode(Kind.ASKED, one.body) for one in self.store.decision(decision) if one.header.kind == Kind.ASKED
        )
        assert isinstance(asked, Asked)
        known = [f"{name} {_short(asked.facts[name])}" for name in names if asked.facts.get(name) is not None]
        return f"; {', '.join(known)}" if known else ""

    def _promoted(self, body: Any) -> None:
        step = Step(body.stage, body.share, body.by, self._at())
        own = body.challenger == self.policy
        (self.found.own if own else self.found.foul).append(step)
        if own and body.calibration is not None:
            self.calibration = body.calibration
        self._line("elias", f"{'challenger' if own else 'sabotaged challenger'} {body.challenger[:12]}: {step.name}")

    # -- time --------------------------------------------------------------------------------------------------------

    def _settled(self) -> Counted:
        """Once what was asked before is through."""
        time.sleep(2 * LOOK)
        return self.people.counted

    def _until_asked(self, count: int) -> bool:
        """Whether the audit has raised an alarm meanwhile."""
        alarm = False
        end = time.monotonic() + PATIENCE
        while self.people.counted.asked < count:
            for record in self._news():
                self._say(record, decode(record.header.kind, record.body))
                alarm |= record.header.kind == Kind.DRIFT
            self.people.check()
            if time.monotonic() > end:
                raise Temporary(f"the world could not ask: {self.people.refused}")
            time.sleep(LOOK)
        return alarm

    def _at(self) -> float:
        return time.monotonic() - self._began

    def _line(self, kind: str, text: str) -> None:
        self._tell(self._at(), kind, text)


_LAST = ("champion", "rolled_back", "withdrawn")
_SHOWN = ("stage", "shadowed", "agreement", "share", "units", "improvement", "improvement_low", "significant", "worse")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
