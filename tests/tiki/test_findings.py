"""What findings say, where they stand, and what they leave alone."""

import lab
import pytest

import tiki
from tiki import Action, Fact, Point, Setting, Source, Type
from tiki.diagnostics import Diagnostic, Report
from tiki.document import Document
from tiki.findings import find, quick, sound
from tiki.groups import check_group, groups
from tiki.merge import place
from tiki.read import read


def found(*bullets: str, points: dict[str, Point] = lab.POINTS) -> list[Diagnostic]:
    return tiki.check([Source(lab.PATH, lab.spec("fallback: hold", *bullets))], points)


def only(*bullets: str, points: dict[str, Point] = lab.POINTS) -> Diagnostic:
    (one,) = found(*bullets, points=points)
    return one


@pytest.mark.parametrize(
    ("bullets", "message"),
    [
        (
            ("when memory > 90% and busy and memory < 10%: shed_load",),
            "rule 1 can never be true: `memory > 90%` and `memory < 10%` exclude one another",
        ),
        (
            ("when queue < 0: shed_load",),
            "rule 1 can never be true: no facts make `queue < 0` true, for `queue` is at least 0",
        ),
        (
            ("when queue == 2.5: shed_load",),
            "rule 1 can never be true: no facts make `queue == 2.5` true, for `queue` is a whole number",
        ),
        (
            ("when queue in [1.5, 2.5]: shed_load",),
            "rule 1 can never be true: no facts make `queue in [1.5, 2.5]` true, for `queue` is a whole number",
        ),
        (
            ("when queue in [-1, 2.5]: shed_load",),
            "rule 1 can never be true: no facts make `queue in [-1, 2.5]` true, for `queue` is at least 0 and "
            "`queue` is a whole number",
        ),
        (
            ("when queue > 2 and queue < 3: shed_load",),
            "rule 1 can never be true: `queue > 2` and `queue < 3` exclude one another, for `queue` is a whole number",
        ),
        (
            ("when failures != failures: shed_load",),
            "rule 1 can never be true: no facts make `failures != failures` true, for it compares `failures` with "
            "itself",
        ),
        (
            ("when not (queue > 3 or queue <= 3 or queue is absent): shed_load",),
            "rule 1 can never be true: no facts make `not (queue > 3 or queue <= 3 or queue is absent)` true",
        ),
        (
            ("when memory > 80%: shed_load", "hot: when memory > 90%: migrate"),
            "`hot` is never reached: rule 1 (memory > 80%) decides all of it",
        ),
        (
            ("when busy: shed_load", "when gpu > 5%: hold", "when not busy: migrate", "otherwise: hold"),
            "`otherwise` is never reached: rule 1 (busy) and rule 3 (not busy) decide all of it",
        ),
        (
            ("when queue >= 0 or queue is absent: shed_load",),
            "rule 1 always holds: no facts, known or absent, make its condition false",
        ),
        (
            ("when busy or (busy and queue > 3): shed_load",),
            "`busy and queue > 3` never matters in rule 1: `busy` settles it, whatever the facts",
        ),
        (
            ("when (memory > 50% or busy) and (memory > 40% or busy): shed_load",),
            "`memory > 40% or busy` never matters in rule 1: `memory > 50% or busy` settles it, whatever the facts",
        ),
        (
            ("spare: 5%", "when busy: shed_load"),
            "nothing uses `spare`: no clause of lab.pressure names it, and the manager does not read it",
        ),
        (
            ("never migrate when job.gpu < 0",),
            "guard 1 can never forbid: no facts make `job.gpu < 0` true, for `job.gpu` is at least 0",
        ),
        (
            ("never migrate when busy", "never migrate when not busy"),
            "`migrate` is always forbidden: guard 1 (busy) and guard 2 (not busy) together let no candidate through, "
            "whatever the facts",
        ),
        (
            ("full: when memory > 90%: migrate", "never migrate when memory > 80%"),
            "`full` never gets to `migrate`: wherever it decides, guard 1 (memory > 80%) forbids it",
        ),
        (
            ("when memory > 90%: consult [migrate, scale_out]", "never migrate when memory > 80%"),
            "rule 1 offers `migrate` in vain: wherever it asks, guard 1 (memory > 80%) forbids it",
        ),
        (
            ("when memory > 90%: consult [migrate, hold]", "never migrate when memory > 80%"),
            "the guards forbid every candidate of rule 1: wherever it asks, only `hold` is left",
        ),
        (
            ("when wait > 5m, clear at -1s: shed_load",),
            "`clear at` is never reached: `wait` is never below 0s, so once rule 1 holds it stays in force",
        ),
    ],
)
def test_a_finding_gives_the_reason(bullets: tuple[str, ...], message: str) -> None:
    assert only(*bullets).message == message


def test_the_clauses_concerned_are_named_with_their_places_and_an_input_shows_it() -> None:
    one = only("warm: when memory > 80%: shed_load", "when queue > 5: hold", "hot: when memory > 90%: migrate")
    assert [(note.message, note.place.span.line) for note in one.notes] == [("`warm` decides before it", 3)]
    assert one.example.startswith("memory=9")
    assert one.example.endswith(": `warm` decides")


