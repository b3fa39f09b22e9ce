"""Which recorded decisions an edit of the specs would have changed: each question on record is judged again under the
specs before and after, on the path that decides live (`decide.judge`).

What is taken as recorded: facts, candidates with their arguments, modes. Guards are checked anew. A window that both
the specs in force then and the specs in question have keeps the truth on record; one that is new is followed through
the samples of its subject, as if nothing had been restarted meanwhile. Where a manager itself keeps looking at a
subject, only the looks that changed something are on record, so what a new window or another clause in force had come
to by then may be open: if that decides the choice, the decision is counted as untold.
"""

import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

import tiki
from federation import decide
from federation.errors import Corrupt
from federation.ledger.store import Store
from federation.points import DecisionPoint, schemas
from federation.records import Answered, Asked, BundleText, Candidate, Kind, Record, decode
from tiki import Latch
from tiki.kleene import compared
from tiki.plan import Plan, Window, signature

SUBJECTS = 20_000  # whose clauses in force and windows are followed; the longest silent one is forgotten
_OPEN = 4  # windows of unknown truth that are tried out together; with more, a choice counts as untold


class Choice(NamedTuple):
    """What is done, or who is asked about what. arguments: in order, as text."""

    what: str
    arguments: str = ""

    def __str__(self) -> str:
        return f"{self.what}({self.arguments})" if self.arguments else self.what


class Changed(NamedTuple):
    """A recorded decision that falls otherwise. seq: of its question; time: ledger time, ns."""

    seq: int
    time: int
    decision: str
    point: str
    subject: str
    old: Choice
    new: Choice


class Counted(msgspec.Struct):
    """Of one point. decisions: asked ones that were judged; turns: (old, new) without arguments, and how often; untold:
    why the others could not be judged, and how many."""

    decisions: int = 0
    changed: int = 0
    turns: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    untold: Counter[str] = msgspec.field(default_factory=Counter)


class Edit(NamedTuple):
    """Specs before and after. points: those whose clauses mean something else afterwards."""

    old: tiki.Bundle
    new: tiki.Bundle

    @property
    def points(self) -> list[str]:
        both = self.old.programs.keys() & self.new.programs.keys()
        return sorted(p for p in both if _meaning(self.old.programs[p].plan) != _meaning(self.new.programs[p].plan))

    @property
    def settings(self) -> list[tuple[str, str]]:
        """(point, setting): those that changed and that the point's manager reads itself. What it would have made of
        them is not on record."""
        found = []
        for name in sorted(self.old.programs.keys() & self.new.programs.keys()):
            old, new = self.old.programs[name], self.new.programs[name]
            read = (setting.name for setting in new.point.settings if setting.read_by_manager)
            found += [(name, one) for one in read if old.settings.get(one) != new.settings.get(one)]
        return found


def whatif(
    store: Store,
    points: Mapping[str, DecisionPoint],
    edit: Edit,
    changed: Callable[[Changed], None] = lambda one: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Counted]:
    """Counts by point, of the points that the edit concerns; each decision that falls otherwise goes to `changed`, in
    the order of the ledger. Memory is bounded whatever the ledger's length.

    Raises Corrupt for a record that cannot be read.
    """
    counts = {name: Counted() for name in edit.points}
    if not counts:
        return counts
    total, bundles = store.head().size, _Bundles(store, points)
    old, new = _Side(edit.old), _Side(edit.new)
    for record in store.read(kinds=[Kind.ASKED], points=list(counts)):
        header = record.header
        if header.attempt == 0:
            _judge(record, _asked(record), bundles, (old, new), counts[header.point], changed)
        if header.seq % 1000 == 0:
            progress(header.seq, total)
    progress(total, total)
    return counts


