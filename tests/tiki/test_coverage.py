"""What tests look at, and what the report of it leaves open."""

from xml.etree import ElementTree

import lab
import pytest

import tiki
from tiki import Attribute, Fact, Point, Setting, Source, Type, testing
from tiki.testing.coverage import near

SPEC = ("fallback: request_operator", "hot: when memory > 80%: shed_load", "otherwise: hold")


def covered(*lines: str, rules: tuple[str, ...] = SPEC) -> testing.Coverage:
    """Of rules (with examples under them), by one scenario with these lines."""
    bundle = tiki.build([Source(lab.PATH, lab.spec(*rules))], lab.POINTS)
    text = "\n".join(["- decides: lab.pressure", "## Scenario: one", *(f"- {line}" for line in lines)])
    sources = [Source("lab_test.tiki", text)] if lines else []
    outcome = testing.run_suite(testing.suite(bundle, sources))
    assert not outcome.failed, outcome.failed
    return outcome.coverage


def missing(*lines: str, rules: tuple[str, ...] = SPEC) -> list[str]:
    return [goal.missing for goal in covered(*lines, rules=rules).missing]


def table(header: str, *rows: str) -> tuple[str, ...]:
    return ("### Examples", header, "|" + " --- |" * (header.count("|") - 1), *rows)


def test_a_bundle_without_tests_has_everything_to_cover() -> None:
    nothing = covered()
    assert nothing.percent == 0
    assert {kind: nothing.count(kind) for kind in testing.KINDS} == {
        "clause": (0, 3),
        "guard": (0, 0),
        "threshold": (0, 2),
        "time": (0, 0),
    }
    assert {goal.place for goal in nothing.goals} == {"lab.tiki:3", "lab.tiki:4"}


def test_examples_that_look_at_everything_cover_everything() -> None:
    rows = ("| 81% | shed_load |", "| 80% | hold |", "| unknown | fallback |")
    assert covered(rules=(*SPEC, *table("| memory | decides |", *rows))).percent == 100


def test_only_moments_that_a_line_expects_something_of_count() -> None:
    assert missing("load 10s: memory 80% 81% unknown", "at 0s: hold") == [
        "nothing is decided by hot",
        "`memory > 80%` in hot is never true near its limit: try memory above 80%, to 88%",
        "nothing is left to the fallback, such as by an unknown fact",
    ]
    assert not missing("load 10s: memory 80% 81% unknown", "at 0s: hold", "at 10s: shed_load", "at 20s: fallback")


@pytest.mark.parametrize(
    ("condition", "tries"),
    [
        ("queue >= 0", ["queue from 0 to 1"]),
        ("queue > 0", ["queue above 0, to 1", "queue at 0"]),
        ("0 <= queue", ["queue from 0 to 1"]),
        ("queue < 1", ["queue below 1, to 0", "queue from 1 to 2"]),
        ("queue > 2.5", ["queue above 2.5, to 3", "queue below 2.5, to 2"]),
        ("queue > -5", []),
        ("wait >= 0s", ["wait above 0s or at it"]),
        ("wait < 0s", ["wait above 0s or at it"]),
        ("wait > 0s", ["wait above 0s", "wait at 0s"]),
        ("load >= 0", ["load from 0 to 1", "load below 0, to -1"]),
    ],
)
def test_a_value_that_a_fact_cannot_have_is_nothing_to_look_at(condition: str, tries: list[str]) -> None:
    left = missing(rules=("fallback: hold", f"when {condition}: shed_load"))
    assert [one.partition(": try ")[2] for one in left if "near its limit" in one] == tries


@pytest.mark.parametrize(
    ("low", "high", "sides"),
    [
        ("72%", "88%", 2),
        ("71%", "88%", 1),
        ("72%", "89%", 1),
        ("80%", "81%", 2),
        ("5%", "100%", 0),
    ],
)
def test_a_threshold_is_seen_from_values_near_it_on_both_sides(low: str, high: str, sides: int) -> None:
    seen = covered(f"load 10s: memory {low} {high}", "at 0s: hold", "at 10s: shed_load")
    assert seen.count("threshold") == (sides, 2)


@pytest.mark.parametrize(
    ("type_", "limit", "reach"),
    [
        (Type.PERCENT, 80.0, 8.0),
        (Type.COUNT, 3, 1.0),
        (Type.COUNT, 1000, 100.0),
        (Type.COUNT, 0, 1.0),
        (Type.NUMBER, 2.0, 1.0),
        (Type.NUMBER, 2.5, 0.25),
        (Type.DURATION, 30.0, 3.0),
        (Type.BYTES, 8 * 10**9, 8 * 10**8),
        (Type.RATE, 5 / 60, 1 / 60),
        (Type.RATE, 30.0, 3.0),
        (Type.RATE, 2 / 3600, 1 / 3600),
    ],
)
def test_near_is_a_tenth_and_at_least_one_of_what_is_counted(type_: Type, limit: float, reach: float) -> None:
    assert near(type_, limit) == pytest.approx(reach)


