"""Makes a data set from a ledger: reads, scrubs, thins out, splits, measures and writes.

The examples go through a file in the folder of the data sets, scrubbed before they get there; in memory are some 400
bytes for each, and a sample of each point for the report.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy import select

from federation.errors import Refused
from federation.ledger import tables
from federation.ledger.store import Head, Store
from federation.points import DecisionPoint
from training.dataset import store as kept
from training.dataset.collect import Left, collect
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.dataset.quality import Measure
from training.dataset.scrub import SECRET, UNFIT, Reader, Unfit, scrub
from training.dataset.split import COPIES, Copies, Row, capped, family_of, splits, weights

COPY = "a near copy of others"
CAPPED = "over the cap of its action"

_Counts = dict[str, Counter[str]]
Progress = Callable[[int, int], None]


class Request(msgspec.Struct, frozen=True):
    """points: names; empty: all. since, until: of the answers, since <= at < until (ledger time, ns). upto: records of
    the ledger that are read, at most; None: all. copies: that are kept of a family, at most; None: all. cap: examples
    of an action of a point in the training split, at most. changed: by point, when its world changed: older answers of
    it are left out."""

    points: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    upto: int | None = None
    copies: int | None = COPIES
    cap: int | None = None
    changed: Mapping[str, int] = {}


def build(
    ledger: Store,
    points: Mapping[str, DecisionPoint],
    request: Request,
    out: Path,
    progress: Progress = lambda done, total: None,
) -> Path:
    """The folder of the data set, below `out`. points: of today, by name.

    The same records and the same request give the same bytes. Raises Refused for a point that is not there, where there
    is no example, and where `out` cannot be written.
    """
    for name in (*request.points, *request.changed):
        if name not in points:
            cure = f"choose among: {', '.join(sorted(points))}"
            raise Refused("dataset.point", f"there is no decision point `{name}`", cure=cure)
    head = _head(ledger, request.upto)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as file:
            return _Making(points, request, file).made(ledger, head, out, progress)
    except OSError as error:
        raise Refused("dataset.out", f"{out} cannot be written: {error.strerror}", cure="name another folder") from None


class _Making:
    """file: of all examples that are kept, one a line; `_rows` tells of each."""

    def __init__(self, points: Mapping[str, DecisionPoint], request: Request, file: IO[bytes]) -> None:
        self._points, self._request, self._file = points, request, file
        self._rows: list[Row] = []
        self._left: _Counts = {}
        self._dropped: _Counts = {}
        self._measures: dict[str, Measure] = {}
        self._copies, self._reader = Copies(request.copies), Reader()

    def made(self, ledger: Store, head: Head, out: Path, progress: Progress) -> Path:
        asked = self._request
        found = collect(
            ledger,
            self._points,
            head,
            names=asked.points,
            since=asked.since,
            until=asked.until,
            changed=asked.changed,
            progress=progress,
        )
        for one in found:
            if isinstance(one, Left):
                _count(self._left, one.point, one.why)
            else:
                self._take(one)
        if not self._rows:
            raise _nothing(self._left)
        split = splits(self._rows)
        over = capped(self._rows, split, asked.cap)
        for number in over:
            _count(self._left, self._rows[number].point, CAPPED)
        stays = ["" if number in over else name for number, name in enumerate(split)]
        quality = {name: measure.result() for name, measure in sorted(self._measures.items())}
        recipe = kept.Recipe(
            points={name: self._points[name].schema.version for name in quality},
            ledger=kept.Ledger(head.size, head.time, head.root.hex()),
            since=asked.since,
            until=asked.until,
            changed=asked.changed,
            copies=asked.copies,
            cap=asked.cap,
            left_out=self._left,
            dropped=self._dropped,
            weights=weights([row for row, name in zip(self._rows, stays, strict=True) if name == "train"]),
            quality=quality,
        )
        return kept.write(out, recipe, {name: self._lines(stays, name) for name in kept.SPLITS})

    def _take(self, raw: Logged) -> None:
        point = raw.point
        try:
            example, dropped = scrub(self._points[point].schema, raw)
        except Unfit:
            _count(self._left, point, UNFIT)
            return
        example = msgspec.structs.replace(example, family=family_of(example.question))
        family = bytes.fromhex(example.family)
        if self._reader.suspects(example):
            _count(self._left, point, SECRET)
        elif not self._copies.takes(family):
            _count(self._left, point, COPY)
        else:
            for name in dropped:
                _count(self._dropped, point, name)
            if point not in self._measures:
                self._measures[point] = Measure(self._points[point])
            self._measures[point].add(example)
            action = example.question.candidates[example.choice].action
            above = example.tier != CHOSEN_BY_POLICY
            self._rows.append(Row(point, family, action, int(example.decision[:16], 16), above))
            self._file.write(msgspec.json.encode(example) + b"\n")

    def _lines(self, split: Sequence[str], name: str) -> Iterator[Logged]:
        self._file.seek(0)
        for line, where in zip(self._file, split, strict=True):
            if where == name:
                yield msgspec.json.decode(line, type=Logged)


def _count(counts: _Counts, point: str, what: str) -> None:
    counts.setdefault(point, Counter())[what] += 1


def _head(ledger: Store, upto: int | None) -> Head:
    """The ledger after its last commit, or after the last one with at most `upto` records."""
    if upto is None:
        return ledger.head()
    c = tables.checkpoints.c
    newest = select(c.size, c.time, c.root, c.epoch).where(c.size <= upto).order_by(c.size.desc()).limit(1)
    rows = ledger.fetch(newest)
    if not rows:
        cure = f"the ledger has {ledger.head().size} records"
        raise Refused("dataset.upto", f"no commit of the ledger ends within {upto} records", cure=cure)
    return Head(*rows[0])


def _nothing(left: _Counts) -> Refused:
    total: Counter[str] = sum(left.values(), Counter())
    if not total:
        cure = "ask more points or a longer time, or let the federation decide something first: `elias demo`"
        return Refused("dataset.empty", "nothing was decided there and then, so there is no example", cure=cure)
    why = "; ".join(f"{what}: {count}" for what, count in total.most_common())
    cure = "let a spec `consult` at these points, and a policy, an advisor or a person answer (`elias cases`)"
    return Refused("dataset.empty", f"no decision is an example ({why})", cure=cure)
