import msgspec
import pytest
import sqlalchemy

from federation.clock import SECOND, VirtualClock
from federation.errors import Corrupt, Fenced, Refused, Temporary
from federation.ledger import tables
from federation.ledger.appender import Appender
from federation.ledger.faults import Duplicate
from federation.ledger.merkle import EMPTY, leaf_hash
from federation.ledger.store import CHUNK, Head, Lease, Snapshot, Store
from federation.records import Entry

from .kit import Writer, decided, entry

TTL = 10 * SECOND


def seqs(records: object) -> list[int]:
    return [record.header.seq for record in records]  # type: ignore[attr-defined]


def test_a_new_ledger_is_empty_and_held_by_nobody(store: Store) -> None:
    assert store.head() == Head(0, 0, EMPTY, 0)
    assert store.lease() == Lease(0, "", 0)
    assert list(store.read()) == []
    assert store.latest(10) == []


def test_the_lease_is_taken_once_and_refused_to_another_until_it_expires(store: Store) -> None:
    assert store.acquire("first", 0, TTL) == 1
    with pytest.raises(Temporary, match=r"first holds the lease for another 4\.0 s"):
        store.acquire("second", 6 * SECOND, TTL)
    assert store.acquire("second", TTL, TTL) == 2
    assert store.lease() == Lease(2, "second", 2 * TTL)


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    epoch = store.acquire("first", 0, TTL)
    store.renew(epoch, 6 * SECOND, TTL)
    with pytest.raises(Temporary):
        store.acquire("second", TTL, TTL)


def test_the_same_holder_may_take_its_lease_again(store: Store) -> None:
    assert [store.acquire("first", 0, TTL), store.acquire("first", 0, TTL)] == [1, 2]


def test_force_takes_a_lease_that_runs_and_fences_the_old_holder(store: Store) -> None:
    old = store.acquire("first", 0, TTL)
    assert store.acquire("second", 0, TTL, force=True) == 2
    with pytest.raises(Fenced):
        store.renew(old, 0, TTL)
    with pytest.raises(Fenced):
        store.commit(Head(0, 0, EMPTY, old), [], [])


def test_a_released_lease_is_free_at_once_but_not_when_another_holds_it(store: Store) -> None:
    old = store.acquire("first", 0, TTL)
    store.release(old)
    store.acquire("second", 0, TTL)
    store.release(old)
    with pytest.raises(Temporary):
        store.acquire("third", 0, TTL)


def test_a_refused_commit_leaves_nothing_behind(store: Store, writer: Writer) -> None:
    writer.write(*decided("d1"))
    head, found = store.head(), list(store.read())
    again = [
        (n, 0, 1, "ufm", 1, "asked", "", "", d, 0, b"", b"") for n, d in ((head.size + 1, "d2"), (head.size + 2, "d1"))
    ]
    with pytest.raises(Duplicate):
        store.commit(Head(head.size + 2, 0, EMPTY, head.epoch), again, [])
    assert (store.head(), list(store.read())) == (head, found)


@pytest.mark.parametrize(
    "written",
    [
        Entry("event", "ufm.node_health", "node-17", "", b'{"v":1}'),
        Entry("event", "ufm.node_health", "Knoten 17, Süd – „Zürich“ 🛰, \\x {a,b} \t'\"", "", b'{"v":1}'),
        Entry("asked", "", "", "0" * 32, b"", 3),
        Entry("event", "", "NULL", "", bytes(range(256)) * 4000),
    ],
)
def test_a_record_is_read_as_it_was_written(store: Store, writer: Writer, written: Entry) -> None:
    receipt = writer.write(written)
    (record,) = store.read(after=receipt.first - 1)
    header = record.header
    assert Entry(header.kind, header.point, header.subject, header.decision, record.body, header.attempt) == written
    assert (header.seq, header.time, header.epoch) == (receipt.first, receipt.time, receipt.epoch)
    assert (header.writer, header.incarnation) == ("ufm", 1)


def test_the_stored_leaf_is_the_hash_of_the_record(store: Store, writer: Writer) -> None:
    writer.write(*decided("d1"), Entry("event", "", "Zürich", "", b"{}"))
    for record, leaf in store.rows(upto=store.head().size):
        assert leaf == leaf_hash(record.leaf())
        assert record.leaf() == msgspec.json.encode(record.header) + b"\n" + record.body


