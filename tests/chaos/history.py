"""What a run leaves behind, for the checker: what was asked and answered, what was struck, what stands in the ledger,
and what came to pass in the world. All times are seconds on the clock of the run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from federation.ledger.store import Store
from federation.records import Kind, Record, decode
from tests.chaos.schedule import Fault

SOURCE = "chaos"
"""The `source` of every event that the clients send."""

CERTAIN, REFUSED, UNKNOWN = "certain", "refused", "unknown"
"""What a client knows of a request: it was done; it was not and will not be; it may be, for no answer came, or one
that says to send it again."""


class Request(msgspec.Struct, frozen=True):
    """One request. part: who has to answer. id: of the event, or of a change of mode. decisions: id -> `answered` or
    `waiting`, as the answer says. said: what was answered, where that is not what was hoped for."""

    part: str
    id: str
    began: float
    ended: float
    result: str
    decisions: dict[str, str] = {}
    said: str = ""


class Struck(msgspec.Struct, frozen=True):
    """A fault as it came: who was struck, and when. missed: why it could not be."""

    fault: Fault
    began: float
    ended: float
    whom: str = ""
    missed: str = ""


class Note(msgspec.Struct, frozen=True):
    """What of a record matters here. event, source: of what was asked. state: of an effect its verdict, of an outcome
    its status, of a mode the action."""

    seq: int
    epoch: int
    kind: str
    point: str
    subject: str
    decision: str
    attempt: int
    event: str = ""
    source: str = ""
    state: str = ""


class World(msgspec.Struct, frozen=True):
    """What was done, as those see it to whom it was done. jobs: name -> how often it ran. messages: id -> how often
    it was received."""

    jobs: dict[str, int] = {}
    messages: dict[str, int] = {}


class History(msgspec.Struct, frozen=True):
    """damage: what `elias ledger verify` found. well: whether every part ran at the end. `ledger`: all of its notes, in
    order."""

    requests: list[Request]
    strikes: list[Struck]
    ledger: list[Note]
    world: World
    damage: str = ""
    unwell: str = ""

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self))

    @staticmethod
    def load(path: Path) -> "History":
        return msgspec.json.decode(path.read_bytes(), type=History)


def notes(store: Store) -> Iterator[Note]:
    """The whole ledger."""
    return map(note, store.read(after=0, upto=store.head().size))


def note(record: Record) -> Note:
    header = record.header
    more: dict[str, Any] = {}
    match header.kind:
        case Kind.ASKED:
            event = decode(header.kind, record.body).event
            more = {"event": event.id, "source": event.source}
        case Kind.EFFECT:
            more = {"state": decode(header.kind, record.body).verdict}
        case Kind.OUTCOME:
            more = {"state": decode(header.kind, record.body).status}
        case Kind.MODE:
            more = {"state": decode(header.kind, record.body).action}
    place = header.point, header.subject, header.decision, header.attempt
    return Note(header.seq, header.epoch, str(header.kind), *place, **more)
