"""What the ledger says of a trial: how often the challenger agreed in the shadow, and what came of both arms' units.

A decision that went up a tier tells whether its arm's choice was right, one that the policy made tells by its outcome.
What nobody was asked about, has no effect, and of which nobody said what came of it, can tell nothing, in either arm,
and is left out.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from federation.clock import SECOND
from federation.life import life_of
from federation.points import DecisionPoint
from federation.policy.arms import Canary
from federation.policy.audit import ABOVE
from federation.policy.evidence import Records
from federation.policy.promotions import Lot, Shadowed
from federation.policy.registry import Trial
from federation.policy.sequential import Evidence, Verdict, verdict
from federation.policy.tier import CHALLENGER
from federation.policy.turns import drawn_by
from federation.records import Kind, Record, Scored, decode

SAMPLE = 64
"""Decisions of a unit that are looked at, the first: their mean is one observation, however many there are."""


AT_ONCE = 2000
"""Records that are read, and decisions that are looked up, before others get their turn: half a second. The rest of a
long trial follows at the next looks, as after a restart."""


class Decision(NamedTuple):
    id: str
    attempt: int
    choice: int | None
    lot: Lot


class Observed:
    """Of one trial; grows with the ledger. after: the record before which the trial was not there.

    shadowed, agreed: questions that the challenger was asked in the shadow, and those at which it said what the
    champion did. decided, counted: by its share of the units then, decisions that fell to the challenger, and units of
    its own of which it is known what came of them.
    """

    def __init__(self, store: Records, point: DecisionPoint, trial: Trial, after: int) -> None:
        self.number = trial.number
        self._block = trial.block
        self.shadowed = self.agreed = 0
        self.decided, self.counted = Counter[float](), Counter[float]()
        self._store, self._point, self._cursor = store, point, after
        self._due = round(point.outcome.seconds * SECOND)
        self._canary = Canary(drawn_by(point.name, trial.number), point.outcome.bounds, self._due, trial.block)
        self._open: dict[str, list[Decision]] = {}

    @property
    def evidence(self) -> Evidence:
        return self._canary.evidence

    @property
    def verdict(self) -> Verdict:
        return verdict(self.evidence)

    def read(self, now: int) -> None:
        """Take in what the ledger has since. now: ledger time (ns): units whose outcomes are all due by then count, in
        the order in which they came due, however often one looks."""
        kinds = [Kind.SHADOWED, Kind.SCORED]
        for count, record in enumerate(
            self._store.read(after=self._cursor, kinds=kinds, points=[self._point.name]), start=1
        ):
            self._cursor = record.header.seq
            body = decode(record.header.kind, record.body)
            if isinstance(body, Shadowed) and body.trial == self.number:
                self.shadowed += 1
                self.agreed += body.agrees
            elif isinstance(body, Scored) and body.lot is not None and body.lot.trial == self.number:
                self.decided[body.lot.share] += body.lot.arm == CHALLENGER
                decisions = self._open.setdefault(body.lot.unit, [])
                if len(decisions) < SAMPLE:
                    decisions.append(Decision(record.header.decision, body.attempt, body.choice, body.lot))
            if count == AT_ONCE:
                now = min(now, record.header.time)
                break
        looked = 0
        for unit in sorted((one for one in self._open if self._closes(one) <= now), key=lambda o: (self._begins(o), o)):
            if looked >= AT_ONCE:
                break
            decisions = self._open.pop(unit)
            looked += len(decisions)
            self._count(unit, decisions)
        self._canary.settle(now)

    def _count(self, unit: str, decisions: list[Decision]) -> None:
        """A unit during which the share changed was not drawn as one, and tells nothing."""
        (lot, *others) = {decision.lot for decision in decisions}
        if others:
            return
        rewards = [self._reward(decision, self._closes(unit)) for decision in decisions]
        known = [reward for reward in rewards if reward is not None]
        for reward in known:
            self._canary.decided(unit, self._begins(unit), lot.share)
            self._canary.came(unit, reward)
        self.counted[lot.share] += bool(known) and lot.arm == CHALLENGER

    def _reward(self, decision: Decision, closes: int) -> float | None:
        """None: nothing was to come of it. What has not come in time is the worst."""
        worst, best = self._point.outcome.bounds
        life = life_of(_by(self._store.decision(decision.id), closes))
        if life is None or life.asked.attempt != decision.attempt or decision.choice is None:
            return None
        answered = life.answered
        if answered is not None and answered.tier == "policy":
            if life.outcome is None:
                return worst if life.effects else None
            known = life.outcome.reward
            return known if known is not None else best if life.outcome.status == "done" else worst
        right = answered is not None and answered.tier in ABOVE and answered.choice == decision.choice
        return best if right else worst

    def _closes(self, unit: str) -> int:
        return self._begins(unit) + self._block + self._due

    def _begins(self, unit: str) -> int:
        """Ledger time (ns) at which the block of a unit begins."""
        return int(unit.rpartition("@")[2]) * self._block


def begun(store: Records, point: str, trial: Trial) -> int:
    """Number of the record before the first one of a trial that is on record; 0 where it cannot be found."""
    seqs = [
        record.header.seq
        for record in store.latest(1000, kinds=[Kind.PROMOTION], points=[point])
        if decode(Kind.PROMOTION, record.body).trial == trial.number
    ]
    return min(seqs, default=1) - 1


def _by(records: Sequence[Record], time: int) -> list[Record]:
    return [record for record in records if record.header.time <= time]