@pytest.fixture
def busy(store: Store, writer: Writer) -> Store:
    """Records 3 to 14: asked and answered at two points in turn; record 15 is of another writer."""
    for n in range(3):
        writer.write(*decided(f"p{n}"), *decided(f"h{n}", point="ufm.node_health"))
    Writer(writer.appender, "urm").write(entry("event", point="urm.resource_pressure"))
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, range(1, 17)),
        ({"after": 14}, [15, 16]),
        ({"after": 2, "upto": 5}, [3, 4, 5]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"after": 99}, []),
        ({"kinds": ["answered"]}, [4, 6, 8, 10, 12, 14]),
        ({"kinds": ["epoch", "event", "event"]}, [1, 16]),
        ({"kinds": ["epoch", "asked"], "limit": 3}, [1, 3, 5]),
        ({"points": ["ufm.node_health"]}, [5, 6, 9, 10, 13, 14]),
        ({"points": ["ufm.node_health", "urm.resource_pressure"], "after": 10}, [13, 14, 16]),
        ({"points": ["ufm.node_health"], "kinds": ["asked"]}, [5, 9, 13]),
        ({"writers": ["urm", "appender"]}, [1, 15, 16]),
        ({"writers": ["ufm"], "kinds": ["asked"], "points": ["ufm.placement"], "upto": 8}, [3, 7]),
        ({"kinds": ["nothing"]}, []),
    ],
)
def test_reading_gives_what_was_asked_for_in_order(
    busy: Store, filters: dict[str, object], expected: list[int]
) -> None:
    assert seqs(busy.read(**filters)) == list(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [16, 15, 14]),
        ({"before": 3}, [2, 1]),
        ({"kinds": ["asked", "answered"], "before": 13}, [12, 11, 10]),
        ({"points": ["ufm.placement", "urm.resource_pressure"]}, [16, 12, 11]),
        ({"points": ["ufm.placement"], "kinds": ["asked"], "before": 11}, [7, 3]),
    ],
)
def test_the_latest_come_first_and_page_by_page(busy: Store, filters: dict[str, object], expected: list[int]) -> None:
    assert seqs(busy.latest(3, **filters)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "filters", [{"kinds": ["asked"]}, {"points": ["ufm.placement"]}, {"kinds": ["asked"], "points": ["ufm.placement"]}]
)
def test_filtered_reads_run_along_an_index_in_order(busy: Store, filters: dict[str, list[str]]) -> None:
    plans: list[str] = []

    @sqlalchemy.event.listens_for(busy.engine, "before_cursor_execute")
    def explain(connection: sqlalchemy.Connection, cursor: object, statement: str, values: object, *_: object) -> None:
        if "FROM records" in statement:
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[func-returns-value]
            plans.extend(row[-1] for row in plan)  # type: ignore[attr-defined]

    assert list(busy.read(**filters))  # type: ignore[arg-type]
    assert busy.latest(5, **filters)
    assert any("SEARCH records USING INDEX records_kind_point (kind=? AND point=? AND seq" in step for step in plans)
    assert not [step for step in plans if step.startswith("SCAN r")], plans


def test_a_reader_that_is_slower_than_the_appender_misses_nothing(store: Store, writer: Writer) -> None:
    writer.write(*[e for n in range(CHUNK) for e in decided(f"x{n}")])
    reading = store.read(kinds=["asked", "answered"])
    seen = [next(reading).header.seq]
    writer.write(*[e for n in range(CHUNK) for e in decided(f"y{n}")])
    seen += seqs(reading)
    seen += seqs(store.read(after=seen[-1], kinds=["asked", "answered"]))
    assert seen == seqs(r for r in store.read() if r.header.kind in ("asked", "answered"))


def test_a_decision_is_found_with_all_its_records(busy: Store, writer: Writer) -> None:
    more = [entry("effect", "p1"), entry("effect", "p1"), entry("outcome", "p1"), *decided("p1", attempt=1)]
    receipt = writer.write(*more)
    kinds = [record.header.kind for record in busy.decision("p1")]
    assert kinds == ["asked", "answered", "effect", "effect", "outcome", "asked", "answered"]
    assert seqs(busy.decision("p1"))[-1] == receipt.last
    assert busy.decision("nothing") == busy.decision("") == []


def test_known_gives_the_first_asked_body_of_those_that_exist(busy: Store, writer: Writer) -> None:
    writer.write(entry("asked", "p1", attempt=1, body=b"again"))
    bodies = {"p1": b'{"decision":"p1"}', "h2": b'{"decision":"h2"}'}
    assert busy.known(["p1", "h2", "nothing", ""]) == bodies
    assert busy.known([]) == {}
    assert len(busy.known([f"{kind}{n}" for kind in "ph" for n in range(1000)])) == 6


def test_the_last_two_snapshots_of_a_writer_are_kept(store: Store) -> None:
    for seq in (10, 20, 30):
        store.snapshot_save("ufm", seq, b"ufm %d" % seq)
    store.snapshot_save("urm", 5, b"urm")
    store.snapshot_save("ufm", 30, b"ufm once more")
    assert store.snapshot_load("ufm") == Snapshot(30, b"ufm once more")
    assert store.snapshot_load("ufm", upto=29) == Snapshot(20, b"ufm 20")
    assert store.snapshot_load("ufm", upto=19) is None
    assert store.snapshot_load("urm") == Snapshot(5, b"urm")
    assert store.snapshot_load("uam") is None


def test_a_ledger_of_a_newer_version_is_refused_with_a_cure(store: Store, open_store: type[Store]) -> None:
    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.update(tables.schema).values(version=tables.VERSION + 1))
    with pytest.raises(Refused, match="run the newer ELIAS"):
        open_store()


def test_a_ledger_without_a_version_or_a_lease_is_corrupt(store: Store, open_store: type[Store]) -> None:
    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.delete(tables.lease))
        connection.execute(sqlalchemy.delete(tables.schema))
    with pytest.raises(Corrupt, match="lease"):
        store.lease()
    with pytest.raises(Corrupt, match="version"):
        open_store()


def test_a_reader_sees_what_another_process_commits_and_cannot_write(
    writer: Writer, open_store: type[Store], clock: VirtualClock
) -> None:
    reader = open_store(read_only=True)  # type: ignore[call-arg]
    receipt = writer.write(*decided("d1"))
    assert reader.head().size == receipt.last
    with pytest.raises(Temporary):
        Appender(reader, clock, "intruder").open(force=True)
