"""What an edit would have changed: recorded questions, judged again under the specs before and after."""

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiki
from federation.clock import SECOND
from federation.errors import Corrupt
from federation.local import points_of
from federation.points import DecisionPoint
from federation.records import Answered, Kind, decode
from federation.whatif import Changed, Counted, Edit, whatif
from tests.federation.lab import FURNACE, SPEC, Lab, Laboratory, bundle

POINTS = points_of([Lab])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    lab = Laboratory(tmp_path)
    yield lab
    lab.close()


def edited(*turns: tuple[str, str], spec: str = SPEC) -> str:
    for old, new in turns:
        assert old in spec
        spec = spec.replace(old, new)
    return spec


def compared(lab: Laboratory, new: str, old: str = SPEC) -> tuple[dict[str, Counted], list[Changed]]:
    found: list[Changed] = []
    return whatif(lab.store, POINTS, Edit(bundle(old), bundle(new)), found.append), found


def heats(lab: Laboratory, *values: object, furnace: str = "f1") -> None:
    for value in values:
        lab.clock.advance(1)
        lab.measured(value, furnace)


def test_the_decisions_that_an_edit_changes_are_named_with_their_choices(lab: Laboratory) -> None:
    heats(lab, 95, furnace="f1")
    heats(lab, 85, furnace="f2")
    heats(lab, 20, furnace="f3")
    counts, found = compared(lab, edited(("heat > 90%", "heat > 80%")))
    (one,) = found
    assert (one.point, one.subject, str(one.old), str(one.new)) == (
        "lab.furnace",
        "f2",
        "consult(cool, hold, vent)",
        "cool(by=gently)",
    )
    assert lab.store.decision(one.decision)[0].header.seq == one.seq
    assert counts["lab.furnace"].decisions == 3
    assert counts["lab.furnace"].turns == {("consult", "cool"): 1}


@pytest.mark.parametrize(
    "new",
    [
        SPEC,
        "Prose above it moves every line.\n" + SPEC,
        edited(("- timeout: 1m", "- timeout: 5m")),
        edited(("heat > 90%", "90% < heat")),
        edited(("too_hot:", "far_too_hot:")),
        edited(("consult [cool, vent, hold]", "consult [hold, vent, cool]")),
    ],
)
def test_an_edit_that_changes_no_choice_changes_no_decision(lab: Laboratory, new: str) -> None:
    heats(lab, 95, 96, 80, 20, 95, None, 91)
    counts, found = compared(lab, new)
    assert found == []
    assert all(count.changed == 0 and not count.untold for count in counts.values())


def test_only_points_whose_rules_mean_something_else_are_looked_at(lab: Laboratory) -> None:
    heats(lab, 95)
    lab.asked(10)
    counts, found = compared(lab, edited(("danger > 50%", "danger > 5%")))
    assert list(counts) == ["lab.request"]
    assert [(str(one.old), str(one.new)) for one in found] == [("run", "hold")]


def test_what_a_new_guard_forbids_is_not_chosen(lab: Laboratory) -> None:
    heats(lab, 95)
    guard = "- never cool when heat > 94%\n"
    _, found = compared(lab, edited(("- calm_only", f"{guard}- calm_only")))
    assert [(str(one.old), str(one.new)) for one in found] == [("cool(by=gently)", "ask operator")]


def test_a_guard_that_is_taken_away_lets_its_candidates_back_in(lab: Laboratory) -> None:
    spec = edited(("consult [cool, vent, hold]", "vent"))
    lab.federation.put_in_force(bundle(spec))
    lab.lab.wind = 25.0
    heats(lab, 80)
    _, found = compared(lab, edited(("- calm_only: never vent when window.wind > 20\n", ""), spec=spec), spec)
    assert [(str(one.old), str(one.new)) for one in found] == [("ask operator", "vent")]


def test_a_clause_in_force_is_followed_under_both(lab: Laboratory) -> None:
    """At 85 the new rule is in force already, so at 95 it does not fire a second time."""
    heats(lab, 85, 95)
    _, found = compared(
        lab,
        edited(("heat > 90%", "heat > 80%"), ("- warm: when heat > 70%: consult [cool, vent, hold]\n", "")),
        edited(("- warm: when heat > 70%: consult [cool, vent, hold]\n", "")),
    )
    assert [(str(one.old), str(one.new)) for one in found] == [("hold", "cool(by=gently)"), ("cool(by=gently)", "hold")]


