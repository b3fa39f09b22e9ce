"""What an explanation says: what fired, what nearly did and by how much, and what guards make of a candidate."""

import itertools
from typing import Any

import pytest
from lab import POINT, program

import tiki
from tiki import plan
from tiki.kleene import compared, truth_of, value_of
from tiki.trace import Tried, consider, headline, sentence

SPEC = """
hot: when memory > 95%: shed_load
crowded: when memory > memory_threshold and gpu > 90%: consult [scale_out, hold]
late: when wait > 1m or queue > 3: scale_out
never migrate when target.gpu_free < job.gpu
roomy: never migrate when memory > 50% and queue > 3
otherwise: hold
"""


def explained(spec: str = SPEC, **facts: Any) -> tiki.Trace:
    made = program(*spec.strip().splitlines())
    known = made.facts_from({name: made.parse_fact(name, value) for name, value in facts.items()} | _absent(facts))
    return made.explain(known, made.unwatched(known))


def _absent(facts: dict[str, Any]) -> dict[str, None]:
    return {fact.name: None for fact in POINT.facts if fact.name not in facts}


def tried(trace: tiki.Trace, clause: str) -> Tried:
    return next(one for one in trace.tried if one.clause == clause)


@pytest.mark.parametrize(
    ("facts", "clause", "said"),
    [
        ({"memory": "92%"}, "hot", "memory > 95%: false (memory is 92%), 3% away"),
        ({"memory": "97.5%"}, "hot", "memory > 95%: true (memory is 97.5%), by 2.5%"),
        ({"memory": "95%"}, "hot", "memory > 95%: false (memory is 95%), 0% away"),
        ({"memory": None}, "hot", "memory > 95%: false (memory is absent)"),
        (
            {"memory": "92%"},
            "crowded",
            "memory > memory_threshold: true (memory is 92%, memory_threshold is 80%), by 12%",
        ),
        ({"memory": "1%", "wait": "10s"}, "late", "wait > 1m: false (wait is 10s), 50s away"),
        ({"memory": "1%", "wait": "10s", "queue": 2}, "late", "queue > 3: false (queue is 2), 1 away"),
    ],
)
def test_a_comparison_says_how_far_it_is_from_its_threshold(facts: dict[str, Any], clause: str, said: str) -> None:
    assert said in [sentence(step) for step in tried(explained(**facts), clause).steps]


@pytest.mark.parametrize(
    ("rule", "facts", "lacks"),
    [
        ("when memory > 95%: shed_load", {"memory": "92%"}, ["memory > 95%"]),
        ("when memory > 80% and gpu > 90%: shed_load", {"memory": "85%", "gpu": "50%"}, ["gpu > 90%"]),
        ("when memory > 80% and gpu > 90%: shed_load", {"memory": "5%", "gpu": "50%"}, []),
        ("when memory > 80% or gpu > 90%: shed_load", {"memory": "5%", "gpu": "50%"}, ["memory > 80%", "gpu > 90%"]),
        ("when memory > 80% and not busy: shed_load", {"memory": "85%", "busy": True}, ["busy"]),
        ("when memory > 80%: shed_load", {"memory": "85%"}, []),
        ("when memory > 80% and state == lost: shed_load", {"memory": "unknown", "state": "ready"}, []),
    ],
)
def test_a_rule_that_nearly_fired_names_what_it_lacks(rule: str, facts: dict[str, Any], lacks: list[str]) -> None:
    made = program(rule, "otherwise: hold")
    known = {name: made.parse_fact(name, value) for name, value in facts.items() if value != "unknown"}
    data = made.facts_from(known)
    (one,) = made.explain(data, made.unwatched(data)).tried
    assert list(one.lacks) == lacks
    if lacks and len(one.steps) > 1:
        assert f"for want of {' or of '.join(lacks)}" in headline(one)


def test_rules_behind_the_one_that_decided_are_named_as_not_tried() -> None:
    trace = explained(memory="97%")
    assert trace.untried == ("crowded", "late")
    assert trace.text().endswith("not tried: crowded, late")
    assert trace.to_dict()["untried"] == ["crowded", "late"]
    assert explained(memory="1%").untried == ()


@pytest.mark.parametrize(
    ("rule", "samples", "said"),
    [
        ("when memory > 95% for 8s: shed_load", [(0, "50%"), (5, "97%")], "it holds now, not for long enough"),
        ("when memory > 95%, clear at 85%: shed_load", [(0, "97%"), (5, "90%")], "it stays until it clears"),
    ],
)
def test_a_rule_over_time_says_how_now_and_then_differ(rule: str, samples: list[tuple[int, str]], said: str) -> None:
    made, memory = program(rule, "otherwise: hold"), tiki.Memory()
    for at, value in samples:
        facts = made.facts_from({"memory": made.parse_fact("memory", value)})
        held = made.sample(memory, at * 10**9, facts)
    (one,) = made.explain(facts, held).tried
    assert said in headline(one)


@pytest.mark.parametrize(
    ("attributes", "forbidden", "said"),
    [
        ({"target.gpu_free": 1, "job.gpu": 2}, "guard 1", "target.gpu_free < job.gpu: true"),
        ({"target.gpu_free": 2, "job.gpu": 2}, None, "target.gpu_free is 2, job.gpu is 2"),
        ({"job.gpu": 2}, "guard 1", "target.gpu_free is unknown"),
        ({"target.gpu_free": None, "job.gpu": 2}, None, "target.gpu_free is absent"),
    ],
)
def test_a_candidate_is_shown_before_every_guard_of_its_action(
    attributes: dict[str, Any], forbidden: str | None, said: str
) -> None:
    trace = explained(memory="40%", queue=1)
    found = consider(trace.plan, trace.facts, "migrate", attributes)
    assert found.forbidden == forbidden
    assert [one.clause for one in found.guards] == ["guard 1", "roomy"]
    assert said in found.text()
    assert consider(trace.plan, trace.facts, "scale_out", {}).guards == ()


def test_walking_a_condition_gives_what_the_compiled_rules_give() -> None:
    """Over all combinations of known, absent and unknown facts and attributes."""
    made = program(*SPEC.strip().splitlines())
    memory, gpu = [None, "unknown", 50.0, 85.0, 97.0], [None, "unknown", 50.0, 95.0]
    for values in itertools.product(memory, gpu, [None, "unknown", 2, 5], [None, "unknown", 0, 3]):
        pairs = zip(("memory", "gpu", "queue"), values, strict=False)
        facts = made.facts_from({name: value for name, value in pairs if value != "unknown"})
        attributes = {"job.gpu": 2} if values[3] == "unknown" else {"job.gpu": 2, "target.gpu_free": values[3]}
        held = made.unwatched(facts)
        for one, rule in zip(made.explain(facts, held).tried, made.rules, strict=False):
            truths = {
                id(test): compared(test, [value_of(term, facts, attributes) for term in test.terms])
                for test in plan.tests(rule.condition)
            }
            assert one.now == truth_of(rule.condition, lambda test, truths=truths: truths[id(test)])  # type: ignore[misc]
            assert [step.truth for step in one.steps] == list(truths.values())
            assert one.truth == one.now
        assert consider(made.plan, facts, "migrate", attributes).forbidden == made.forbids(
            facts, held, "migrate", {}, attributes
        )
