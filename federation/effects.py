"""The executor on a node: the only place where an effect touches the world.

It remembers effect ids and the highest fencing token durably, in its own SQLite file beside the node's state, so it
refuses repeats and late orders even when everything else is down. Whether something was done that was released before
its memory begins it cannot tell (another machine has become the head, or the file was lost), so it only looks. A frozen
node acts on nothing: the flag is a file, and needs no database.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from federation.clock import Clock
from federation.records import Outcome

REMEMBERED = 100_000  # effect ids kept; the gate re-sends only what has no outcome yet, which is never that old

_TABLES = """
CREATE TABLE IF NOT EXISTS fence (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER, incarnation INTEGER);
INSERT OR IGNORE INTO fence VALUES (1, 0, 0);
CREATE TABLE IF NOT EXISTS born (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER);
INSERT OR IGNORE INTO born SELECT 1, CASE WHEN epoch > 0 THEN 0 END FROM fence;
CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, id TEXT UNIQUE, wish BLOB NOT NULL, outcome BLOB);
"""
_FENCE = "UPDATE fence SET epoch = ?, incarnation = ? WHERE (epoch, incarnation) <= (?, ?)"


class Order(msgspec.Struct, frozen=True, gc=False):
    """A released effect on its way to an executor. `decision` is its id. expires: ledger time, ns. released: the epoch
    of its release, where that is not the one of who sends it."""

    decision: str
    point: str
    subject: str
    action: str
    args: dict[str, Any]
    executor: str
    epoch: int
    incarnation: int
    expires: int
    payload: dict[str, Any] = {}
    released: int = 0


class Doer(Protocol):
    """How one kind of effect is done on a node."""

    async def do(self, order: Order) -> Outcome:
        """Do it now. An exception is a failed outcome."""
        ...

    async def probe(self, order: Order) -> Outcome:
        """What came of an effect that was interrupted: done, failed, or unknown. Never does it."""
        ...


class FreezeFlag:
    """The freeze of one node: a file that exists while effects are frozen."""

    def __init__(self, state: Path) -> None:
        self.path = state / "frozen"

    def __bool__(self) -> bool:
        return self.path.exists()

    @property
    def by(self) -> str:
        """Who froze; empty when nobody did."""
        try:
            return self.path.read_text().strip()
        except FileNotFoundError:
            return ""

    def set(self, on: bool, by: str = "") -> None:
        if on:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.touch(mode=0o600)
            with contextlib.suppress(OSError):  # on a full disk the flag counts, not whose it is
                self.path.write_text(by + "\n")
        else:
            self.path.unlink(missing_ok=True)


class Executor:
    """Does each order once, if it is in time and from the one in charge.

    `path`: the SQLite file of this node's memory. `doers`: by the name that `Does.executor` gives.
    """

    def __init__(self, path: Path, doers: Mapping[str, Doer], clock: Clock, frozen: FreezeFlag) -> None:
        self.doers = doers
        self.clock = clock
        self.frozen = frozen
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def greet(self, epoch: int, incarnation: int) -> bool:
        """Take note of who is in charge; False if somebody newer already is."""
        self._db.execute("UPDATE born SET epoch = ? WHERE epoch IS NULL", (epoch,))
        changed = self._db.execute(_FENCE, (epoch, incarnation, epoch, incarnation))
        return changed.rowcount == 1

    async def perform(self, order: Order) -> Outcome:
        """Do the order, or say why not. The same id again gets the first outcome, never a second act."""
        known = self._db.execute("SELECT outcome FROM effects WHERE id = ?", (order.decision,)).fetchone()
        if known is not None:
            return await self.probe(order.decision)
        refusal = self._refusal(order)
        if refusal is not None:
            return refusal
        if (order.released or order.epoch) < self._born:
            self._begin(order)
            return await self.probe(order.decision)
        if self.clock.now() >= order.expires:
            return Outcome("expired", "it came too late")
        self._begin(order)
        outcome = await _guarded(self.doers[order.executor].do(order))
        self._settle(order.decision, outcome)
        return outcome

    async def probe(self, decision: str) -> Outcome:
        """What came of an effect: its outcome, or for one that was interrupted what can be found out now."""
        row = self._db.execute("SELECT wish, outcome FROM effects WHERE id = ?", (decision,)).fetchone()
        if row is None:
            return Outcome("unknown", "this node never saw it")
        if row[1] is not None:
            return msgspec.json.decode(row[1], type=Outcome)
        order = msgspec.json.decode(row[0], type=Order)
        outcome = await _guarded(self.doers[order.executor].probe(order))
        if outcome.status != "unknown":
            self._settle(decision, outcome)
        return outcome

    @property
    def _born(self) -> int:
        """The epoch in which this memory begins."""
        return int(self._db.execute("SELECT epoch FROM born").fetchone()[0] or 0)

    def seen(self, decision: str) -> bool:
        return self._db.execute("SELECT 1 FROM effects WHERE id = ?", (decision,)).fetchone() is not None

    def _refusal(self, order: Order) -> Outcome | None:
        if self.frozen:
            return Outcome("refused", "effects are frozen on this node")
        if order.executor not in self.doers:
            return Outcome("refused", f"this node does not know how to do `{order.executor}`")
        if not self.greet(order.epoch, order.incarnation):
            return Outcome("refused", f"epoch {order.epoch}.{order.incarnation} is no longer in charge")
        return None

    def _begin(self, order: Order) -> None:
        self._db.execute("INSERT INTO effects (id, wish) VALUES (?, ?)", (order.decision, msgspec.json.encode(order)))

    def _settle(self, decision: str, outcome: Outcome) -> None:
        self._db.execute("UPDATE effects SET outcome = ? WHERE id = ?", (msgspec.json.encode(outcome), decision))
        self._db.execute("DELETE FROM effects WHERE number <= (SELECT max(number) FROM effects) - ?", (REMEMBERED,))


async def _guarded(doing: Any) -> Outcome:
    try:
        outcome: Outcome = await doing
    except Exception as error:
        return Outcome("failed", f"{type(error).__name__}: {error}")
    return outcome
