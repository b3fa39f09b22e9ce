"""What is proved, refuted with an input or left open about rules, and what two specs decide differently."""

import dataclasses
import threading

import lab
import pytest

import tiki
from tiki import Memory, Program, Verdict
from tiki.analysis import (
    Analysis,
    Comparison,
    Is,
    Not,
    Outcome,
    Question,
    Result,
    Solver,
    Sure,
    alike,
    analyse,
    choice,
    compare,
    decides,
    rule_is,
)
from tiki.analysis.inputs import Input, Stretch
from tiki.windows import SECOND

ASK = "fallback: request_operator"


def asked(*bullets: str) -> Analysis:
    return analyse(lab.program(*bullets).plan, timeout=60)


def compared(old: tuple[str, ...], new: tuple[str, ...]) -> Comparison:
    return compare(lab.program(*old, ASK).plan, lab.program(*new, ASK).plan, timeout=60)


def the(analysis: Analysis, question: Question, *clauses: str) -> Result:
    (found,) = (result for result in analysis.of(question) if result.clauses == clauses)
    return found


@pytest.mark.parametrize(
    "condition",
    [
        "memory > 90% and memory < 10%",
        "queue > 2 and queue < 3",
        "queue < 0",
        "wait < 0s",
        "state == lost and state == ready",
        "state in zones",
        "busy and busy == false",
        "memory is absent and memory > 5%",
        "queue > load and load > 5 and queue < 5",
        "memory > 90% and memory < 10% for 30s",
        "lost in labels and state == lost and not state in labels",
        "not memory <= 80% and not memory > 80% and not memory is absent",
    ],
)
def test_a_condition_that_no_input_meets_is_proved_never_to_hold(condition: str) -> None:
    assert the(asked(f"when {condition}: shed_load", ASK), Question.NEVER, "rule 1").outcome is Outcome.PROVED


@pytest.mark.parametrize(
    "condition",
    [
        "memory > 80% or memory <= 80% or memory is absent",
        "not memory > 120% or memory > 100%",
        "not queue < 0",
        "busy or not busy",
        "state in [ready, draining, lost] or state is absent",
    ],
)
def test_a_condition_that_all_known_or_absent_facts_meet_is_proved_always_to_hold(condition: str) -> None:
    assert the(asked(f"when {condition}: shed_load", ASK), Question.ALWAYS, "rule 1").outcome is Outcome.PROVED


def test_where_a_rule_is_not_always_true_the_facts_that_it_asks_are_named() -> None:
    rules = {
        "short: when memory > 80% for 1m: shed_load": {"memory"},
        "hot: when gpu > 90%, clear at 70%: migrate": {"gpu"},
        "both: when memory > 80% and queue > 3: hold": {"memory", "queue"},
        "or: when busy or load > 3: hold": {"busy", "load"},
        "gap: when gpu is absent for 1m: hold": {"gpu"},
    }
    analysis = asked(*rules, ASK)
    for rule, facts in rules.items():
        found = the(analysis, Question.ALWAYS, rule.split(":")[0])
        assert found.input is not None
        assert facts <= found.input.facts.keys()


@pytest.mark.parametrize(
    ("bullets", "unreached", "by"),
    [
        (("when memory > 80%: shed_load", "when memory > 90%: migrate"), "rule 2", ("rule 1",)),
        (("when busy or not busy: shed_load", "when queue > 3: migrate"), "rule 2", ("rule 1",)),
        (
            (
                "when memory > 80%: shed_load",
                "when queue > 3: hold",
                "when memory <= 80%: migrate",
                "when memory > 9%: hold",
            ),
            "rule 4",
            ("rule 1", "rule 3"),
        ),
        (
            ("when memory > 80% for 10s: shed_load", "when memory > 90% for 30s: migrate"),
            "rule 2",
            ("rule 1",),
        ),
    ],
)
def test_a_rule_that_is_never_reached_names_the_rules_that_take_its_inputs(
    bullets: tuple[str, ...], unreached: str, by: tuple[str, ...]
) -> None:
    result = the(asked(*bullets, ASK), Question.UNREACHED, unreached)
    assert (result.outcome, result.by) == (Outcome.PROVED, by)