def _judge(
    record: Record,
    asked: Asked,
    bundles: "_Bundles",
    sides: "tuple[_Side, _Side]",
    count: Counted,
    changed: Callable[[Changed], None],
) -> None:
    header = record.header
    count.decisions += 1
    then = bundles.program(asked.bundle, header.point, asked.version)
    if then is None:
        count.untold["asked at another version of the point, or under specs that cannot be read any more"] += 1
        return
    watched = bundles.watches(header.point, asked)
    question = _Question(asked, then, _facts(then, record, asked), header.point, header.subject, watched)
    before = [side.latch(question) for side in sides]
    apart = question.watched and before[0] != before[1]
    old, new = (side.choices(question, apart) for side in sides)
    if len(old) != 1 or len(new) != 1:
        if old != new or not old:
            count.untold["it depends on what held before, and that is not on record"] += 1
        return
    (was,), (is_,) = old, new
    if was != is_:
        count.changed += 1
        count.turns[was.what, is_.what] += 1
        changed(Changed(header.seq, asked.at, header.decision, header.point, header.subject, was, is_))


class _Question(NamedTuple):
    """then: the program that was in force. watched: its subject is looked at more often than is on record."""

    asked: Asked
    then: tiki.Program
    facts: tuple[Any, ...]
    point: str
    subject: str
    watched: bool


class _Followed(msgspec.Struct):
    """What a side remembers of a subject."""

    latch: Latch | None
    memory: tiki.Memory


class _Side:
    """One bundle, and what it would have had in force and remembered by now."""

    def __init__(self, bundle: tiki.Bundle) -> None:
        self.bundle = bundle
        self._followed: OrderedDict[tuple[str, str], _Followed] = OrderedDict()

    def latch(self, question: _Question) -> Latch | None:
        return self._of(question).latch

    def choices(self, question: _Question, apart: bool) -> set[Choice]:
        """What the rules may have chosen: several where it depends on what is not on record, none where that is too
        much to try out. apart: whether what is in force may have ended unseen."""
        asked, program, mine = question.asked, self.bundle.programs[question.point], self._of(question)
        facts = question.facts
        if asked.bundle == self.bundle.digest:
            windows: list[Iterable[tiki.Truth]] = [(truth,) for truth in asked.held]
        else:
            windows = self._windows(question, program, facts, mine.memory)
        if sum(len(tuple(truths)) > 1 for truths in windows) > _OPEN:
            mine.latch = asked.latched
            return set()
        found: dict[Choice, Latch | None] = {}
        for held in itertools.product(*windows):
            candidates = _guarded(question, program, facts, held)
            for latch in {mine.latch, None} if apart else {mine.latch}:
                judged = decide.judge(program, facts, held, latch, candidates, asked.modes, asked.at)
                found[_choice(judged.answer)] = judged.latched
        mine.latch = next(iter(found.values())) if len(found) == 1 else asked.latched
        return set(found)

    def _windows(
        self, question: _Question, program: tiki.Program, facts: tuple[Any, ...], memory: tiki.Memory
    ) -> list[Iterable[tiki.Truth]]:
        recorded = dict(zip((w.key for w in question.then.windows), question.asked.held, strict=True))
        now = program.unwatched(facts)
        followed = program.sample(memory, question.asked.at, facts)
        return [
            (recorded[window.key],)
            if window.key in recorded
            else (follows,)
            if not question.watched
            else _certain(window, truth, facts)
            for window, truth, follows in zip(program.windows, now, followed, strict=True)
        ]

    def _of(self, question: _Question) -> _Followed:
        key = (question.point, question.subject)
        found = self._followed.get(key)
        if found is None:
            found = self._followed[key] = _Followed(question.asked.latch, tiki.Memory())
            if len(self._followed) > SUBJECTS:
                self._followed.popitem(last=False)
        else:
            self._followed.move_to_end(key)
        if question.asked.bundle == self.bundle.digest:
            found.latch = question.asked.latch
        return found