WINDOW = edited(
    ("heat > 90%: cool", "heat > 90% for 10s: cool"), ("- warm: when heat > 70%: consult [cool, vent, hold]\n", "")
)


def test_a_window_of_both_keeps_its_truth_on_record(lab: Laboratory) -> None:
    lab.federation.put_in_force(bundle(WINDOW))
    heats(lab, *[95] * 12)
    counts, found = compared(
        lab, edited(("otherwise: hold\n\n## LAB Request", "otherwise: vent\n\n## LAB Request"), spec=WINDOW), WINDOW
    )
    assert {(str(one.old), str(one.new)) for one in found} == set()
    assert counts["lab.furnace"].decisions == 12


def test_a_new_window_is_followed_through_the_samples_on_record(lab: Laboratory) -> None:
    lab.federation.put_in_force(bundle(WINDOW))
    heats(lab, 50, *[95] * 12)
    _, found = compared(lab, edited(("for 10s", "for 5s"), spec=WINDOW), WINDOW)
    assert [(one.time // SECOND % 100, str(one.old), str(one.new)) for one in found] == [
        (found[0].time // SECOND % 100, "hold", "cool(by=gently)"),
        (found[0].time // SECOND % 100 + 5, "cool(by=gently)", "hold"),
    ]


def noticed(lab: Laboratory, *values: float) -> None:
    """As the manager itself sees it: only what changes something is put on record."""
    for value in values:
        lab.clock.advance(1)
        lab.federation.report("lab", [{"furnace": "f1", "heat": value}])


def test_a_new_window_over_samples_that_are_not_on_record_is_untold(lab: Laboratory) -> None:
    lab.federation.put_in_force(bundle(WINDOW))
    noticed(lab, 50, *[95] * 12)
    counts, found = compared(lab, edited(("for 10s", "for 5s"), spec=WINDOW), WINDOW)
    assert found == []
    (why,) = counts["lab.furnace"].untold
    assert "not on record" in why


def test_a_new_window_whose_condition_is_false_now_is_told_all_the_same(lab: Laboratory) -> None:
    lab.federation.put_in_force(bundle(WINDOW))
    noticed(lab, 50, *[95] * 12, 20)
    spec = edited(
        ("for 10s", "for 5s"), ("otherwise: hold\n\n## LAB Request", "otherwise: vent\n\n## LAB Request"), spec=WINDOW
    )
    _, found = compared(lab, spec, WINDOW)
    assert {(str(one.old), str(one.new)) for one in found} == {("hold", "vent")}


def test_decisions_under_earlier_specs_are_judged_too(lab: Laboratory) -> None:
    heats(lab, 65)
    later = edited(("heat > 90%", "heat > 80%"))
    lab.federation.put_in_force(bundle(later))
    _, found = compared(lab, edited(("heat > 90%", "heat > 60%")), later)
    assert [(str(one.old), str(one.new)) for one in found] == [("hold", "cool(by=gently)")]


def test_a_setting_that_the_manager_reads_is_named_for_nothing_on_record_shows_it() -> None:
    settings = (
        tiki.Setting(name="patience", type=tiki.Type.DURATION, doc="of the lab", default="1s", read_by_manager=True),
    )
    point = {"lab.furnace": FURNACE.schema.model_copy(update={"settings": settings})}
    specs = [
        f"## LAB Furnace Spec\n- decides: lab.furnace\n- fallback: hold\n- patience: {value}\n- otherwise: hold\n"
        for value in ("1s", "2s")
    ]
    old, new = (tiki.build([tiki.Source("lab.tiki", spec)], point) for spec in specs)
    assert Edit(old, new).settings == [("lab.furnace", "patience")]
    assert Edit(old, new).points == []


def test_decisions_of_another_version_of_a_point_are_counted_as_such(lab: Laboratory) -> None:
    heats(lab, 95)
    newer = DecisionPoint(
        FURNACE.schema.model_copy(update={"version": 2}), FURNACE.events, FURNACE.effects, greets=True
    )
    points = {**POINTS, "lab.furnace": newer}
    edit = Edit(bundle(), bundle(edited(("heat > 90%", "heat > 80%"))))
    counts = whatif(lab.store, points, edit)
    assert sum(counts["lab.furnace"].untold.values()) == 1


def test_a_record_that_was_changed_is_named(lab: Laboratory) -> None:
    heats(lab, 95)
    with lab.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE records SET body = '{' WHERE kind = 'asked'")
    with pytest.raises(Corrupt, match="`elias ledger verify`"):
        compared(lab, edited(("heat > 90%", "heat > 80%")))


def test_progress_ends_at_the_head(lab: Laboratory) -> None:
    heats(lab, 95)
    seen: list[tuple[int, int]] = []
    edit = Edit(bundle(), bundle(edited(("heat > 90%", "heat > 80%"))))
    whatif(lab.store, POINTS, edit, progress=lambda done, total: seen.append((done, total)))
    head = lab.store.head().size
    assert seen[-1] == (head, head)


def test_memory_does_not_grow_with_the_ledger(lab: Laboratory) -> None:
    edit = Edit(bundle(), bundle(edited(("heat > 90%", "heat > 80%"))))

    def peak() -> int:
        tracemalloc.start()
        whatif(lab.store, POINTS, edit)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    heats(lab, *range(50, 100))
    peak()
    short = peak()
    for _ in range(12):
        heats(lab, *range(50, 100))
    assert lab.store.head().size > 1000
    assert peak() < 12 * short


RULES = (
    "when heat > {}%: cool(gently)",
    "when heat > {}% for 3s: cool(gently)",
    "when heat > {}%, clear at 20%: vent",
    "when heat > {}% for 2s, clear at 30%, cooldown 4s: cool(gently)",
    "when gas > {}%: consult [vent, hold]",
    "never vent when window.wind > 4 and heat > {}%",
)


def drawn(dice: random.Random) -> str:
    rules = "".join(f"- {rule.format(dice.randrange(40, 95))}\n" for rule in dice.sample(RULES, dice.randrange(1, 5)))
    _, _, others = SPEC.partition("## LAB Request Spec")
    otherwise = dice.choice(["", "- otherwise: hold\n", "- otherwise: vent\n"])
    head = "## LAB Furnace Spec\n- decides: lab.furnace\n- fallback: request_operator\n"
    return f"{head}{rules}{otherwise}\n## LAB Request Spec{others}"


@pytest.mark.parametrize("seed", range(16))
def test_what_would_have_been_is_what_is_under_the_other_specs(tmp_path: Path, seed: int) -> None:
    """The same events are sent to two laboratories; from the ledger of one follows what the other decided."""
    dice = random.Random(seed)
    specs = drawn(dice), drawn(dice)
    labs = []
    for number, spec in enumerate(specs):
        folder = tmp_path / str(number)
        folder.mkdir()
        labs.append(Laboratory(folder, spec=spec))
    for _ in range(60):
        seconds, furnace = dice.choice([1, 1, 2, 40]), dice.choice("ab")
        heat, gas = dice.choice([None, dice.randrange(10, 100)]), dice.choice([None, dice.randrange(30, 99)])
        for lab in labs:
            lab.clock.advance(seconds)
            lab.measured(heat, furnace, gas=gas)
    changes: dict[str, Changed] = {}
    counts = whatif(
        labs[0].store, POINTS, Edit(bundle(specs[0]), bundle(specs[1])), lambda c: changes.update({c.decision: c})
    )
    assert all(not count.untold for count in counts.values())
    mine, theirs = (choices(lab) for lab in labs)
    assert {d: (str(c.old), str(c.new)) for d, c in changes.items()} == {
        d: (mine[d], theirs[d]) for d in mine if mine[d] != theirs[d]
    }
    for lab in labs:
        lab.close()


def choices(lab: Laboratory) -> dict[str, str]:
    """What was decided, as whatif writes it."""
    found = {}
    for record in lab.store.read(kinds=[Kind.ASKED, Kind.ANSWERED], points=["lab.furnace"]):
        body = decode(record.header.kind, record.body)
        if isinstance(body, Answered):
            arguments = ", ".join(f"{k}={v}" for k, v in body.args.items())
            found[record.header.decision] = f"{body.action}({arguments})" if arguments else body.action
        elif body.waits:
            offers = ", ".join(sorted(body.offers))
            found[record.header.decision] = f"consult({offers})" if offers else f"ask {body.waits}"
    return found
