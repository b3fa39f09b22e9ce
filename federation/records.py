"""The records of the ledger: a header that the appender completes, and a body that the writer encoded.

Bodies are JSON with the fields in declaration order, so the same record is the same bytes on every node. msgspec
encodes and decodes them: at 15,000 decisions a second the two bodies of a decision must cost microseconds. Every body
carries its schema version `v`; old versions stay readable.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from federation.bundles.artefact import Signature
from federation.policy.calibration import PointCalibration
from federation.policy.promotions import Lot, Promotion, Registered, Shadowed
from tiki import Latch


class Kind(StrEnum):
    """What a record is. The database holds at most one asked and one answered for each attempt of a decision."""

    EPOCH = "epoch"  # an appender took the lease
    INCARNATION = "incarnation"  # a writer registered anew
    TICK = "tick"  # ledger time passed
    BUNDLE = "bundle"  # a bundle of specs was put in force
    MODE = "mode"  # an action's mode was changed by a person
    FREEZE = "freeze"  # effects were frozen or released by a person
    EVENT = "event"  # something observed that a manager's state needs and that decides nothing by itself
    ASKED = "asked"
    SCORED = "scored"  # what the policy said to an asked decision, and who answers it therefore
    DRIFT = "drift"  # checks have shown that the policy's promise does not hold at a point any more
    CALIBRATION = "calibration"  # a policy was calibrated anew at a point
    POLICY = "policy"  # a policy was put into the store, from which it can be served
    PROMOTION = "promotion"  # a challenger came further at a point, or went back
    SHADOWED = "shadowed"  # what a challenger would have said to a decision that the champion was asked about
    ADVISED = "advised"  # what an advisor said to an asked decision, and who answers it therefore
    ANSWERED = "answered"
    EFFECT = "effect"  # the gate's verdict on an answered decision
    OUTCOME = "outcome"
    CASE = "case"  # a word about open cases that answers none of them
    ACCESS = "access"  # somebody came in, or changed something: the audit trail


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who wrote what, when. `time` is federation time in nanoseconds since 1970; `decision` is empty where there is
    none; `attempt` counts how often it was asked again.
    """

    seq: int
    time: int
    epoch: int
    writer: str
    incarnation: int
    kind: str
    point: str
    subject: str
    decision: str
    attempt: int = 0


class Record(msgspec.Struct, frozen=True, gc=False):
    header: Header
    body: bytes

    def leaf(self) -> bytes:
        """The bytes that the Merkle tree hashes: the header as a JSON array, a newline, the body."""
        return msgspec.json.encode(self.header) + b"\n" + self.body


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record before the appender gave it its place: what a writer hands in."""

    kind: str
    point: str
    subject: str
    decision: str
    body: bytes
    attempt: int = 0


class Event(msgspec.Struct, frozen=True, gc=False):
    """A CloudEvents 1.0 envelope. `time` is the sender's and is information only."""

    id: str
    source: str
    type: str
    subject: str = ""
    time: str | None = None
    data: dict[str, Any] = {}

    def decision(self, point: str) -> str:
        """The decision id of this event at a point: 16 bytes of SHA-256 over (source, id, point), as hex."""
        return hashlib.sha256(msgspec.json.encode((self.source, self.id, point))).hexdigest()[:32]


