import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy
from sqlalchemy import Connection

from federation.errors import Refused
from federation.ledger import tables
from federation.ledger.appender import Appender
from federation.ledger.export import Format, check_bundle, export
from federation.ledger.merkle import Frontier, leaf_hash
from federation.ledger.store import Store
from federation.ledger.verify import Fault, verify
from federation.records import Entry, Header, Record

from .kit import Writer, decided, entry

RECORDS = tables.records
COLUMNS = [column.name for column in RECORDS.columns]


@pytest.fixture
def ledger(store: Store, appender: Appender) -> Store:
    """602 records in commits of 50 by two writers: two tiles, and a third under way."""
    ufm, urm = Writer(appender, "ufm"), Writer(appender, "urm")
    for n in range(12):
        writer = (ufm, urm)[n % 2]
        writer.write(*[e for k in range(25) for e in decided(f"d{n * 25 + k}")])
    appender.register("urm", {})
    return store


def read(connection: Connection, seq: int) -> dict[str, object]:
    row = connection.execute(sqlalchemy.select(RECORDS).where(RECORDS.c.seq == seq)).one()
    return dict(zip(COLUMNS, row, strict=True))


def change(connection: Connection, seq: int, /, **values: object) -> None:
    connection.execute(RECORDS.update().where(RECORDS.c.seq == seq).values(**values))


def with_leaf(values: dict[str, object]) -> dict[str, object]:
    """As somebody would forge it who knows how records are hashed."""
    header = Header(*[values[name] for name in COLUMNS[:-2]])  # type: ignore[arg-type]
    body = values["body"]
    assert isinstance(body, bytes)
    return {**values, "leaf": leaf_hash(Record(header, body).leaf())}


def test_a_sound_ledger_holds(ledger: Store) -> None:
    done: list[tuple[int, int]] = []
    report = verify(ledger, lambda *numbers: done.append(numbers))
    assert report
    assert report.head == ledger.head()
    assert report.head.root.hex() in str(report)
    assert done[-1] == (604, 604)


def test_an_empty_ledger_holds(store: Store) -> None:
    assert verify(store)


def one_byte_of_a_body(connection: Connection) -> None:
    change(connection, 300, body=b'{"decision":"d14X"}')


def one_letter_of_a_subject(connection: Connection) -> None:
    change(connection, 300, subject="node-18")


def a_body_with_its_leaf_fixed(connection: Connection) -> None:
    change(connection, 300, **with_leaf({**read(connection, 300), "body": b"{}"}))


def a_record_dropped(connection: Connection) -> None:
    connection.execute(RECORDS.delete().where(RECORDS.c.seq == 300))


def a_record_dropped_and_the_rest_moved_up(connection: Connection) -> None:
    a_record_dropped(connection)
    for seq in range(301, 605):
        change(connection, seq, **with_leaf({**read(connection, seq), "seq": seq - 1}))


def the_last_record_dropped(connection: Connection) -> None:
    connection.execute(RECORDS.delete().where(RECORDS.c.seq == 604))


def two_bodies_swapped(connection: Connection) -> None:
    first, second = read(connection, 300), read(connection, 302)
    change(connection, 300, body=second["body"])
    change(connection, 302, body=first["body"])


def two_records_swapped_with_their_leaves(connection: Connection) -> None:
    first, second = read(connection, 300), read(connection, 302)
    connection.execute(RECORDS.delete().where(RECORDS.c.seq.in_([300, 302])))
    connection.execute(RECORDS.insert().values(**with_leaf({**first, "seq": 302})))
    connection.execute(RECORDS.insert().values(**with_leaf({**second, "seq": 300})))


def a_record_added_at_the_end(connection: Connection) -> None:
    connection.execute(RECORDS.insert().values(**with_leaf({**read(connection, 604), "seq": 605})))


def a_tile_changed(connection: Connection) -> None:
    connection.execute(tables.tiles.update().where(tables.tiles.c.position == 0).values(hash=bytes(32)))


def a_tile_dropped(connection: Connection) -> None:
    connection.execute(tables.tiles.delete().where(tables.tiles.c.position == 1))


def a_root_changed(connection: Connection) -> None:
    connection.execute(tables.checkpoints.update().where(tables.checkpoints.c.size == 303).values(root=bytes(32)))


