"""Those around the nodes of `pressed`: who asks what is done about each, who answers what goes up, and who says what
came of it. All of them speak with ELIAS over HTTP alone, as anybody would.

A question goes its way in seconds: asked; answered by the policy, or after a moment by an operator; what came of
leaving a node as it is said; and then the node is calm again, which the rules take as the end of it.
"""

import threading
import time
from collections import deque
from random import Random
from typing import Any, NamedTuple

import httpx

from federation import decide
from federation.ledger.store import Store
from federation.life import Life, life_of
from federation.settings import Settings
from managers.uim import tokens
from managers.uim.cli.client import url_of
from training.demo_learning.pressed import CALM, POINT, Pressed, good

BATCH = 100  # events and outcomes that are posted together
TURN = 0.5  # seconds between two batches
THINKS = 1.0  # seconds that an operator takes
LASTS = 3.0  # seconds until a node is calm again
RESTS = 2.0  # seconds after which it may be asked about anew
IDLE = 4.0  # seconds after which it is measured again: of one that is silent for long no rule knows what was
TRIES = 5  # times that somebody says what came of a decision
AGAIN = 1.0  # seconds until what could not be sent is sent again


_PASSING = (429, 502, 503, 504)


class Counted(NamedTuple):
    """asked: questions that were decided about or wait. up: of these, those that went up a tier."""

    asked: int
    up: int

    def since(self, before: "Counted") -> "Counted":
        return Counted(self.asked - before.asked, self.up - before.up)

    @property
    def share(self) -> float:
        return self.up / self.asked if self.asked else 0.0


class _Ended(Exception):
    """It was closed before it was through."""


class _Open(NamedTuple):
    decision: str
    node: str
    due: float
    tries: int = 0