class Candidate(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One action with its arguments bound. `forbidden` names the guard that took it out; such a candidate is not
    offered.
    """

    action: str
    args: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    forbidden: str | None = None


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What was known and allowed.

    facts: a missing key is unknown, null is absent. held: the truth of each temporal condition of the program, in its
    order; null is unknown. at: the ledger time (ns) that the decision was evaluated for. latch, latched: what was in
    force for the subject before and after. modes: of the candidates' actions that have an effect. attempt: 0, or how
    often it was asked again because the world had changed before the effect. waits: the tier that is awaited, and
    `until` the time (ns) after which `on_timeout` answers; empty: answered in the same commit. reason: why it waits.
    offers: the actions that the spec names for an answer; empty: any.
    """

    event: Event
    facts: dict[str, Any]
    held: list[bool | None]
    latch: Latch | None
    latched: Latch | None
    candidates: list[Candidate]
    bundle: str
    version: int
    at: int
    modes: dict[str, str] = {}
    attempt: int = 0
    waits: str = ""
    until: int = 0
    clause: str = ""
    reason: str = ""
    offers: list[str] = []
    v: int = 1


class Answered(msgspec.Struct, frozen=True, gc=False):
    """What was chosen.

    choice: index into the asked candidates; None: the terminal action without a candidate of its own. tier: rule,
    policy, advisor, operator, fallback, timeout. clause: the clause that decided. mode: observe, approve or act for a
    choice with an effect, else empty.
    """

    choice: int | None
    action: str
    args: dict[str, Any]
    tier: str
    clause: str
    reason: str
    mode: str
    attempt: int = 0
    by: str = ""
    words: str = ""
    v: int = 1


class Scored(msgspec.Struct, frozen=True, gc=False):
    """What the policy said to an asked decision, and who answers it therefore.

    policy: its version; empty: no engine answered in time, and the numbers are missing. offered: indices into the asked
    candidates, in the order in which the policy saw them. logs: natural logarithms of their probabilities, which sum
    to 1. choice: index into the asked candidates. confidence: calibrated probability that the choice is right;
    threshold: from which the policy decides alone; null: it may not. tier: who answers: policy, operator or fallback.
    max_error: the share of wrong answers that the spec allows. calibration: the number of the policy's calibration at
    this point, 0 without one. audit: the policy would have answered, and is checked by the next tier instead.
    propensities: of the offered candidates, that each was going to be taken, the exploration included; empty where the
    policy does not answer. at: ledger time (ns). draw: uniform in [0, 1), by which `propensities` say what is taken
    (`federation.policy.exploration.taken`); 1: the choice is. lot: whom the decision fell to, whoever
    answered in the end; null: no challenger was in its canary.
    """

    policy: str
    engine: str
    offered: list[int]
    logs: list[float]
    choice: int | None
    confidence: float | None
    threshold: float | None
    tier: str
    reason: str
    at: int
    attempt: int = 0
    max_error: float = 0.0
    calibration: int = 0
    audit: bool = False
    propensities: list[float] = []
    draw: float = 1.0
    lot: Lot | None = None
    v: int = 1


class Drift(msgspec.Struct, frozen=True, gc=False):
    """The promise of a policy at a point is taken for broken: it decides nothing alone there until it is calibrated
    anew.

    policy, version: of which policy and of the point. calibration: the number of the one that is broken. max_error: the
    share of wrong answers promised. checked, wrong: answers since that calibration. at: ledger time (ns). since: when
    it most likely began to be broken; 0: not known.
    """

    policy: str
    version: int
    calibration: int
    max_error: float
    checked: int
    wrong: int
    at: int
    since: int = 0
    v: int = 1


class Recalibrated(msgspec.Struct, frozen=True, gc=False):
    """A policy's calibration at a point from what the ledger held: in force from this record on.

    digest: SHA-256 over the other fields, as hex, which names it. evidence: SHA-256 over the records that it was fitted
    and tested on. after, upto: between which records these are. enough: whether it lets the policy decide alone again
    under the `max_error` that was broken.
    """

    digest: str
    policy: str
    calibration: PointCalibration
    evidence: str
    after: int
    upto: int
    enough: bool
    v: int = 1


class Advised(msgspec.Struct, frozen=True, gc=False):
    """What an advisor said to an asked decision, and who answers it therefore.

    provider, model: who spoke; empty: nobody did, and `reason` says why. offered: indices into the asked candidates, in
    the order in which the advisor saw them. choice: index into the asked candidates; null: it asks for a person, or
    said nothing. confidence: its own, in [0, 1], calibrated by nobody. words: its reason, at most 600 characters. tier:
    who answers: advisor or operator; late: the decision was answered before the word came, which changes nothing.
    reason: why that tier. brief: SHA-256 of what was sent, as hex. calls, tokens (cached: of the input, read from the
    provider's cache), cost (US dollars), seconds: of all attempts at all providers. at: ledger time (ns).
    """

    provider: str
    model: str
    offered: list[int]
    choice: int | None
    confidence: float | None
    words: str
    tier: str
    reason: str
    at: int
    attempt: int = 0
    brief: str = ""
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    v: int = 1


class Effect(msgspec.Struct, frozen=True, gc=False):
    """One step in the life of an effect; the newest one for a decision is where it stands.

    verdict: wanted (its manager asks for it), approval (a person must confirm), withheld (a cap, a window, the brake
    or a freeze holds it back; `reason` says which), approved (a person said yes: its manager checks again), released
    (an executor may act until `expires`, ns). at: ledger time (ns) of this step. node: where it acts. payload: what
    its executor needs beside the arguments. groups: the blast-radius groups that it counts against. lifetime: seconds
    from release to `expires`. confirmed: a person confirmed it and the manager has checked it again since.
    """

    verdict: str
    action: str
    args: dict[str, Any]
    executor: str
    node: str
    mode: str
    lifetime: float
    payload: dict[str, Any] = {}
    groups: list[str] = []
    disruptive: bool = True
    confirmed: bool = False
    reason: str = ""
    epoch: int = 0
    incarnation: int = 0
    expires: int = 0
    at: int = 0
    v: int = 1

    @property
    def settled(self) -> bool:
        """Whether its manager wants it, and nobody has to confirm it any more."""
        return self.verdict == "wanted" and (self.confirmed or self.mode == "act")


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of an effect. status: done, failed, refused, expired, unknown. reward: in the unit that the point
    declares.
    """

    status: str
    detail: str = ""
    data: dict[str, Any] = {}
    reward: float | None = None
    v: int = 1

    @property
    def undone(self) -> bool:
        """Whether it was never begun, and will not be."""
        return self.status in ("refused", "expired")


class CaseWord(msgspec.Struct, frozen=True, gc=False):
    """A word about a group of alike cases that answers none of them. Its record names the group: the first decision of
    it.

    what: a person (`by`) acknowledged, released, assigned or delegated (to the person `to`, or to the chain `through`),
    snoozed (until the ledger time `until`, ns), commented (`words`), or answered too late (`action`, `args`). ELIAS
    returned it, for who had it (`to`) has forgotten it; woke it, for it slept long enough; raised it to the priority
    `to`, for it waits too long; notified the person `to` through the outbound target `through`, as `step` of its chain
    says, or could not (unsent; `words`: why not). at: ledger time (ns).
    """

    what: str
    by: str
    at: int
    to: str = ""
    until: int = 0
    words: str = ""
    action: str = ""
    args: dict[str, Any] = {}
    through: str = ""
    step: int = 0
    v: int = 1


class Access(msgspec.Struct, frozen=True, gc=False):
    """Somebody came in, or changed something. No secret is ever part of it.

    what: `signed in`, `sign-in refused`, or the request as `METHOD path`. who: the person; via: as what they came in
    (`password`, `oidc`, `link`; for a request `session`, `token`, `first-day token`). address: where from. status: of
    HTTP. detail: what was done, in words.
    """

    what: str
    who: str
    via: str
    address: str
    status: int = 200
    detail: str = ""
    v: int = 1


class Mode(msgspec.Struct, frozen=True, gc=False):
    """An action's mode as a person set it. `action` is `point/action`."""

    action: str
    mode: str
    by: str
    v: int = 1


class Freeze(msgspec.Struct, frozen=True, gc=False):
    on: bool
    by: str
    reason: str = ""
    v: int = 1


class BundleText(msgspec.Struct, frozen=True, gc=False):
    """A bundle put in force, whole: replay needs nothing but the ledger. sources: path -> text, in order of path.

    version, language, expires, signatures: as in the artefact (`federation.bundles`); empty for an edited folder.
    origin: folder (its edits are followed), file or rollback (they are not, until a person says so). by, reason: of
    who put it in force. previous: digest of what was in force before. uncovered: the points whose `consult` region
    differs from that of `previous`, so that the policy's promise on its error does not cover them, with an input for
    which it does; empty: none is known.
    """

    digest: str
    sources: dict[str, str]
    versions: dict[str, int]
    v: int = 1
    version: str = ""
    language: int = 1
    expires: datetime | None = None
    signatures: list[Signature] = []
    origin: str = "folder"
    by: str = ""
    reason: str = ""
    previous: str = ""
    uncovered: dict[str, str] = {}


def of_case(kind: str, body: bytes) -> bool:
    """Whether a record may concern a case: not if it was answered by a rule, or asked for one. Quick, for every record
    of the log is looked at. The last such key is the record's own; those before it may stand in the event's data.
    """
    if kind == Kind.ASKED:
        return not body.startswith(b'"', body.rfind(_WAITS) + len(_WAITS))
    if kind == Kind.ANSWERED:
        return not body.startswith(b'rule"', body.rfind(_TIER) + len(_TIER))
    return True


_WAITS, _TIER = b'"waits":"', b'"tier":"'

encode = msgspec.json.Encoder().encode

_DECODERS: Mapping[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(body)
    for kind, body in {
        Kind.ASKED: Asked,
        Kind.SCORED: Scored,
        Kind.DRIFT: Drift,
        Kind.CALIBRATION: Recalibrated,
        Kind.POLICY: Registered,
        Kind.PROMOTION: Promotion,
        Kind.SHADOWED: Shadowed,
        Kind.ADVISED: Advised,
        Kind.ANSWERED: Answered,
        Kind.EFFECT: Effect,
        Kind.OUTCOME: Outcome,
        Kind.CASE: CaseWord,
        Kind.MODE: Mode,
        Kind.FREEZE: Freeze,
        Kind.ACCESS: Access,
        Kind.EVENT: Event,
        Kind.BUNDLE: BundleText,
    }.items()
}


def decode(kind: str, body: bytes) -> Any:
    """The body of a record as its type; None for kinds that carry nothing to fold."""
    decoder = _DECODERS.get(kind)
    return None if decoder is None else decoder.decode(body)
