"""The checker finds what is broken in a history, and nothing in one that is sound: both are written by hand."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.chaos.checker import findings
from tests.chaos.history import CERTAIN, REFUSED, SOURCE, UNKNOWN, History, Note, Request, World

E, A, F, O = "asked", "answered", "effect", "outcome"  # noqa: E741


def ledger(*rows: tuple[str, str, str, str, str]) -> list[Note]:
    """Notes of (kind, point, subject, decision, state or event); one epoch."""
    return [
        Note(
            seq, 1, kind, point, subject, decision, 0,
            *((more, SOURCE) if kind == E else ("", "", more)),
        )
        for seq, (kind, point, subject, decision, more) in enumerate(rows, start=1)
    ]  # fmt: skip


RECORDS = ledger(
    (E, "urm.resource_pressure", "node-1", "d1", "urm-1"),
    (A, "urm.resource_pressure", "node-1", "d1", ""),
    (E, "ufm.placement", "job-1", "d2", "job-1"),
    (A, "ufm.placement", "job-1", "d2", ""),
    (F, "ufm.placement", "job-1", "d2", "wanted"),
    (F, "ufm.placement", "job-1", "d2", "released"),
    (O, "ufm.placement", "job-1", "d2", "unknown"),
    (O, "ufm.placement", "job-1", "d2", "done"),
    (E, "ucm.delivery", "topic", "d3", "ucm-1"),
    (A, "ucm.delivery", "topic", "d3", ""),
    (F, "ucm.delivery", "topic", "d3", "wanted"),
    (F, "ucm.delivery", "topic", "d3", "released"),
    (O, "ucm.delivery", "topic", "d3", "done"),
    ("mode", "", "", "", "uim.access/block"),
)
REQUESTS = [
    Request("urm", "urm-1", 0.0, 1.0, UNKNOWN),
    Request("urm", "urm-1", 1.0, 1.1, CERTAIN, {"d1": "answered"}),
    Request("urm", "urm-2", 1.0, 2.0, UNKNOWN),
    Request("jobs", "job-1", 1.0, 1.1, CERTAIN, {"d2": "answered"}),
    Request("ucm", "ucm-1", 1.0, 1.1, CERTAIN, {"d3": "answered"}),
    Request("gate", "gate-1", 1.0, 2.0, UNKNOWN),
    Request("gate", "gate-1", 2.0, 2.1, CERTAIN),
]
WORLD = World({"job-1": 1}, {"d3": 2})
SOUND = History(REQUESTS, [], RECORDS, WORLD)


def without(at: int) -> list[Note]:
    """The ledger, had this record never been written."""
    return renumbered([note for note in RECORDS if note.seq != at])


def again(at: int) -> list[Note]:
    """The ledger, had this record been written twice."""
    return renumbered([*RECORDS, RECORDS[at - 1]])


def renumbered(notes: Sequence[Note]) -> list[Note]:
    return [replace(note, seq=seq) for seq, note in enumerate(notes, start=1)]


BROKEN = {
    "a lost event": (
        replace(SOUND, ledger=renumbered(RECORDS[2:])),
        "event urm-1 was acknowledged, and its decision d1 is not on record",
    ),
    "a lost answer": (
        replace(SOUND, ledger=without(2)),
        "event urm-1 was acknowledged as answered, and decision d1 has no answer",
    ),
    "a doubled decision": (replace(SOUND, ledger=again(1)), "decision d1 was asked 2 times (attempt 0)"),
    "a doubled answer": (replace(SOUND, ledger=again(2)), "decision d1 was answered 2 times (attempt 0)"),
    "an answer to nothing": (
        replace(SOUND, ledger=without(9)),
        "decision d3 was answered and never asked (attempt 0)",
    ),
    "a decision about nothing": (
        replace(SOUND, requests=[r for r in REQUESTS if r.id != "urm-1"]),
        "decision d1 is about event urm-1, which nobody sent",
    ),
    "a decision about what was refused": (
        replace(SOUND, requests=[*REQUESTS[2:], replace(REQUESTS[0], result=REFUSED)]),
        "event urm-1 was refused, and decision d1 was made all the same",
    ),
    "an event that was refused": (
        replace(SOUND, requests=[*REQUESTS, replace(REQUESTS[2], result=REFUSED, said="422 bad")]),
        "event urm-2 was refused: 422 bad",
    ),
    "a person's word that is lost": (
        replace(SOUND, ledger=without(14)),
        "modes: 1 changes were taken, and 0 are on record",
    ),
    "an effect before its answer": (
        replace(SOUND, ledger=without(4)),
        "record 4: an effect of decision d2, which has no answer yet",
    ),
    "an outcome without an effect": (
        replace(SOUND, ledger=renumbered([n for n in RECORDS if n.decision != "d3" or n.kind != F])),
        "record 11: an outcome of decision d3, which wanted no effect yet",
    ),
    "an effect that was never released": (
        replace(SOUND, ledger=without(12)),
        "record 12: decision d3 is done, and was never released",
    ),
    "two ends of one effect": (
        replace(SOUND, ledger=again(8)),
        "record 15: decision d2 is done, and was done",
    ),
    "an epoch that falls": (
        replace(SOUND, ledger=[*RECORDS[:-2], replace(RECORDS[-2], epoch=2), RECORDS[-1]]),
        "record 14 was written under epoch 1, after epoch 2 had begun",
    ),
    "a hole": (replace(SOUND, ledger=[n for n in RECORDS if n.seq != 14] + [replace(RECORDS[13], seq=15)]),
        "record 15 follows record 13",
    ),
    "an effect twice": (replace(SOUND, world=World({"job-1": 2}, {"d3": 1})), "job job-1 ran 2 times"),
    "an effect of nobody": (
        replace(SOUND, world=World({"job-1": 1, "job-9": 1}, {"d3": 1})),
        "job job-9 ran, and nobody sent it",
    ),
    "a job that is done and never ran": (
        replace(SOUND, world=World({}, {"d3": 1})),
        "job job-1 is done, and never ran",
    ),
    "a message that is delivered and never came": (
        replace(SOUND, world=World({"job-1": 1}, {})),
        "message d3 is delivered, and never came",
    ),
    "a ledger that does not verify": (
        replace(SOUND, damage="record 3: gone"),
        "the ledger does not verify: record 3: gone",
    ),
    "a part that stays away": (replace(SOUND, unwell="ufm"), "not well at the end: ufm"),
}  # fmt: skip


def test_a_sound_history_has_no_finding() -> None:
    """So are an unknown request, one that was given up, an outcome after `unknown`, and a message that came twice."""
    assert findings(SOUND) == []


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_found(how: str) -> None:
    history, said = BROKEN[how]
    assert said in findings(history)


def test_a_job_that_ran_before_it_was_released_is_found() -> None:
    notes = renumbered([note for note in RECORDS if note.decision != "d2"])
    requests = [replace(r, decisions={}) if r.part == "jobs" else r for r in REQUESTS]
    assert findings(replace(SOUND, ledger=notes, requests=requests)) == [
        "job job-1 ran, and its placement was never released"
    ]
