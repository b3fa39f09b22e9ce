import pickle
import random
from collections.abc import Callable

import msgspec
import pytest

from federation.clock import SECOND, VirtualClock
from federation.errors import Bug, Corrupt, EliasError, Fenced, Refused, Temporary
from federation.ledger import merkle, proofs, tables
from federation.ledger.appender import BODY_LIMIT, Appender, Batch, Receipt
from federation.ledger.store import Head, Store
from federation.records import Entry, Kind

from .kit import Writer, decided, entry


def opened(store: Store, clock: VirtualClock) -> Appender:
    appender = Appender(store, clock, "appender")
    appender.open(force=True)
    return appender


def test_opening_records_the_epoch_and_its_holder(appender: Appender, store: Store, clock: VirtualClock) -> None:
    (record,) = store.read()
    assert (record.header.kind, record.header.epoch, record.header.time) == (Kind.EPOCH, 1, clock.now())
    assert msgspec.json.decode(record.body) == {"holder": "appender on node-1", "v": 1}


def test_a_tick_records_that_time_passed(appender: Appender, store: Store, clock: VirtualClock) -> None:
    clock.advance(1)
    receipt = appender.tick()
    (record,) = store.read(kinds=[Kind.TICK])
    assert (record.header.seq, record.header.time) == (receipt.first, clock.now())


def test_a_group_of_batches_is_one_commit_in_order(appender: Appender, store: Store) -> None:
    ufm, urm = Writer(appender, "ufm"), Writer(appender, "urm")
    before = len(list(store.checkpoints()))
    receipts = appender.commit([ufm.batch(*decided("a")), urm.batch(entry("event")), ufm.batch(*decided("b"))])
    now, size = store.head().time, store.head().size
    assert receipts == [
        Receipt(size - 4, size - 3, now, 1),
        Receipt(size - 2, size - 2, now, 1),
        Receipt(size - 1, size, now, 1),
    ]
    assert [record.header.writer for record in store.read(after=size - 5)] == ["ufm", "ufm", "urm", "ufm", "ufm"]
    assert len(list(store.checkpoints())) == before + 1


def test_federation_time_never_goes_back_although_the_clock_does(open_store: Callable[[], Store]) -> None:
    ahead, behind = VirtualClock(2000 * SECOND), VirtualClock(1000 * SECOND)
    first = Writer(opened(open_store(), ahead)).write(entry("event"))
    second = Writer(opened(open_store(), behind)).write(entry("event"))
    assert first.time == second.time == 2000 * SECOND


def test_a_batch_that_is_sent_again_is_not_appended_again(appender: Appender, writer: Writer, store: Store) -> None:
    batch = writer.batch(*decided("d1"), entry("effect", "d1"))
    (first,) = appender.commit([batch])
    assert appender.commit([batch]) == [first]
    assert appender.commit([batch, writer.batch(entry("event")), batch])[0] == first
    assert len(store.decision("d1")) == 3


def test_a_batch_twice_in_one_group_is_appended_once(appender: Appender, writer: Writer, store: Store) -> None:
    batch = writer.batch(*decided("d1"))
    first, second = appender.commit([batch, batch])
    assert first == second
    assert len(store.decision("d1")) == 2


def test_a_batch_is_known_again_by_an_appender_that_took_over(
    writer: Writer, open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    batch = writer.batch(*decided("d1"))
    (first,) = writer.appender.commit([batch])
    successor = opened(open_store(), clock)
    assert successor.commit([batch]) == [first]
    writer.appender = successor
    assert isinstance(first, Receipt)
    assert writer.write(*decided("d2")).first > first.last


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"number": 2}, "batch 2 where 1 is next"),
        ({"number": 0}, "batch 0 where 1 is next"),
        ({"number": -1}, "batch -1 where 1 is next"),
        ({"incarnation": 2}, "a newer one"),
        ({"incarnation": 0}, "a newer one"),
        ({"writer": "nobody"}, "nobody"),
        ({"writer": "appender"}, "appender"),
    ],
)
def test_a_hole_a_repeat_and_a_stranger_are_fenced_and_hurt_no_other(
    appender: Appender, writer: Writer, store: Store, change: dict[str, object], why: str
) -> None:
    writer.write(entry("event"))
    other = Writer(appender, "urm")
    size = store.head().size
    good, bad = other.batch(entry("event")), msgspec.structs.replace(writer.batch(entry("mode")), **change)
    fenced, receipt = appender.commit([bad, good])
    assert isinstance(fenced, Fenced)
    assert why in str(fenced)
    assert isinstance(receipt, Receipt)
    assert store.head().size == size + 1
    assert store.latest(9, kinds=["mode"]) == []