def test_any_value_is_near_nothing() -> None:
    assert near(Type.PERCENT, 0.0) is None
    rules = ("fallback: hold", "hot: when memory > 0%: shed_load", "otherwise: hold")
    assert covered("load 10s: memory 0% 99%", "at 0s: hold", "at 10s: shed_load", rules=rules).count("threshold") == (
        2,
        2,
    )


def test_a_comparison_counts_only_where_it_settles_its_condition() -> None:
    rules = ("fallback: hold", "hot: when memory > 80% and gpu > 50%: shed_load", "otherwise: hold")
    masked = missing("load 10s: memory 80% 81%, gpu 40%", "from 0s to 10s: hold", rules=rules)
    assert "`memory > 80%` in hot is never true near its limit: try memory above 80%, to 88%" in masked
    shown = covered(
        "load 10s: memory 80% 81% 81% 81%, gpu 51% 51% 50% 51%",
        *("at 0s: hold", "at 10s: shed_load", "at 20s: hold", "at 30s: shed_load"),
        rules=rules,
    )
    assert shown.count("threshold") == (4, 4)


def test_a_rule_below_the_one_that_decides_is_not_looked_at() -> None:
    rules = (
        *("fallback: hold", "first: when busy: scale_out", "hot: when memory > 80%: shed_load", "otherwise: hold"),
        *table("| memory | busy | decides |", "| 81% | true | scale_out |", "| 80% | true | scale_out |"),
    )
    assert covered(rules=rules).count("threshold") == (0, 2)


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        ("80% < memory", "80%", "81%"),
        ("memory >= memory_threshold", "79%", "80%"),
        ("not memory <= 80%", "80%", "81%"),
        ("memory > gpu", "79%", "81%"),
        ("queue >= 3", "2", "3"),
        ("failures >= 5_failures_per_minute", "4_per_minute", "5_per_minute"),
        ("free > 8GB", "8GB", "8200MB"),
    ],
)
def test_a_limit_may_be_a_value_a_setting_or_a_fact_on_either_side(condition: str, low: str, high: str) -> None:
    rules = ("fallback: hold", f"hot: when {condition}: shed_load", "otherwise: hold")
    fact = next(fact.name for fact in lab.POINT.facts if fact.name in condition.split())
    lines = (
        (f"load 10s: {fact} {low} {high}", "given: gpu 80%")
        if "gpu" in condition
        else (f"load 10s: {fact} {low} {high}",)
    )
    assert covered(*lines, "at 0s: hold", "at 10s: shed_load", rules=rules).count("threshold") == (2, 2)


def test_guards_are_covered_by_candidates_that_they_forbid_and_let_pass() -> None:
    rules = (
        *("fallback: hold", "otherwise: hold"),
        *("full: never migrate when target.gpu_free < job.gpu", "late: never migrate when queue > 9"),
    )
    given = "given: queue 9"
    assert covered(given, "at 0s: hold", rules=rules).count("guard") == (0, 4)
    one = covered(given, "at 0s: migrate with target.gpu_free=1, job.gpu=2 is forbidden by full", rules=rules)
    assert (one.count("guard"), one.count("threshold")) == ((1, 4), (1, 4))
    all_ = covered(
        "load 10s: queue 9 10",
        "at 0s: migrate with target.gpu_free=1, job.gpu=2 is forbidden by full",
        "at 0s: migrate with target.gpu_free=2, job.gpu=2 is allowed",
        "at 10s: migrate with target.gpu_free=2, job.gpu=2 is forbidden by late",
        rules=rules,
    )
    assert (all_.count("guard"), all_.count("threshold")) == ((4, 4), (4, 4))


TEMPORAL = (
    *("fallback: hold", "hot: when memory > 80% for 20s, clear at 70%, cooldown 30s: shed_load", "otherwise: hold"),
    *table("| memory | decides |", "| 81% | shed_load |", "| 80% | hold |", "| unknown | fallback |"),
)


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (
            ("at 10s: hold",),
            [
                "hot never has held for 20s",
                "`clear at` never keeps hot in force",
                "hot never comes back to its `clear at`",
                "hot never fires again after its cooldown",
            ],
        ),
        (
            ("at 30s: shed_load",),
            [
                "the condition of hot never holds for less than 20s",
                "`clear at` never keeps hot in force",
                "hot never comes back to its `clear at`",
                "hot never fires again after its cooldown",
            ],
        ),
        (
            ("at 10s: hold", "at 30s: shed_load", "at 40s: still shed_load", "at 1m10s: hold"),
            ["hot never fires again after its cooldown"],
        ),
        (("at 10s: hold", "at 30s: shed_load", "at 40s: still shed_load", "at 1m: shed_load", "at 1m10s: hold"), []),
    ],
)
def test_time_is_covered_by_scenarios_alone(lines: tuple[str, ...], left: list[str]) -> None:
    assert missing("load 10s: memory 50% 81%x2 75%x2 70%", *lines, rules=TEMPORAL) == left


