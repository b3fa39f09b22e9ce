"""A mistake is said once, where it was made, and not again wherever it shows."""

import lab
import pytest

import tiki

USES = ("when memory > spare: shed_load", "when gpu > spare for 30s: scale_out")


def found(*bullets: str) -> list[tuple[int, str]]:
    source = tiki.Source(lab.PATH, lab.spec("fallback: hold", *bullets))
    return [(one.line, one.code) for one in tiki.check([source], lab.POINTS, budget=0)]


@pytest.mark.parametrize(
    ("bullets", "code"),
    [
        (("spare: 0.8", *USES), "TIKI-402"),
        (("memory_threshold: 0.95", "when memory > memory_threshold, clear at 85%: shed_load"), "TIKI-402"),
        (("patience: 5s, 6s", "when memory > 80% for patience, cooldown patience: shed_load"), "TIKI-402"),
        (("patience: 5s, 6s", "when memory > 80%: shed_load(newest, patience)"), "TIKI-402"),
        (("zones: east", "when state in zones or not busy in zones: shed_load"), "TIKI-402"),
        (("where: east, west", "when where == ready: shed_load"), "TIKI-402"),
        (("who: oldest", "when busy: shed_load(who)", "otherwise: shed_load(who, 5s)"), "TIKI-306"),
        (("memory: 80%", "when memory > 90%: shed_load"), "TIKI-307"),
    ],
)
def test_a_setting_with_a_wrong_value_is_said_once_at_its_value(bullets: tuple[str, ...], code: str) -> None:
    assert found(*bullets) == [(3, code)]


def test_an_example_under_a_setting_that_cannot_be_read_says_nothing_of_its_own() -> None:
    table = ("### Examples", "| queue | mine | decides |", "| --- | --- | --- |", "| 1 | [a] | hold |")
    assert found("mine: a, b", "when state in mine: shed_load", *table) == [(3, "TIKI-402")]


def test_a_setting_that_is_not_set_is_said_where_it_is_used() -> None:
    assert found(*USES) == [(3, "TIKI-507"), (4, "TIKI-507")]


def test_another_mistake_beside_it_is_still_said() -> None:
    assert found("spare: 0.8", "when memry > 5%: shed_load", *USES) == [(3, "TIKI-402"), (4, "TIKI-301")]
