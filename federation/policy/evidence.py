"""What the ledger says of a policy since it lost its right to decide alone at a point, and a calibration from it.

From then on every question there goes to the tier above, sure or not, so each one gets an answer that tells which
candidate was right, and those to come are drawn from the same world. What was answered before is left out: the unsure
questions were answered more often than the sure ones, and it is the world that is gone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from federation.errors import Corrupt
from federation.policy.audit import ABOVE
from federation.policy.question import Scores
from federation.records import Answered, Drift, Kind, Outcome, Recalibrated, Record, Scored, decode, encode


class Records(Protocol):
    """What is read of the ledger (`federation.ledger.store.Store`)."""

    def read(
        self, *, after: int = 0, upto: int | None = None, kinds: Sequence[str] = (), points: Sequence[str] = ()
    ) -> Iterator[Record]: ...

    def latest(self, limit: int, *, kinds: Sequence[str] = (), points: Sequence[str] = ()) -> list[Record]: ...

    def decision(self, id: str) -> list[Record]: ...


class Told(NamedTuple):
    """A question and what came of it. seq: of the answer. scores: of the candidates that were offered. right: position
    of the right one; None: none is known to be. digest: SHA-256 over its records."""

    seq: int
    scores: Scores
    right: int | None
    digest: bytes


class Evidence:
    """Of one policy at one point since record `after`, grows with the ledger. upto: the newest record that counts."""

    def __init__(self, store: Records, point: str, policy: str, after: int) -> None:
        self.point, self.policy, self.after = point, policy, after
        self.upto = self._cursor = after
        self._store = store
        self._waiting: dict[tuple[str, int], Scored] = {}
        self._told: list[Told] = []

    def __len__(self) -> int:
        return len(self._told)

    def told(self) -> list[Told]:
        """In the order of the answers."""
        return sorted(self._told)

    def read(self, upto: int | None = None) -> None:
        """Take in what the ledger has since, up to that record: few of a point's questions are asked of the policy, so
        the answers are looked up and not sought."""
        for record in self._store.read(after=self._cursor, upto=upto, kinds=[Kind.SCORED], points=[self.point]):
            self._cursor = record.header.seq
            scored: Scored = decode(Kind.SCORED, record.body)
            if scored.policy == self.policy and scored.threshold is None:
                self._waiting[record.header.decision, record.header.attempt] = scored
        for (decision, attempt), scored in list(self._waiting.items()):
            records = [one for one in self._store.decision(decision) if upto is None or one.header.seq <= upto]
            mine = [one for one in records if one.header.attempt == attempt or one.header.kind == Kind.OUTCOME]
            answer = next((one for one in mine if one.header.kind == Kind.ANSWERED), None)
            if answer is not None:
                del self._waiting[decision, attempt]
                self.upto = max(self.upto, answer.header.seq)
                answered: Answered = decode(Kind.ANSWERED, answer.body)
                if answered.tier in ABOVE and answered.choice in scored.offered:
                    self._told.append(_told(scored, answered.choice, answer.header.seq, mine))


def _told(scored: Scored, choice: int, seq: int, records: list[Record]) -> Told:
    """An answer that came to nothing was not right after all."""
    outcomes: list[Outcome] = [decode(Kind.OUTCOME, one.body) for one in records if one.header.kind == Kind.OUTCOME]
    failed = any(outcome.reward is not None and outcome.reward <= 0 for outcome in outcomes)
    digest = hashlib.sha256(b"".join(record.leaf() for record in records)).digest()
    return Told(seq, tuple(scored.logs), None if failed else scored.offered.index(choice), digest)


def recalibrated(store: Records, point: str, after: int, upto: int, times: int) -> Recalibrated:
    """A calibration from what the ledger holds between the record `after`, of the drift, and `upto`: every second
    question is fitted on, the others are tested on. times: how often the policy was calibrated at the point, this one
    included.

    The same for ever, as the records are. Raises Corrupt where `after` is no drift. 0.2 s for 1,000 questions.
    """
    from federation.policy.fitting import calibrate, marked  # noqa: PLC0415 - SciPy, for whoever calibrates

    drift = next(store.read(after=after - 1, upto=after, kinds=[Kind.DRIFT], points=[point]), None)
    if drift is None:
        raise Corrupt(f"record {after} is no drift at {point}; `elias ledger verify` says what is missing")
    broken: Drift = decode(Kind.DRIFT, drift.body)
    evidence = Evidence(store, point, broken.policy, after)
    evidence.read(upto)
    told = evidence.told()
    right = [[number == one.right for number in range(len(one.scores))] for one in told]
    fitting, testing = (marked([one.scores for one in told[half::2]], right[half::2]) for half in (0, 1))
    found = calibrate(fitting, testing, broken.version, times)
    enough = found.threshold(broken.max_error) is not None
    proof = hashlib.sha256(b"".join(one.digest for one in told)).hexdigest()
    body = Recalibrated("", broken.policy, found, proof, after, upto, enough)
    return msgspec.structs.replace(body, digest=hashlib.sha256(encode(body)).hexdigest())