def time_gone_back(connection: Connection) -> None:
    change(connection, 300, time=5)


def an_epoch_that_never_began(connection: Connection) -> None:
    change(connection, 300, epoch=2)


def an_incarnation_that_never_registered(connection: Connection) -> None:
    change(connection, 300, incarnation=2)


def an_incarnation_forgotten(connection: Connection) -> None:
    connection.execute(tables.writers.update().where(tables.writers.c.writer == "urm").values(incarnation=1))


@pytest.mark.parametrize(
    ("tamper", "first", "last", "what"),
    [
        (one_byte_of_a_body, 300, 300, "not what was hashed"),
        (one_letter_of_a_subject, 300, 300, "not what was hashed"),
        (a_body_with_its_leaf_fixed, 254, 303, "the tree over the log"),
        (a_record_dropped, 300, 300, "record 301 stands in its place"),
        (a_record_dropped_and_the_rest_moved_up, 254, 303, "the tree over the log"),
        (the_last_record_dropped, 604, 604, "missing"),
        (two_bodies_swapped, 300, 300, "not what was hashed"),
        (two_records_swapped_with_their_leaves, 254, 303, "the tree over the log"),
        (a_record_added_at_the_end, 605, 605, "no commit accounts for it"),
        (a_tile_changed, 254, 303, "tile 0 of level 8"),
        (a_tile_dropped, 504, 553, "tile 1 of level 8"),
        (a_root_changed, 254, 303, "the tree over the log"),
        (time_gone_back, 300, 300, "its time is before"),
        (an_epoch_that_never_began, 300, 300, "written under epoch 2, in epoch 1"),
        (an_incarnation_that_never_registered, 300, 300, "written by incarnation 2 of urm, after 1"),
        (an_incarnation_forgotten, 604, 604, "incarnation 1 of urm"),
    ],
)
def test_tampering_is_found_and_its_place_is_named(
    ledger: Store, tamper: Callable[[Connection], None], first: int, last: int, what: str
) -> None:
    with ledger.engine.begin() as connection:
        tamper(connection)
    report = verify(ledger)
    assert not report
    assert report.fault is not None
    assert (report.fault.first, report.fault.last) == (first, last)
    assert what in str(report)