@pytest.mark.parametrize(
    ("bullets", "taker"),
    [
        (("a: when memory > 70%: shed_load", "b: when memory > 80%: hold", "c: when memory > 90%: migrate"), "a"),
        (("a: when memory > 80%: shed_load", "b: when memory > 70%: hold", "c: when memory > 90%: migrate"), "a"),
        (("a: when queue < 0: hold", "b: when memory > 70%: hold", "c: when memory > 90%: migrate"), "b"),
    ],
)
def test_a_clause_is_taken_by_one_that_is_reached_itself_and_is_reached_before_it(
    bullets: tuple[str, ...], taker: str
) -> None:
    one = found(*bullets)[-1]
    assert (one.code, one.help) == ("TIKI-702", f"put it before `{taker}`, or remove it")
    assert one.example.endswith(f": `{taker}` decides")
    *others, last = bullets
    position = next(index for index, bullet in enumerate(others) if bullet.startswith(f"{taker}:"))
    moved = found(*others[:position], last, *others[position:])
    assert not [other for other in moved if other.code == "TIKI-702" and "`c`" in other.message.split(" is ")[0]]


@pytest.mark.parametrize(
    "bullets",
    [
        ("memory_threshold: 95%", "when memory > 90%: shed_load", "when memory > memory_threshold: migrate"),
        ("memory_threshold: 95%", "when memory > memory_threshold and memory < 90%: shed_load"),
    ],
)
def test_a_setting_that_a_fact_is_compared_with_counts_with_its_value(bullets: tuple[str, ...]) -> None:
    assert len(found(*bullets)) == 1
    assert found(*(bullet.replace("95%", "70%") for bullet in bullets)) == []


@pytest.mark.parametrize(
    ("bullets", "codes"),
    [
        (("mode: fast", "when mode == fast and busy: shed_load", "when mode == slow and busy: migrate"), []),
        (("mode: fast", "when mode == fast: shed_load", "when mode != fast: migrate"), []),
        (("mode: fast", "when mode == fast and mode == slow: shed_load"), ["TIKI-701"]),
        (("mode: fast", "when mode == fast: shed_load", "when mode == fast and busy: migrate"), ["TIKI-702"]),
        (("eager: true", "when eager: shed_load", "when not eager: migrate", "otherwise: hold"), ["TIKI-702"]),
        (("most: 5", "when most > 3 and queue > 7: shed_load", "when most < 3 and queue > 7: migrate"), []),
    ],
)
def test_settings_that_are_compared_with_values_are_switches(bullets: tuple[str, ...], codes: list[str]) -> None:
    assert [one.code for one in found(*bullets)] == codes


@pytest.mark.parametrize(
    ("bullets", "codes"),
    [
        (("when memory > 80% for 30s: shed_load", "when memory > 80% for 30s: migrate"), ["TIKI-702"]),
        (("when memory > 80% for 30s: shed_load", "when memory > 80%: migrate"), []),
        (("when memory > 80%: shed_load", "when memory > 80% for 30s: migrate"), ["TIKI-702"]),
        (("when memory > 80%, clear at 70%: shed_load", "when memory > 75%: migrate"), []),
        (("when memory > 80%, clear at 70%: shed_load", "when memory > 90%: migrate"), ["TIKI-702"]),
        (("when memory > 80% and queue >= 0 for 30s: shed_load",), []),
        (("when gpu > 80% and gpu > 70% for 30s: shed_load",), ["TIKI-704"]),
        (("when busy and (busy or memory > 80%) for 30s: shed_load",), []),
    ],
)
def test_what_happens_over_time_is_told_from_what_holds_now(bullets: tuple[str, ...], codes: list[str]) -> None:
    assert [one.code for one in found(*bullets)] == codes


def points() -> dict[str, Point]:
    """Two points that take one title; the valve can be opened and closed."""
    fact = Fact(name="load", type=Type.PERCENT, doc="Load.")
    settings = (
        Setting(name="limit", type=Type.PERCENT, doc="Limit.", default="80%"),
        Setting(name="pace", type=Type.DURATION, doc="Pace.", default="30s", read_by_manager=True),
    )
    hold, open_ = Action(name="hold", doc="Nothing."), Action(name="open", doc="Open.", undo="close")
    close = Action(name="close", doc="Close.")
    common = {"version": 1, "doc": "A point.", "facts": (fact,), "terminal": "hold", "titles": ("LAB Pressure",)}
    return {
        "lab.valve": Point(name="lab.valve", actions=(hold, open_, close), settings=settings, **common),
        "lab.lamp": Point(name="lab.lamp", actions=(hold, open_, close), settings=settings[:1], **common),
    }


def valve(*bullets: str) -> list[str]:
    mine = {"lab.valve": points()["lab.valve"]}
    return [one.code for one in found("decides: lab.valve", *bullets, points=mine)]