def test_a_new_incarnation_fences_the_old_one_also_after_a_restart_of_the_appender(
    writer: Writer, open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    old = writer.batch(entry("event"))
    assert Writer(writer.appender).incarnation == 2
    for appender in (writer.appender, opened(open_store(), clock)):
        (result,) = appender.commit([old])
        assert isinstance(result, Fenced)
    assert Writer(appender).incarnation == 3


@pytest.mark.parametrize("name", ["", "appender"])
def test_a_name_that_is_not_a_writers_is_refused(appender: Appender, name: str) -> None:
    with pytest.raises(Refused, match="name it after its manager"):
        appender.register(name, {})


@pytest.mark.parametrize("kind", ["asked", "answered"])
def test_a_decision_is_asked_and_answered_once_for_each_attempt(
    appender: Appender, writer: Writer, store: Store, kind: str
) -> None:
    writer.write(*decided("d1"))
    writer.write(*decided("d1", attempt=1))
    good = Writer(appender, "urm")
    bad = writer.batch(entry("event"), entry(kind, "d1", attempt=1))
    results = appender.commit([good.batch(*decided("d2")), bad, good.batch(*decided("d3"))])
    assert [type(result) for result in results] == [Receipt, Bug, Receipt]
    assert f"ufm: decision d1 was {kind} before (attempt 1)" in str(results[1])
    assert [len(store.decision(id)) for id in ("d1", "d2", "d3")] == [4, 2, 2]
    assert store.latest(9, kinds=["event"]) == []


def test_of_two_batches_that_ask_the_same_the_first_wins(appender: Appender, store: Store) -> None:
    ufm, urm = Writer(appender, "ufm"), Writer(appender, "urm")
    results = appender.commit([ufm.batch(*decided("d1")), urm.batch(*decided("d1")), urm.batch(entry("event"))])
    assert [type(result) for result in results] == [Receipt, Bug, Fenced]
    assert {record.header.writer for record in store.decision("d1")} == {"ufm"}


def test_a_batch_that_asks_the_same_twice_is_refused_alone(appender: Appender, writer: Writer, store: Store) -> None:
    (result,) = appender.commit([writer.batch(*decided("d1"), entry("asked", "d1"))])
    assert isinstance(result, Bug)
    assert store.decision("d1") == []


def test_effects_and_outcomes_of_a_decision_may_follow_each_other(writer: Writer, store: Store) -> None:
    writer.write(*decided("d1"), entry("effect", "d1"), entry("outcome", "d1"))
    writer.write(entry("effect", "d1"), entry("outcome", "d1"))
    assert len(store.decision("d1")) == 6


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Entry("event", "", "a\x00b", "", b"{}"), "NUL"),
        (Entry("event", "", "\ud800", "", b"{}"), "surrogates"),
        (Entry("event", "", "x" * 1000, "", b"{}"), "at most 512 characters"),
        (Entry("event", "", "node-17", "", bytes(BODY_LIMIT + 1)), "node-17: the body of a record has 16777217 bytes"),
        (Entry("asked", "ufm.placement", "node-17", "", b"{}"), "names no decision"),
        (None, "hand in at least one"),
    ],
)
def test_what_no_ledger_can_hold_is_refused_with_place_and_cure(
    appender: Appender, writer: Writer, bad: Entry | None, why: str
) -> None:
    other = Writer(appender, "urm")
    refused, receipt = appender.commit([writer.batch(*[bad] if bad else []), other.batch(entry("event"))])
    assert isinstance(refused, Refused)
    assert why in str(refused)
    assert isinstance(receipt, Receipt)