def forge(connection: Connection, records: list[tuple[Entry, int]]) -> None:
    """Appends records the way an appender would, tree and all, but without its checks and the unique index."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP INDEX records_decision")
    head = connection.execute(sqlalchemy.select(tables.checkpoints).order_by(tables.checkpoints.c.size.desc())).first()
    assert head is not None
    leaves = [row[0] for row in connection.execute(sqlalchemy.select(RECORDS.c.leaf).order_by(RECORDS.c.seq))]
    for seq, (e, attempt) in enumerate(records, start=head.size + 1):
        values = [seq, head.time, head.epoch, "ufm", 1, e.kind, e.point, e.subject, e.decision, attempt, e.body, b""]
        row = with_leaf(dict(zip(COLUMNS, values, strict=True)))
        connection.execute(RECORDS.insert().values(**row))
        leaves.append(row["leaf"])
    root = Frontier().append(leaves)[0].root()
    connection.execute(
        tables.checkpoints.insert().values(size=len(leaves), root=root, time=head.time, epoch=head.epoch)
    )


@pytest.mark.parametrize(
    ("records", "first", "what"),
    [
        ([(entry("asked", "d0"), 0)], 605, "asked or answered before"),
        ([(entry("effect", "d0"), 0), (entry("answered", "d0"), 0)], 606, "asked or answered before"),
        ([(entry("answered", "other"), 0), (entry("asked", "other"), 0)], 605, "not asked before"),
        ([(entry("answered", "d0"), 1)], 605, "not asked before"),
        ([(entry("answered"), 0)], 605, "not asked before"),
    ],
)
def test_a_decision_against_the_rules_is_found_although_the_tree_holds(
    ledger: Store, records: list[tuple[Entry, int]], first: int, what: str
) -> None:
    with ledger.engine.begin() as connection:
        forge(connection, records)
    report = verify(ledger)
    assert report.fault is not None
    assert report.fault.first == first
    assert what in str(report)


def test_a_log_cut_off_with_its_checkpoints_is_found_by_a_witness(ledger: Store) -> None:
    witness = ledger.head()
    with ledger.engine.begin() as connection:
        connection.execute(RECORDS.delete().where(RECORDS.c.seq > 603))
        connection.execute(tables.checkpoints.delete().where(tables.checkpoints.c.size > 603))
        connection.execute(tables.writers.update().where(tables.writers.c.writer == "urm").values(incarnation=1))
    assert verify(ledger)
    assert str(verify(ledger, witness=witness)) == "record 604: gone; the witness has seen it"


def test_a_log_that_was_written_anew_is_found_by_a_witness(ledger: Store, writer: Writer) -> None:
    witness = ledger.head()
    writer.write(entry("event"))
    assert verify(ledger, witness=witness)
    other = witness._replace(root=bytes(32))
    assert "the tree up to here has another root" in str(verify(ledger, witness=other))


def exported(ledger: Store, format: Format, **options: str) -> list[str]:
    out = io.StringIO()
    count = export(ledger, out, format, **options)
    lines = out.getvalue().splitlines()
    assert count == len(lines) - (format == "audit")
    return lines


def test_exported_lines_can_be_read_by_name(ledger: Store) -> None:
    lines = [json.loads(line) for line in exported(ledger, "jsonl")]
    assert [line["seq"] for line in lines] == list(range(1, 605))
    header = next(iter(ledger.read(after=3))).header
    assert lines[3] == {**msgspec.structs.asdict(header), "body": {"decision": "d0"}}


@pytest.mark.parametrize(("options", "count"), [({}, 604), ({"decision": "d7"}, 2), ({"decision": "nothing"}, 0)])
def test_an_audit_bundle_proves_itself(ledger: Store, options: dict[str, str], count: int) -> None:
    lines = exported(ledger, "audit", **options)
    assert len(lines) == count + 1
    report = check_bundle(lines)
    assert report
    assert report.head == ledger.head()


@pytest.mark.parametrize(
    ("old", "new"),
    [("d7", "d8"), ("node-17", "node-18"), ("asked", "answered"), ('"path":["', '"path":["' + "0" * 64 + '","')],
)
def test_a_changed_audit_bundle_is_found(ledger: Store, old: str, new: str) -> None:
    head, *lines = exported(ledger, "audit", decision="d7")
    seq = ledger.decision("d7")[0].header.seq
    assert not check_bundle([head, lines[0].replace(old, new), lines[1]])
    assert check_bundle([head, lines[0].replace(old, new), lines[1]]).fault == Fault(
        seq, seq, "its path does not lead to the root of the bundle"
    )


def test_the_check_in_the_documentation_is_all_that_an_auditor_needs(ledger: Store) -> None:
    page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text()
    names: dict[str, Callable[[list[str]], bool]] = {}
    exec(page.split("```python")[1].split("```")[0], names)  # type: ignore[arg-type]
    lines = exported(ledger, "audit")
    assert names["holds"](lines)
    assert not names["holds"]([line.replace("d7", "d8") for line in lines])
    assert all(f"`{table}`" in page for table in tables.metadata.tables)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "line 1"),
        (["{}"], "line 1"),
        (['{"format":"elias-audit-9","size":1,"time":1,"root":"","epoch":1}'], "the first line names `elias-audit-1`"),
        (['{"format":"elias-audit-1","size":1,"time":1,"root":"xy","epoch":1}'], "line 1"),
        (['{"format":"elias-audit-1","size":1,"time":1,"root":"","epoch":1}', '{"leaf":"","path":[]}'], "line 2"),
        (['{"format":"elias-audit-1","size":1,"time":1,"root":"","epoch":1}', "garbage"], "line 2"),
    ],
)
def test_what_is_no_audit_bundle_is_refused_with_its_line(lines: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check_bundle(lines)


def test_verifying_and_exporting_go_up_to_the_head_they_began_with(ledger: Store, writer: Writer) -> None:
    size = ledger.head().size
    report = verify(ledger, lambda done, total: writer.write(entry("event")) and None)
    assert report
    assert report.head.size == size < ledger.head().size