class People:
    """rate: questions a second; it may be set at any time. skill: share of the operator's answers that are right by
    what usually comes of it; the rest is drawn from the others. world: as it is now; whoever changes it tells it here
    too."""

    def __init__(self, settings: Settings, world: Pressed, nodes: list[str], rate: float, skill: float) -> None:
        self.world, self.rate, self.skill = world, rate, skill
        self.counted = Counted(0, 0)
        self.refused: dict[str, int] = {}
        self._random = Random(f"{world.seed} people")
        self._store = Store.open(settings.ledger_url, read_only=True)
        headers = {"Authorization": f"Bearer {tokens.read(settings.state)}"}
        self._http = httpx.Client(base_url=url_of(settings), headers=headers, timeout=30.0)
        self._source = f"world/{world.seed}/{time.time_ns()}"
        self._free, self._number, self._owed = deque[tuple[float, str]](), 0, 0.0
        self._up, self._told = deque[_Open](), deque[_Open]()
        self._calm = deque((0.0, node) for node in nodes)  # nobody knows a node that was never calm
        self._resting = deque[tuple[float, str]]()
        self._ending = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="people")

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raises what ended the asking, if anything did."""
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._http.close()
        self._store.close()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._ending.wait(TURN):
            now = time.monotonic()
            self._owed = min(BATCH, self._owed + self.rate * (now - last))
            last = now
            try:
                self._turn(now)
            except _Ended:
                return
            except Exception as error:  # for whoever looks next, in a thread of his own
                self._failed = error
                return

    def _turn(self, now: float) -> None:
        while self._resting and self._resting[0][0] <= now:
            self._free.append((now, self._resting.popleft()[1]))
        while self._up and self._up[0].due <= now:
            self._answer(self._up.popleft(), now)
        self._tell(now)
        self._ask(now)
        while self._free and self._free[0][0] + IDLE <= now:
            self._calm.append((now, self._free.popleft()[1]))
        self._soothe(now)

    # -- asking ------------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        count = min(int(self._owed), len(self._free))
        if not count:
            return
        self._owed -= count
        chosen = [self._free.popleft()[1] for _ in range(count)]
        events = [self._event(node, self.world.question(self._number)) for node in chosen]
        for node, result in zip(chosen, self._post(events), strict=True):
            decision = next(iter(result.get("decisions") or ()), None)
            if decision is None:
                self._count("question", str(result.get("error")))
                self._resting.append((now + RESTS, node))
                continue
            waits = decision["status"] == "waiting"
            self.counted = Counted(self.counted.asked + 1, self.counted.up + waits)
            if waits:
                self._up.append(_Open(decision["id"], node, now + THINKS))
            else:
                self._decided(_Open(decision["id"], node, now), decision["action"], now)

    def _decided(self, one: _Open, action: str, now: float) -> None:
        if action == POINT.schema.terminal:
            self._told.append(one)
        self._calm.append((now + LASTS, one.node))

    def _soothe(self, now: float) -> None:
        nodes = list[str]()
        while self._calm and self._calm[0][0] <= now and len(nodes) < BATCH:
            nodes.append(self._calm.popleft()[1])
        if nodes:
            self._post([self._event(node, CALM) for node in nodes])
            self._resting.extend((now + RESTS, node) for node in nodes)

    def _event(self, node: str, data: dict[str, float]) -> dict[str, Any]:
        self._number += 1
        return {
            "specversion": "1.0",
            "id": str(self._number),
            "source": self._source,
            "type": POINT.events[0],
            "subject": node,
            "data": data,
        }

    def _post(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self._sent("/v1/events", events)["results"]
        return results

    # -- answering, and telling what came of it ----------------------------------------------------------------------

    def _answer(self, one: _Open, now: float) -> None:
        """An operator sees what the policy would do, and agrees where nothing is better."""
        life = self._life(one.decision)
        if life.scored is None and one.tries < TRIES:
            self._up.append(one._replace(due=now + THINKS, tries=one.tries + 1))
            return
        usually = self.world.usually(one.decision, life.asked)
        right = good(life.asked, usually)
        proposed = life.scored.choice if life.scored is not None else None
        choice = proposed if proposed in right else right[0]
        if self._random.random() >= self.skill:
            wrong = [index for index in decide.offered(life.asked, POINT.schema.terminal) if index not in right]
            choice = self._random.choice(wrong or right)
        chosen = life.asked.candidates[choice]
        try:
            reply = self._sent(f"/v1/cases/{one.decision}/answer", {"action": chosen.action, "args": dict(chosen.args)})
        except httpx.HTTPStatusError as error:
            self._count("answer", error.response.text[:200])
            given = self._life(one.decision).answered
            if given is None:
                self._calm.append((now, one.node))
            else:  # taken the first time, and the reply was lost
                self._decided(one, given.action, now)
            return
        (answered,) = reply["decisions"]
        if answered["status"] == "waiting":  # it is asked again, for the choice is no longer possible
            self._up.append(one._replace(due=now + THINKS, tries=one.tries + 1))
        else:
            self._decided(one, answered["action"], now)

    def _tell(self, now: float) -> None:
        """What came of leaving a node as it is, which no executor can say."""
        batch = [self._told.popleft() for _ in range(min(BATCH, len(self._told)))]
        known = [(one, self._life(one.decision)) for one in batch]
        body = [
            {
                "decision": one.decision,
                "reward": self.world.came(one.decision, life.asked, life.answered.choice),
                "words": "seen three minutes later",
            }
            for one, life in known
            if life.answered is not None and life.answered.choice is not None
        ]
        if body:
            for result in self._sent("/v1/decisions/outcomes", {"outcomes": body})["results"]:
                if result["code"]:
                    self._count("outcome", f"{result['code']} {result['message']}"[:200])

    def _life(self, decision: str) -> Life:
        life = life_of(self._store.decision(decision))
        assert life is not None, "it was answered, so it is on record"
        return life

    def _sent(self, path: str, body: Any) -> Any:
        """Sent until it is taken: an event that was taken although the reply was lost is known by its id. Raises
        HTTPStatusError where it is refused."""
        while True:
            try:
                answer = self._http.post(path, json=body)
            except httpx.TransportError as error:
                self._count("away", type(error).__name__)
            else:
                if answer.status_code not in _PASSING:
                    answer.raise_for_status()
                    return answer.json()
                self._count("away", str(answer.status_code))
            if self._ending.wait(AGAIN):
                raise _Ended

    def _count(self, what: str, why: str) -> None:
        key = f"{what}: {why}"[:160]
        self.refused[key] = self.refused.get(key, 0) + 1
