"""Replay: every decision again from the records, byte for byte."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from federation.errors import Corrupt, Refused
from federation.gate import freeze_entry
from federation.local import points_of
from federation.manager import Emission
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Kind, Mode, encode
from federation.replay import Replayed, replay
from tests.federation.lab import FURNACE, SPEC, Lab, Laboratory, bundle

POINTS = points_of([Lab])
FIRST = SPEC.replace("- timeout: 1m", "- timeout: 1m\n- on_timeout: vent")
SECOND = FIRST.replace("90%", "60%").replace("- on_timeout: vent", "- on_timeout: hold")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    lab = Laboratory(tmp_path, spec=FIRST)
    yield lab
    lab.close()


@pytest.fixture
def eventful(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """With everything that replay may meet: rules, edges, facts absent and unknown, persons, time-outs, cases asked
    again until the terminal action answered, modes, a freeze, two bundles, and cases that are still open.
    """
    federation = lab.federation
    for heat in (20, 95, 96, 50, "97%", None, 91.5):
        lab.clock.advance(1)
        lab.measured(heat)
    lab.measured(12, "f2", gas="3%")
    federation.answer("lab", lab.measured(80, "f3").id, "cool", by="ada", words="it smells")
    federation.answer("lab", lab.measured(80, "f4").id, "hold", by="ada")
    lab.measured(80, "times out")
    lab.clock.advance(61)
    federation.tick()
    again = lab.measured(80, "asked again").id
    winds = itertools.cycle([25.0, 5.0])
    with monkeypatch.context() as gusts:
        gusts.setattr(type(lab.lab), "wind", property(lambda _: next(winds)))
        for _ in range(3):
            federation.answer("lab", again, "vent", by="ada")
    lab.lab.wind = 25.0
    lab.measured(80, "waits across the edit")
    federation.note(Emission(Kind.MODE, "", "", "", Mode("lab.furnace/vent", "act", "ada")))
    federation.note(freeze_entry(True, "ada", "maintenance"))
    federation.put_in_force(bundle(SECOND))
    lab.measured(65, "f5")
    lab.clock.advance(61)
    federation.tick()
    federation.note(freeze_entry(False, "ada", ""))
    for experiment in ("e1", "e2"):
        lab.asked(10, experiment)
    lab.asked(80, "e3")
    return lab


def answers(lab: Laboratory) -> list[tuple[int, Answered]]:
    found = lab.store.read(kinds=[Kind.ANSWERED])
    return [(r.header.seq, msgspec.json.decode(r.body, type=Answered)) for r in found]


def test_every_decision_comes_out_byte_for_byte(eventful: Laboratory) -> None:
    found = replay(eventful.store, POINTS)
    assert found.differences == []
    assert found.decisions == len(answers(eventful)) == found.by_rule + found.by_others
    assert found.waiting == len(eventful.cases) > 0


def test_that_ledger_holds_every_way_to_an_answer(eventful: Laboratory) -> None:
    """Else the test above would show less than it says."""
    given = [answered for _, answered in answers(eventful)]
    assert {a.tier for a in given} == {"rule", "operator", "timeout", "fallback"}
    assert {a.action for a in given if a.tier == "timeout"} == {"vent", "hold"}
    assert max(a.attempt for a in given) == 2
    bundles = {msgspec.json.decode(r.body, type=Asked).bundle for r in eventful.store.read(kinds=[Kind.ASKED])}
    assert len(bundles) == 2


def tampered(lab: Laboratory, seq: int, body: bytes) -> Replayed:
    """What replay finds once somebody has written into the database."""
    with sqlite3.connect(lab.url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE records SET body = ? WHERE seq = ?", (body, seq))
    database.close()
    return replay(lab.store, POINTS)


def as_another(answered: Answered) -> Answered:
    return msgspec.structs.replace(answered, action="hold" if answered.action != "hold" else "vent")


def with_other_arguments(answered: Answered) -> Answered:
    return msgspec.structs.replace(answered, args={"by": "force"})


def by_another_clause(answered: Answered) -> Answered:
    return msgspec.structs.replace(answered, clause="warmer")


@pytest.mark.parametrize("tier", ["rule", "operator", "timeout", "fallback"])
@pytest.mark.parametrize("change", [as_another, with_other_arguments, by_another_clause])
def test_an_answer_that_was_changed_is_named(
    eventful: Laboratory, tier: str, change: Callable[[Answered], Answered]
) -> None:
    seq, answered = next((seq, a) for seq, a in answers(eventful) if a.tier == tier)
    found = tampered(eventful, seq, encode(change(answered)))
    (difference,) = found.differences
    assert difference.seq == seq
    assert difference.recorded != difference.replayed
    assert not found.identical


def test_facts_that_were_changed_make_another_decision(eventful: Laboratory) -> None:
    record = next(r for r in eventful.store.read(kinds=[Kind.ASKED]) if b'"heat":95' in r.body)
    found = tampered(eventful, record.header.seq, record.body.replace(b'"heat":95', b'"heat":15'))
    assert record.header.decision in {d.decision for d in found.differences}


def test_a_choice_that_was_not_offered_is_named(eventful: Laboratory) -> None:
    seq, answered = next((seq, a) for seq, a in answers(eventful) if a.tier == "operator")
    (difference,) = tampered(eventful, seq, encode(msgspec.structs.replace(answered, choice=7))).differences
    assert (difference.seq, difference.replayed) == (seq, "not offered")


@pytest.mark.parametrize(("kind", "body"), [(Kind.ANSWERED, b"{"), (Kind.ASKED, b'{"event":7}')])
def test_a_record_that_cannot_be_read_is_named_and_sent_to_verify(
    eventful: Laboratory, kind: Kind, body: bytes
) -> None:
    record = next(iter(eventful.store.read(kinds=[kind])))
    with pytest.raises(Corrupt, match=rf"record {record.header.seq} cannot be read; `elias ledger verify`"):
        tampered(eventful, record.header.seq, body)


def test_a_record_that_is_gone_leaves_an_answer_without_a_question(eventful: Laboratory) -> None:
    with sqlite3.connect(eventful.url.removeprefix("sqlite:///")) as database:
        database.execute("DELETE FROM records WHERE seq = (SELECT min(seq) FROM records WHERE kind = 'asked')")
    database.close()
    with pytest.raises(Corrupt, match="answers what was not asked"):
        replay(eventful.store, POINTS)


def test_another_version_of_a_point_is_refused_with_a_cure(eventful: Laboratory) -> None:
    newer = DecisionPoint(FURNACE.schema.model_copy(update={"version": 2}), FURNACE.events, FURNACE.effects)
    with pytest.raises(Refused, match=r"written with other versions of lab\.furnace") as refused:
        replay(eventful.store, {**POINTS, "lab.furnace": newer})
    assert refused.value.cure == "replay it with the ELIAS that wrote it"


def test_a_point_that_is_not_installed_is_refused_too(eventful: Laboratory) -> None:
    with pytest.raises(Refused, match=r"other versions of lab\.request"):
        replay(eventful.store, {name: point for name, point in POINTS.items() if name != "lab.request"})
