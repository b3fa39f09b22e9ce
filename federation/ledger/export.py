"""The log in files for others: JSON lines to read, or an audit bundle that proves itself. `docs/ledger.md` describes
both formats."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

import msgspec

from federation.errors import Refused
from federation.ledger import merkle
from federation.ledger.proofs import node_of
from federation.ledger.store import Head, Store
from federation.ledger.verify import Fault, Progress, Report
from federation.records import Header, Record

Format = Literal["jsonl", "audit"]
AUDIT = "elias-audit-1"


class _Line(msgspec.Struct):
    """A record to read: its header's fields by name and its body as it is."""

    seq: int
    time: int
    epoch: int
    writer: str
    incarnation: int
    kind: str
    point: str
    subject: str
    decision: str
    attempt: int
    body: msgspec.Raw


class _Checkpoint(msgspec.Struct):
    """The first line of an audit bundle. root: hex."""

    format: str
    size: int
    time: int
    root: str
    epoch: int


class _Proven(msgspec.Struct):
    """A record of an audit bundle. leaf: the very text that the tree hashes. path: the audit path, in hex, from the
    leaf up."""

    leaf: str
    path: list[str]


def export(
    store: Store,
    out: TextIO,
    format: Format = "jsonl",
    progress: Progress | None = None,
    *,
    decision: str | None = None,
) -> int:
    """How many records were written: the whole log up to its head of now, or the records of one decision."""
    head = store.head()
    total = head.size
    records: Iterable[Record] = store.read(upto=head.size)
    if decision is not None:
        records = [record for record in store.decision(decision) if record.header.seq <= head.size]
        total = len(records)
    node = node_of(store)
    if format == "audit":
        _write(out, _Checkpoint(AUDIT, head.size, head.time, head.root.hex(), head.epoch))
    done = 0
    for done, record in enumerate(records, start=1):
        if format == "audit":
            path = merkle.inclusion_proof(record.header.seq - 1, head.size, node)
            _write(out, _Proven(record.leaf().decode(), [hash.hex() for hash in path]))
        else:
            _write(out, _Line(**msgspec.structs.asdict(record.header), body=msgspec.Raw(record.body)))
        if progress is not None and (done % 1000 == 0 or done == total):
            progress(done, total)
    return done


def check_bundle(lines: Iterable[str]) -> Report:
    """Verifies an audit bundle by itself, without a ledger. What it proves is that its records are in the log of the
    head in its first line; whether that head is the right one, only a witness can say."""
    numbered = enumerate(lines, start=1)
    number, text = next(numbered, (1, ""))
    with _line(number):
        first = msgspec.json.decode(text, type=_Checkpoint)
        head = Head(first.size, first.time, bytes.fromhex(first.root), first.epoch)
    if first.format != AUDIT:
        raise Refused(
            "audit.format", f"this is no audit bundle: `{first.format}`", cure=f"the first line names `{AUDIT}`"
        )
    for number, text in numbered:
        with _line(number):
            proven = msgspec.json.decode(text, type=_Proven)
            seq = msgspec.json.decode(proven.leaf.partition("\n")[0], type=Header).seq
            path = [bytes.fromhex(hash) for hash in proven.path]
        leaf = merkle.leaf_hash(proven.leaf.encode())
        if not merkle.verify_inclusion(leaf, seq - 1, head.size, path, head.root):
            return Report(head, Fault(seq, seq, "its path does not lead to the root of the bundle"))
    return Report(head)


def _write(out: TextIO, line: object) -> None:
    out.write(msgspec.json.encode(line).decode() + "\n")


@contextmanager
def _line(number: int) -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, ValueError) as error:
        message = f"this is no line of an audit bundle: {error}"
        raise Refused("audit.line", message, place=f"line {number}", cure="export the bundle again") from error