def test_what_is_not_covered_says_where_it_stands_and_what_to_try() -> None:
    goals = {goal.missing: goal.place for goal in covered().missing}
    assert goals["`memory > 80%` in hot is never false near its limit: try memory from 72% to 80%"] == "lab.tiki:3"


# -- settings of an example ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [("memory_threshold", "60%", "TIKI-602"), ("memory_threshold", "75%", ""), ("fallback", "hold", "TIKI-601")],
)
def test_an_example_sets_no_setting_that_breaks_the_spec_or_changes_what_it_does(
    column: str, value: str, code: str
) -> None:
    rows = table(f"| memory | {column} | decides |", f"| 76% | {value} | shed_load |")
    rules = ("fallback: hold", "when memory > memory_threshold, clear at 70%: shed_load", "otherwise: hold", *rows)
    assert lab.codes(*rules) == ([code] if code else [])


# -- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_for_ci_has_a_suite_for_each_file_and_a_case_for_each_test() -> None:
    rules = (*SPEC, *table("| memory | decides |", "| 81% | shed_load |", "| 80% | shed_load |"))
    bundle = tiki.build([Source(lab.PATH, lab.spec(*rules))], lab.POINTS)
    text = "- decides: lab.pressure\n## Scenario: <hot> & cold\n- given: memory 50%\n- at 0s: shed_load\n"
    outcome = testing.run_suite(testing.suite(bundle, [Source("lab_test.tiki", text)]))
    root = ElementTree.fromstring(testing.junit(outcome.cases))
    assert root.attrib | {"time": ""} == {
        **{"name": "tiki", "tests": "3", "failures": "2", "errors": "0", "skipped": "0"},
        "time": "",
    }
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("lab.tiki", "2", "1"),
        ("lab_test.tiki", "1", "1"),
    ]
    case = root.find("testsuite[2]/testcase")
    assert case is not None
    assert (case.get("classname"), case.get("name"), case.get("line")) == ("lab.pressure", "<hot> & cold", "2")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") in (failure.text or "")
    assert "decided hold" in (failure.text or "")


# -- a first spec ----------------------------------------------------------------------------------------------------


def made(**changes: object) -> Point:
    return lab.POINT.model_copy(update=changes)


@pytest.mark.parametrize(
    "point",
    [
        lab.POINT,
        made(trigger="every"),
        made(settings=()),
        made(facts=(lab.POINT.facts[7],)),
        made(facts=(lab.POINT.facts[8],), actions=lab.POINT.actions[:2]),
        made(facts=(), attributes=()),
        made(facts=(Fact(name="share", type=Type.PERCENT, doc="Less than others.", minimum=0, maximum=5),)),
        made(facts=(Fact(name="speed", type=Type.NUMBER, doc="How -- fast --> it is.", max_age=0.5),)),
        made(
            facts=(Fact(name="failures", type=Type.RATE, doc="Failures."),),
            settings=(Setting(name="breaker", type=Type.RATE, doc="Limit.", default="1_per_day"),),
            attributes=(Attribute(name="job.gpu", type=Type.COUNT, doc="Cards.", actions=("migrate",)),),
        ),
        made(actions=(lab.POINT.actions[0],), attributes=()),
    ],
)
def test_a_first_spec_for_any_point_is_clean_tidy_and_covered_by_its_tests(point: Point) -> None:
    points = {point.name: point}
    first = testing.scaffold(point)
    spec, tests = Source("pressure.tiki", first.spec), Source("pressure_test.tiki", first.tests)
    assert tiki.check([spec], points) == []
    outcome = testing.run_suite(testing.suite(tiki.build([spec], points), [tests]))
    assert outcome.failed == ()
    assert outcome.count("example") >= 1
    assert outcome.count("scenario") >= 1
    assert outcome.coverage.percent == 100
    assert tiki.format_text(first.spec, spec.path) == first.spec
    assert tiki.format_text(first.tests, tests.path) == first.tests
    for name in (*(fact.name for fact in point.facts), *(action.name for action in point.actions)):
        assert name in first.spec