@pytest.mark.parametrize(
    ("bullets", "codes"),
    [
        (("when load > 80%: open",), ["TIKI-721"]),
        (("when load > 80%: open", "when load < 10%: close"), []),
        (("when load > 80%: open", "when load < 10%: consult [close, hold]"), []),
        (("when load > 80%: open", "otherwise: close"), []),
        (("when load > 80%: open", "on_timeout: close"), []),
        (("otherwise: open",), ["TIKI-721"]),
        (("when load > 80%: open", "when load > 90%: open"), ["TIKI-721", "TIKI-702"]),
        (("when load > 80%: open", "when load > 90%: close"), ["TIKI-721", "TIKI-702"]),
        (("when load > 80%: open", "when load < 10%: close", "never close when load < 20%"), ["TIKI-721", "TIKI-714"]),
        (("when load > 80% and load < 10%: open",), ["TIKI-701"]),
        (("when load > 80%: consult [open, hold]",), []),
    ],
)
def test_what_is_done_has_to_be_taken_back(bullets: tuple[str, ...], codes: list[str]) -> None:
    assert valve(*bullets) == codes


def test_a_fallback_takes_back_too() -> None:
    source = Source(lab.PATH, lab.spec("decides: lab.valve", "fallback: close", "when load > 80%: open"))
    assert tiki.check([source], {"lab.valve": points()["lab.valve"]}) == []


@pytest.mark.parametrize(
    ("bullets", "codes"),
    [
        (("limit: 70%", "when load > 5%: hold"), ["TIKI-711"]),
        (("limit: 70%", "when load > limit: hold"), []),
        (("pace: 10s", "when load > 5%: hold"), []),
        (("timeout: 10s", "when load > 5%: hold"), []),
        (("explore: 2%", "explore_budget: 5_per_day", "otherwise: consult [open, close]"), []),
        (("explore: 2%", "otherwise: consult [close, hold]"), ["TIKI-711"]),
        (("limit: 70%",), []),
    ],
)
def test_a_setting_is_used_by_a_clause_or_the_manager(bullets: tuple[str, ...], codes: list[str]) -> None:
    assert valve(*bullets) == codes


def test_a_setting_of_two_points_needs_one_that_uses_it() -> None:
    shared = Source("a.tiki", lab.spec("fallback: hold", "limit: 70%", "when load > 5%: hold"))
    clause = Source("b.tiki", lab.spec("decides: lab.lamp", "when load > limit: hold"))
    assert {one.code for one in tiki.check([shared], points())} == {"TIKI-711"}
    assert "TIKI-711" not in {one.code for one in tiki.check([shared, clause], points())}


def test_findings_keep_to_points_without_errors() -> None:
    doubtful = Source(
        "a.tiki", lab.spec("decides: lab.valve", "fallback: hold", "when load > 80% and load < 10%: hold")
    )
    wrong = Source(
        "b.tiki", lab.spec("decides: lab.lamp", "fallback: hold", "when lod > 80%: hold", "when 1 < 0: hold")
    )
    more = Source("c.tiki", lab.spec("decides: lab.valve", "when lod > 80%: hold"))
    assert [one.code for one in tiki.check([doubtful, wrong], points())] == ["TIKI-701", "TIKI-301", "TIKI-406"]
    assert [one.code for one in tiki.check([doubtful, more], points())] == ["TIKI-301"]


def test_what_is_proved_once_is_told_where_it_stands_now() -> None:
    text = lab.spec("fallback: hold", "when memory > 80%: shed_load", "when memory > 90%: migrate")
    (before,) = tiki.check([Source("a.tiki", text)], lab.POINTS)
    (after,) = tiki.check([Source("b.tiki", f"Prose.\n\n{text}")], lab.POINTS)
    assert (after.path, after.line, after.notes[0].place.span.line) == ("b.tiki", before.line + 2, before.line + 1)
    assert (after.message, after.example) == (before.message, before.example)


def document(*bullets: str) -> Document:
    return read(Source(lab.PATH, lab.spec(*bullets)))


def test_what_needs_no_proof_is_told_at_once() -> None:
    report = Report()
    placed = place([document("spare: 5%", "when memory > 80% and memory > 90%: shed_load")], [], lab.POINTS, report)
    (group,) = groups(placed, lab.POINTS)
    checked = check_group(group)
    clean = sound(placed, [*report.found, *checked.found])
    assert clean == {lab.POINT.name}
    at_once = [one.code for one in quick(group, checked, clean)]
    assert at_once == ["TIKI-711", "TIKI-505"]
    assert sorted(one.code for one in find(group, checked, clean)) == sorted([*at_once, "TIKI-704"])
    assert find(group, checked, only=()) == []


def test_a_point_about_which_a_question_is_open_is_named() -> None:
    source = Source(lab.PATH, lab.spec("fallback: hold", "when memory > gpu and gpu > memory: shed_load"))
    for budget, expected in ((1e-9, [lab.POINT.name]), (600.0, [])):
        unsettled: list[str] = []
        tiki.check([source], lab.POINTS, budget=budget, unsettled=unsettled.append)
        assert unsettled == expected