class Unsure:
    """A store whose next commit ends in an error, before or after it arrived."""

    def __init__(self, store: Store, *, arrives: bool) -> None:
        self.commit = store.commit
        self.store = store
        self.arrives = arrives
        store.commit = self  # type: ignore[method-assign, assignment]

    def __call__(self, *arguments: object) -> None:
        self.store.commit = self.commit  # type: ignore[method-assign]
        if self.arrives:
            self.commit(*arguments)  # type: ignore[arg-type]
        raise Temporary("the connection to the database was lost; try again")


@pytest.mark.parametrize("arrives", [False, True])
def test_a_commit_of_which_nobody_knows_whether_it_arrived_can_be_sent_again(
    appender: Appender, store: Store, arrives: bool
) -> None:
    ufm, urm = Writer(appender, "ufm"), Writer(appender, "urm")
    batches = [ufm.batch(*decided("d1")), urm.batch(*decided("d2"))]
    Unsure(store, arrives=arrives)
    assert [type(result) for result in appender.commit(batches)] == [Temporary, Temporary]
    receipts = appender.commit(batches)
    assert [type(result) for result in receipts] == [Receipt, Receipt]
    assert len(store.decision("d1")) == len(store.decision("d2")) == 2
    assert ufm.write(entry("event")).last == store.head().size == 3 + 4 + 1


def test_an_appender_whose_lease_was_taken_is_fenced_in_everything(
    writer: Writer, open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    old, batch = writer.appender, writer.batch(entry("event"))
    size = opened(open_store(), clock).head.size
    for attempt in (lambda: old.commit([batch]), old.tick, old.renew, lambda: old.register("urm", {})):
        with pytest.raises(Fenced):
            attempt()
    old.close()
    assert open_store().head().size == size


def test_a_lease_that_is_renewed_lasts_and_one_that_was_given_back_does_not(
    appender: Appender, open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    successor = Appender(open_store(), clock, "appender on node-2")
    clock.advance(6)
    appender.renew()
    clock.advance(6)
    with pytest.raises(Temporary, match="appender on node-1 holds the lease"):
        successor.open()
    appender.close()
    assert successor.open() == 2


def test_the_tree_goes_on_over_restarts_and_every_record_can_be_proven(
    open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    """Enough records for two tiles, in commits of all sizes, under several epochs."""
    numbers = random.Random(5)
    for epoch in range(3):
        store = open_store()
        writer = Writer(opened(store, clock))
        for n in range(8):
            writer.write(*[entry("event", body=b"%d %d" % (epoch, n))] * numbers.randrange(1, 60))
    heads = [Head(0, 0, merkle.EMPTY, 0), *store.checkpoints()]
    head = heads[-1]
    assert head.size > 512
    for record, leaf in store.rows(upto=head.size):
        seq = record.header.seq
        assert merkle.verify_inclusion(leaf, seq - 1, head.size, proofs.inclusion(store, seq, head), head.root)
    for old in heads:
        proof = proofs.consistency(store, old.size, head)
        assert merkle.verify_consistency(old.size, head.size, proof, old.root, head.root)


def test_an_appender_does_not_go_on_from_a_tree_that_is_not_the_checkpoints(
    writer: Writer, store: Store, open_store: Callable[[], Store], clock: VirtualClock
) -> None:
    last = writer.write(entry("event")).last
    with store.engine.begin() as connection:
        connection.execute(tables.records.update().values(leaf=bytes(32)).where(tables.records.c.seq == last))
    with pytest.raises(Corrupt, match="`elias ledger verify` names the first bad record"):
        opened(open_store(), clock)


def test_what_is_said_of_a_batch_can_be_sent_to_another_process(appender: Appender) -> None:
    results: list[Receipt | EliasError] = appender.commit([Batch("ufm", 1, 0, [entry("event")])])
    assert str(pickle.loads(pickle.dumps(results))[0]) == str(results[0])
