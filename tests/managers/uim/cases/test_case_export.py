"""What people answered, as examples: with the policy's numbers, the author, the reason and what came of it."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from federation.counsel import Heard
from federation.policy.tier import Said, Tier
from federation.records import Outcome
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.export import examples, write
from tests.federation.test_consults import POLICY, calibration

from .kit import House


def exported(house: House, format: str = "jsonl") -> list[dict[str, Any]]:
    out = io.StringIO()
    count = write(out, examples(house.store), format)  # type: ignore[arg-type]
    out.seek(0)
    found = [json.loads(line) for line in out] if format == "jsonl" else list(csv.DictReader(out))
    assert len(found) == count
    return found


def test_an_answer_is_an_example_with_its_author_and_reason(house: House) -> None:
    (id,) = house.warm("f1")
    house.answer(id, "cool", by="ada", words="it smokes")
    (example,) = exported(house)
    assert (example["decision"], example["point"], example["subject"]) == (id, "lab.furnace", "f1")
    assert example["facts"] == {"heat": 80.0}
    assert [candidate["action"] for candidate in example["candidates"]] == ["cool", "vent", "hold"]
    assert (example["choice"], example["action"], example["args"]) == (0, "cool", {"by": "gently"})
    assert (example["author"], example["reason"], example["label"]) == ("ada", "it smokes", "answered")
    assert (example["probabilities"], example["proposed"], example["outcome"]) == ([], None, "")


def test_what_came_of_it_is_told(house: House) -> None:
    (id,) = house.warm("f1")
    house.answer(id, "cool")
    house.federation.outcome(id, Outcome("done", reward=1.0))
    (example,) = exported(house)
    assert (example["outcome"], example["reward"]) == ("done", 1.0)


def test_an_answer_of_a_rule_or_a_time_out_is_none(house: House) -> None:
    house.warm("f1", heat=95)
    house.warm("f2")
    house.wait(61)
    assert exported(house) == []


def test_a_second_attempt_is_an_example_of_its_own(house: House) -> None:
    (id,) = house.warm("f1")
    house.federation.desks["lab"].manager.wind = 30.0  # type: ignore[attr-defined]
    house.answer(id, "vent")
    house.answer(id, "cool")
    (example,) = exported(house)
    assert (example["attempt"], example["action"]) == (1, "cool")
    assert example["candidates"][1]["forbidden"] == "calm_only"


def test_a_late_answer_stands_beside_the_one_that_counted(house: House) -> None:
    (id,) = house.warm("f1")
    house.answer(id, "hold")
    late = CaseUpdate("late", id, "bob", words="too hot", action="cool", args={"by": "gently"})
    house.federation.note(house.uim.say(late, house.clock.now()), "uim")
    (example,) = exported(house)
    (other,) = example["late"]
    assert (other["author"], other["action"], other["reason"]) == ("bob", "cool", "too hot")


def test_a_table_holds_the_same_and_no_formula(house: House) -> None:
    (id,) = house.warm("f1")
    house.answer(id, "hold", words="=cmd|' /C calc'!A0")
    (row,) = exported(house, "csv")
    assert json.loads(row["facts"]) == {"heat": 80.0}
    assert (row["choice"], row["author"]) == ("2", "ada")
    assert row["reason"] == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize(("action", "label"), [("vent", "approved"), ("cool", "overridden")])
def test_what_the_policy_would_have_done_is_the_proposal(tmp_path: Path, action: str, label: str) -> None:
    house = House(tmp_path, tier=Tier({POLICY: calibration()}))
    (id,) = house.warm("f1")
    assert house.book.case(id) is None  # the policy is being asked, and nobody else
    ((decision, consult),) = house.federation.consults().items()
    scores = tuple(math.log(share) for share in (0.3, 0.4, 0.3))
    house.federation.hear({decision: Heard(consult.offered, Said(POLICY, "embedded", scores), 1.0)})
    case = house.book.case(id)
    assert case is not None
    assert case.proposal is not None
    assert (case.proposal.action, case.proposer) == ("vent", "policy")
    assert case.confidence == pytest.approx(0.571429)
    house.answer(id, action, words="seen it")
    (example,) = exported(house)
    assert example["probabilities"] == pytest.approx([0.3, 0.4, 0.3])
    assert (example["policy"], example["proposed"], example["label"]) == (POLICY, 1, label)
    house.store.close()