def test_a_rule_with_a_longer_time_before_one_with_a_shorter_leaves_it_something() -> None:
    analysis = asked("when memory > 80% for 30s: shed_load", "when memory > 80% for 10s: migrate", ASK)
    result = the(analysis, Question.UNREACHED, "rule 2")
    assert result.outcome is Outcome.REFUTED
    assert "rule 1 for 30s is false over time" in result.example


def test_a_gap_is_shown_by_known_facts_at_a_threshold_or_at_a_round_value() -> None:
    analysis = asked("when memory > 90%: shed_load", "when memory < 80%: migrate", ASK)
    assert the(analysis, Question.UNDECIDED).example in ("memory=80%", "memory=85%", "memory=90%")
    assert the(analysis, Question.UNKNOWN).by == ("rule 1",)


def test_otherwise_leaves_no_gap_and_an_unknown_fact_still_ends_the_search() -> None:
    analysis = asked("when gpu > 90%: shed_load", "otherwise: hold", ASK)
    assert the(analysis, Question.UNDECIDED).outcome is Outcome.PROVED
    assert the(analysis, Question.UNKNOWN).outcome is Outcome.REFUTED


def test_rules_that_choose_differently_and_are_true_together_overlap_and_the_first_wins() -> None:
    analysis = asked("when memory > 80%: shed_load", "when queue > 3: migrate", "when queue > 5: migrate", ASK)
    assert [result.clauses for result in analysis.of(Question.OVERLAP)] == [("rule 1", "rule 2"), ("rule 1", "rule 3")]
    first = analysis.of(Question.OVERLAP)[0]
    assert first.by == ("rule 1",)
    assert (
        lab.program("when memory > 80%: shed_load", "otherwise: hold")
        .decide(lab.facts(first.example.replace(" ", ", "), lab.program("otherwise: hold")), ())
        .action
        == "shed_load"
    )


@pytest.mark.parametrize(
    ("bullets", "question", "clauses"),
    [
        (("never migrate when queue < 0",), Question.NEVER_FORBIDS, ("guard 1",)),
        (
            ("never migrate when target.gpu_free < 4", "never migrate when not target.gpu_free < 4"),
            Question.FORBIDDEN,
            ("guard 1", "guard 2"),
        ),
        (("when memory > 80%: migrate", "never migrate when memory > 70%"), Question.OVERRIDDEN, ("rule 1",)),
        (("when memory > 80%: migrate", "never migrate when memory < 70%"), Question.REMOVES, ("guard 1", "rule 1")),
    ],
)
def test_guards_in_vain_and_guards_too_many_are_proved(
    bullets: tuple[str, ...], question: Question, clauses: tuple[str, ...]
) -> None:
    assert the(asked(*bullets, "otherwise: hold", ASK), question, *clauses).outcome is Outcome.PROVED


def test_without_time_every_question_is_not_settled_and_says_so() -> None:
    analysis = analyse(lab.program("when memory > 80%: shed_load", ASK).plan, timeout=0)
    assert not analysis.settled
    assert the(analysis, Question.NEVER, "rule 1").outcome is Outcome.UNSETTLED
    assert compare(*[lab.program("when busy: hold", ASK).plan] * 2, timeout=0).equivalent is Outcome.UNSETTLED


def test_an_open_name_may_be_one_that_no_rule_mentions() -> None:
    point = lab.POINT.model_copy(update={"facts": (lab.POINT.facts[7].model_copy(update={"values": ()}),)})
    text = "## LAB Pressure Spec\n- when not state in [lost, ready]: shed_load\n- fallback: hold\n"

    plan = tiki.build([tiki.Source("lab.tiki", text)], {point.name: point}).programs[point.name].plan
    found = Solver(plan).find(decides(plan, 0), prefer=(Sure(known=True),))
    assert found.input is not None
    assert found.input.text(plan) == "state=other_1"