class _Bundles:
    """The bundles on record, compiled when they are needed; the last few are kept."""

    def __init__(self, store: Store, points: Mapping[str, DecisionPoint]) -> None:
        self._store, self._points = store, points
        self._seqs = {_bundle(record).digest: record.header.seq for record in store.read(kinds=[Kind.BUNDLE])}
        self._compiled = lru_cache(4)(self._compile)

    def program(self, digest: str, point: str, version: int) -> tiki.Program | None:
        """None: it was made for another version of the point, or its specs are not specs any more."""
        if point not in self._points or self._points[point].schema.version != version:
            return None
        bundle = self._compiled(digest)
        return None if bundle is None else bundle.programs[point]

    def watches(self, point: str, asked: Asked) -> bool:
        return asked.event.source == f"elias/{self._points[point].schema.manager}"

    def _compile(self, digest: str) -> tiki.Bundle | None:
        seq = self._seqs.get(digest)
        if seq is None:
            raise Corrupt(f"bundle `{digest}` is not on record; `elias ledger verify` says what is missing")
        (record,) = self._store.read(after=seq - 1, upto=seq)
        try:
            return tiki.rebuild(_bundle(record).sources, schemas(self._points))
        except tiki.Invalid:
            return None


def _asked(record: Record) -> Asked:
    try:
        asked: Asked = decode(Kind.ASKED, record.body)
    except msgspec.MsgspecError:
        raise _unreadable(record) from None
    return asked


def _bundle(record: Record) -> BundleText:
    try:
        text: BundleText = decode(Kind.BUNDLE, record.body)
    except msgspec.MsgspecError:
        raise _unreadable(record) from None
    return text


def _facts(program: tiki.Program, record: Record, asked: Asked) -> tuple[Any, ...]:
    try:
        return program.facts_from(asked.facts)
    except ValueError:
        raise _unreadable(record) from None


def _unreadable(record: Record) -> Corrupt:
    return Corrupt(f"record {record.header.seq} cannot be read; `elias ledger verify` names the first that was changed")


def _certain(window: Window, now: tiki.Truth, facts: tuple[Any, ...]) -> Iterable[tiki.Truth]:
    """What a window may be, whatever was before: it needs the condition of now, and outlives it only by `clear at`."""
    if now is False and (window.stay is None or compared(window.stay, facts) is False):
        return (False,)
    return (True,) if now is True and window.duration == 0 else (True, False, None)


def _guarded(question: _Question, program: tiki.Program, facts: tuple[Any, ...], held: Any) -> list[Candidate]:
    """The candidates with the guards of this program instead of those of then; what code forbade stays forbidden."""
    asked, then = question.asked, question.then
    if not then.guards and not program.guards:
        return asked.candidates
    found = []
    for one in asked.candidates:
        call = (one.action, one.args, one.attributes)
        by_code = one.forbidden is not None and one.forbidden != then.forbids(facts, tuple(asked.held), *call)
        forbidden = one.forbidden if by_code else program.forbids(facts, held, *call)
        found.append(one if forbidden == one.forbidden else msgspec.structs.replace(one, forbidden=forbidden))
    return found


def _choice(answer: Answered | decide.Waits) -> Choice:
    if isinstance(answer, decide.Waits):
        asks = "consult" if answer.tier == "policy" else f"ask {answer.tier}"
        return Choice(asks, ", ".join(sorted(answer.offers)))
    return Choice(answer.action, ", ".join(f"{name}={value}" for name, value in answer.args.items()))


def _meaning(plan: Plan) -> tuple[Any, ...]:
    """What the choices of a program depend on; the lines that it stands on do not count."""
    rules = [(r.name, signature(r.condition), r.cooldown, _said(r.verdict), _said(r.unknown)) for r in plan.rules]
    windows = [(rule.window is not None and plan.windows[rule.window].key) for rule in plan.rules]
    guards = [(g.action, signature(g.condition)) for g in plan.guards]
    return rules, windows, guards, _said(plan.last), _said(plan.fallback), plan.cooldown


def _said(verdict: tiki.Verdict) -> bytes:
    return msgspec.json.encode(verdict)
