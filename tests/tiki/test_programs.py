import pickle

import lab
import pytest

import tiki
from tiki import ABSENT, UNKNOWN, Latch, Memory, Source

SECOND = 1_000_000_000
HOT = "when memory > 95% for 30s: shed_load"


def test_an_events_data_becomes_facts_in_order() -> None:
    program = lab.program("otherwise: hold")
    facts = program.facts_from(
        {"memory": 97, "gpu": None, "free": "16GB", "state": "lost", "labels": ["spot"], "busy": True, "queue": 3.0}
    )
    assert facts == (97.0, ABSENT, 3, UNKNOWN, 16_000_000_000, UNKNOWN, UNKNOWN, "lost", True, ("spot",))
    assert type(facts[0]) is float
    assert type(facts[2]) is int


def test_facts_go_back_into_data() -> None:
    program = lab.program("otherwise: hold")
    data = {"memory": 97.0, "gpu": None, "labels": ("spot",)}
    assert program.to_mapping(program.facts_from(data)) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"memory": "97"}, "memory: `97` is a count, not a percent; write `80%`"),
        ({"memory": "97 %"}, "memory: `97 %` has no unit that TIKI knows"),
        ({"memory": True}, "memory: True is not a percent"),
        ({"memory": float("nan")}, "memory: nan is not a finite number"),
        ({"memory": float("inf")}, "memory: inf is not a finite number"),
        ({"memory": 10**400}, "is not a finite number"),
        ({"memory": [1]}, r"memory: \[1\] is not a percent"),
        ({"queue": 2.5}, "queue: 2.5 is not a whole number"),
        ({"free": "16gb"}, "did you mean `16GB`"),
        ({"failures": "5_failures_per_minit"}, "did you mean `minute`"),
        ({"state": "lots"}, "state: `lots` is not one of ready, draining, lost; did you mean `lost`"),
        ({"state": 3}, "state: 3 is not a name"),
        ({"busy": 1}, "busy: 1 is not a flag"),
        ({"labels": [1]}, r"labels: \[1\] is not a list"),
        ({"memry": 1}, "`memry` is not a fact of this point; did you mean `memory`"),
        ({"memory": 1.0, "zzz": None}, "`zzz` is not a fact of this point; the facts are memory, gpu"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_the_cure(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lab.program("otherwise: hold").facts_from(data)


def test_a_fact_may_be_written_with_its_unit() -> None:
    program = lab.program("otherwise: hold")
    assert program.parse_fact("memory", "97%") == 97.0
    assert program.parse_fact("free", "8GiB") == 2**33
    assert program.parse_fact("labels", "[a, b]") == ("a", "b")
    assert program.parse_fact("memory", None) is ABSENT
    with pytest.raises(ValueError, match="did you mean `memory`"):
        program.parse_fact("memor", 1)


def test_a_fact_without_a_value_cannot_be_compared_by_mistake() -> None:
    for mark in (ABSENT, UNKNOWN):
        with pytest.raises(TypeError, match="was compared"):
            assert mark > 3  # type: ignore[operator]
        with pytest.raises(TypeError, match="was compared"):
            bool(mark)
        assert pickle.loads(pickle.dumps(mark)) is mark


def test_a_change_of_the_clause_or_of_its_setting_starts_its_window_cold() -> None:
    memory = Memory()
    first = lab.program("limit: 95%", "when memory > limit for 30s: shed_load", "when gpu > 90% for 10s: migrate")
    second = lab.program("limit: 90%", "when gpu > 90% for 10s: migrate", "when memory > limit for 30s: shed_load")
    held: list[tuple[bool | None, ...]] = []
    for at in range(0, 40, 10):
        held.append(first.sample(memory, at * SECOND, lab.facts("memory=97%, gpu=95%", first)))
    assert held[-1] == (True, True)
    assert second.sample(memory, 40 * SECOND, lab.facts("memory=97%, gpu=95%", second)) == (True, None)


def test_two_rules_with_the_same_window_keep_their_own_time() -> None:
    program = lab.program(HOT, "when memory > 95% for 30s: migrate")
    memory = Memory()
    assert program.sample(memory, 0, lab.facts("memory=50%", program)) == (False, False)
    assert len(memory.tracks) == 2


def test_time_that_steps_back_is_taken_as_standing_still() -> None:
    program = lab.program("when gpu > 95% for 30s: shed_load")
    memory = Memory()
    for at in (100, 120, 90):
        program.sample(memory, at * SECOND, lab.facts("gpu=97%", program))
    assert program.sample(memory, 130 * SECOND, lab.facts("gpu=97%", program)) == (True,)


def test_a_program_without_windows_keeps_nothing() -> None:
    program = lab.program("when memory > 95%: shed_load", "otherwise: hold")
    memory = Memory()
    assert program.sample(memory, 0, lab.facts("memory=97%", program)) == ()
    assert memory.tracks == ()


def test_a_point_that_answers_requests_fires_every_time() -> None:
    point = lab.POINT.model_copy(update={"trigger": "every"})
    text = lab.spec("when memory > 5%: shed_load", "fallback: hold")
    program = tiki.build([Source("a.tiki", text)], {point.name: point}).programs[point.name]
    verdict = program.decide(lab.facts("memory=97%", program), ())
    assert program.latch(None, verdict, 0) == (None, True)
    assert program.latch(Latch("rule 1", 0), verdict, 1) == (None, True)


def test_settings_of_the_language_are_read() -> None:
    program = lab.program("fallback: request_operator", "on_timeout: scale_out", "timeout: 5m", "max_error: 5%")
    assert (program.fallback.tier, program.on_timeout, program.timeout, program.max_error) == (
        "operator",
        "scale_out",
        300,
        5,
    )
    plain = lab.program("otherwise: hold")
    assert (plain.fallback.action, plain.on_timeout, plain.timeout, plain.max_error) == ("hold", "hold", 3600, None)
    assert plain.settings["zones"] == ("east", "west")


def test_an_explanation_has_every_comparison_with_its_values_and_its_line() -> None:
    program = lab.program(
        "when gpu > 90% or memory > memory_threshold: shed_load(newest)",
        "when memory > 10% for 30s: migrate",
        "fallback: hold",
    )
    trace = program.explain(lab.facts("gpu=absent, memory=81.5%", program), (None,))
    assert trace.text().splitlines() == [
        "lab.pressure: shed_load(victim=newest), by rule 1 (lab.tiki:2)",
        "└─ rule 1 is true (lab.tiki:2)",
        "   · gpu > 90%: false (gpu is absent)",
        "   · memory > memory_threshold: true (memory is 81.5%, memory_threshold is 80%), by 1.5%",
        "   not tried: rule 2",
    ]
    unsure = program.explain(lab.facts("gpu=absent, memory=40%", program), (None,)).to_dict()
    assert unsure["kind"] == "fallback"
    assert unsure["reason"] == "unknown"
    assert unsure["place"] == "lab.tiki:3"
    assert unsure["rules"][1] == {
        "clause": "rule 2",
        "truth": None,
        "over_time": True,
        "place": "lab.tiki:3",
        "steps": (
            {
                "text": "memory > 10%",
                "values": {"memory": "40%"},
                "truth": True,
                "place": "lab.tiki:3",
                "margin": "30%",
            },
        ),
        "now": True,
        "lacks": (),
    }


def test_a_point_that_no_spec_concerns_does_its_terminal_action() -> None:
    program = tiki.build([], lab.POINTS).programs[lab.POINT.name]
    verdict = program.decide(lab.facts("memory=97%", program), ())
    assert (verdict.kind, verdict.action, verdict.clause) == ("act", "hold", "unset")
    assert program.explain(lab.facts("", program), ()).place == ""