def test_leaving_out_what_says_nothing_changes_no_truth() -> None:
    plan = lab.program(
        "when memory > 90%: hold", "when memory > 80% and memory > 90%: hold", "when busy and memory > 90%: hold", ASK
    ).plan
    solver, (short, long, other) = Solver(plan), (rule.condition for rule in plan.rules)
    assert solver.equivalent(short, long).possible is False
    assert solver.equivalent(short, other).possible is True


def test_what_excludes_one_another_is_named_and_nothing_to_spare() -> None:
    plan = lab.program("when memory > 90%: hold", "when busy: hold", "when memory < 80%: hold", ASK).plan
    assert Solver(plan).reason(*(rule_is(plan, index, True) for index in range(3))) == (0, 2)
    assert Solver(plan).reason(rule_is(plan, 0, True), rule_is(plan, 1, True)) is None


def test_answers_are_the_same_every_time() -> None:
    bullets = ("when memory > 80% and queue > 3: shed_load", "when load > queue: migrate", "when busy: hold", ASK)
    assert asked(*bullets) == asked(*bullets)


def test_two_threads_analyse_side_by_side() -> None:
    plans = [lab.program(f"when memory > {share}%: shed_load", ASK).plan for share in (60, 90)]
    found: dict[int, Analysis] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = analyse(plans[number], timeout=60)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(2)] == [analyse(plan, timeout=60) for plan in plans]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("when memory > 80%: shed_load",), ("when not memory <= 80% and not memory is absent: shed_load",)),
        (("when queue > 3: shed_load",), ("when queue >= 4: shed_load",)),
        (("when queue > 3: hold", "when queue > 5: hold"), ("when queue > 3 or queue > 5: hold",)),
        (("when busy: shed_load", "otherwise: hold"), ("hot: when busy == true: shed_load", "quiet: otherwise: hold")),
        (("never migrate when queue > 3",), ("never migrate when queue > 3", "never migrate when queue > 5")),
        (("when gpu > 80% or (gpu > 80% and queue > 3) for 30s: hold",), ("when gpu > 80% for 30s: hold",)),
        (("when memory > 80%, clear at 70%: hold",), ("when 80% < memory, clear at 70%: hold",)),
        (
            ("when memory > 80% for 30s, clear at 70%: consult [migrate, hold]",),
            ("hot: when 80% < memory for 30s, clear at 70%: consult [migrate, hold]",),
        ),
    ],
)
def test_specs_that_are_written_differently_and_mean_the_same_are_equivalent(
    old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    found = compared(old, new)
    assert (found.equivalent, found.differences, found.guards) == (Outcome.PROVED, (), ())
    assert found.consults is Outcome.PROVED


def test_a_threshold_that_moved_gives_the_stretch_between_in_words() -> None:
    found = compared(
        ("when memory > 80%: shed_load", "otherwise: hold"), ("when memory > 70%: shed_load", "otherwise: hold")
    )
    (difference,) = found.differences
    assert (choice(difference.old), choice(difference.new)) == ("hold", "shed_load")
    assert (difference.condition, difference.exactly) == ("memory > 70% and memory <= 80%", True)
    assert difference.example == "memory=75%"
    assert (found.equivalent, found.complete, found.consults) == (Outcome.REFUTED, True, Outcome.PROVED)


def test_rules_that_changed_places_differ_where_both_hold() -> None:
    rules = ("when memory > 80%: shed_load", "when busy: scale_out")
    (first, *rest) = compared((*rules, "otherwise: hold"), (*reversed(rules), "otherwise: hold")).differences
    assert (choice(first.old), choice(first.new)) == ("shed_load", "scale_out")
    assert (first.condition, first.exactly) == ("memory > 80% and busy", True)
    assert all(one.unknown_only for one in rest)


def test_two_rules_in_place_of_one_differ_only_where_the_first_is_unknown() -> None:
    found = compared(("when queue > 3: hold", "when busy: hold"), ("when queue > 3 or busy: hold",))
    assert [(choice(one.old), choice(one.new), one.example) for one in found.differences] == [
        ("tier operator", "hold", "busy=true")
    ]
    assert found.differences[0].unknown_only


def test_a_longer_time_never_decides_more() -> None:
    rule = "when memory > 80% for {}: shed_load"
    found = compared((rule.format("30s"), "otherwise: hold"), (rule.format("60s"), "otherwise: hold"))
    assert {(choice(one.old), choice(one.new)) for one in found.differences} == {
        ("shed_load", "hold"),
        ("shed_load", "tier operator"),
        ("tier operator", "hold"),
    }


@pytest.mark.parametrize(
    ("old", "new", "certain", "doubtful"),
    [
        (
            "when gpu > 80% for 30s",
            "when gpu > 80% and queue > 3 for 30s",
            {("shed_load", "hold"), ("tier operator", "hold"), ("shed_load", "tier operator")},
            {("hold", "shed_load"), ("hold", "tier operator"), ("tier operator", "shed_load")},
        ),
        (
            "when gpu > 80%, clear at 70%",
            "when gpu > 80%, clear at 60%",
            {("hold", "shed_load"), ("hold", "tier operator")},
            {("shed_load", "hold"), ("shed_load", "tier operator")},
        ),
    ],
)
def test_what_no_samples_are_known_to_lead_to_may_differ_and_what_some_do_does(
    old: str, new: str, certain: set[tuple[str, str]], doubtful: set[tuple[str, str]]
) -> None:
    bullets = [(f"{rule}: shed_load", "otherwise: hold") for rule in (old, new)]
    found = compared(*bullets)
    turns = {truth: set[tuple[str, str]]() for truth in (True, False)}
    for one in found.differences:
        turns[one.certain].add((choice(one.old), choice(one.new)))
    assert certain <= turns[True]
    assert not doubtful & turns[True]
    programs = [lab.program(*plan, ASK) for plan in bullets]
    for one in found.differences:
        if one.certain and one.input.history:
            assert [decided_after(program, one.input) for program in programs] == [one.old, one.new]


def decided_after(program: Program, given: Input) -> Verdict:
    """What the compiled rules say after the samples of an input's history, one a stretch and one of now."""
    memory, ago = Memory(), [*(stretch.until for stretch in given.history), 0.0]
    for before, stretch in zip((ago[0] + 1000, *ago), (*given.history, Stretch(0.0, given.facts)), strict=False):
        facts = Input(stretch.facts).facts_of(program.point)
        program.sample(memory, round((10_000 - before) * SECOND), facts)
    now = given.facts_of(program.point)
    return program.decide(now, program.sample(memory, round(10_000 * SECOND), now))


def test_where_nothing_but_time_may_differ_whether_it_does_is_not_settled() -> None:
    bullets = "when gpu > 80% for 30s: shed_load", "when gpu > 80% and queue > 3 for 30s: hold", "otherwise: hold"
    found = compared(bullets, (bullets[0], "when gpu > 80% and queue > 3 for 30s: scale_out", bullets[2]))
    assert (found.equivalent, {one.certain for one in found.differences}) == (Outcome.UNSETTLED, {False})


def test_the_old_and_the_new_are_named_where_time_makes_another_thing_of_a_rule() -> None:
    rule = "b: when gpu > 80% for {}: shed_load"
    found = compared((rule.format("30s"), "otherwise: hold"), ("b: when gpu > 80%: shed_load", "otherwise: hold"))
    (one,) = [one for one in found.differences if (choice(one.old), choice(one.new)) == ("hold", "shed_load")]
    assert one.example == "gpu=81% (b for 30s is false in the old, until 15s ago gpu=80%)"


def test_candidates_that_a_guard_newly_forbids_or_lets_through_are_shown() -> None:
    old, new = ("never migrate when target.gpu_free < 1", "never migrate when target.gpu_free < 3")
    (change,) = compared((old,), (new,)).guards
    assert (change.action, change.forbidden, change.example) == ("migrate", True, "target.gpu_free=1")
    (change,) = compared((new,), (old,)).guards
    assert change.forbidden is False


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("when memory > 80%: consult [migrate, hold]", "when memory > 70%: consult [migrate, hold]", Outcome.REFUTED),
        ("when memory > 80%: consult [migrate, hold]", "when memory > 80%: consult [scale_out, hold]", Outcome.REFUTED),
        (
            "otherwise: consult [migrate, hold]",
            "never migrate when busy | otherwise: consult [migrate, hold]",
            Outcome.REFUTED,
        ),
        (
            "otherwise: consult [hold, scale_out]",
            "never migrate when busy | otherwise: consult [hold, scale_out]",
            Outcome.PROVED,
        ),
        (
            "when memory > 80%: consult [migrate, hold]",
            "hot: when memory > 80%: consult [migrate, hold]",
            Outcome.PROVED,
        ),
        ("when memory > 80%: shed_load", "when memory > 70%: shed_load", Outcome.PROVED),
    ],
)
def test_whether_a_consult_asks_elsewhere_than_before_is_told(old: str, new: str, outcome: Outcome) -> None:
    found = compared(tuple(old.split(" | ")), tuple(new.split(" | ")))
    assert found.consults is outcome
    assert bool(found.consult_example) == (outcome is Outcome.REFUTED)


def test_settings_and_cooldowns_that_changed_are_listed() -> None:
    old = ("timeout: 1h", "memory_threshold: 80%", "hot: when memory > memory_threshold, cooldown 5s: shed_load")
    new = ("timeout: 2h", "memory_threshold: 70%", "hot: when memory > memory_threshold: shed_load")
    changes = [(one.name, one.old, one.new) for one in compared(old, new).settings]
    assert changes == [
        ("timeout", "1h", "2h"),
        ("memory_threshold", "80%", "70%"),
        ("cooldown of hot", "5s", ""),
    ]


def test_two_points_are_not_compared_nor_a_fact_that_was_declared_anew() -> None:
    plan = lab.program("when busy: hold", "when gpu > 3%: hold", ASK).plan

    renamed = dataclasses.replace(plan, point=lab.POINT.model_copy(update={"name": "lab.other"}))
    with pytest.raises(ValueError, match=r"lab.pressure and lab.other are two points"):
        compare(plan, renamed)
    facts = (lab.POINT.facts[0], lab.POINT.facts[1].model_copy(update={"maximum": 100.0}), *lab.POINT.facts[2:])
    point = lab.POINT.model_copy(update={"facts": facts})
    text = f"## LAB Pressure Spec\n- when gpu > 3%: hold\n- {ASK}\n"
    anew = tiki.build([tiki.Source("lab.tiki", text)], {point.name: point}).programs[point.name].plan
    with pytest.raises(ValueError, match="`gpu` is declared in two ways"):
        compare(plan, anew)


def test_a_claim_that_is_denied_holds_of_what_it_did_not() -> None:
    plan = lab.program("when memory > 80%: shed_load", ASK).plan
    solver = Solver(plan)
    condition = plan.rules[0].condition
    assert solver.possible(Is(condition, True), Not(Is(condition, True))) is False
    assert solver.possible(Not(Is(condition, True)), Not(Is(condition, False)), Is(condition, None)) is True


def test_verdicts_are_alike_where_the_same_is_chosen_whoever_says_so() -> None:
    assert alike(Verdict("act", "rule 1", "hold"), Verdict("fallback", "fallback", "hold", reason="unknown"))
    assert not alike(Verdict("act", "rule 1", "hold"), Verdict("act", "rule 1", "hold", {"victim": "newest"}))
