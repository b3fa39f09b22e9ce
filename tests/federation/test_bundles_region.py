"""Which edits change where a policy is asked, so that its promise on error no longer covers the point."""

import pytest

from federation.bundles.region import uncovered
from tests.federation.lab import SPEC, bundle

CONSULT = "consult [cool, vent, hold]"


def edited(*changes: tuple[str, str]) -> list[str]:
    after = SPEC
    for old, new in changes:
        assert old in after
        after = after.replace(old, new, 1)
    return uncovered(bundle(), bundle(after))


@pytest.mark.parametrize(
    "change",
    [
        ("heat > 70%", "heat > 60%"),
        ("heat > 90%", "heat > 95%"),
        ("heat > 90%", "heat > 90% and gas > 1%"),
        (CONSULT, "consult [cool, hold]"),
        ("heat > 70%", "heat > 70% for 30s"),
        ("window.wind > 20", "window.wind > 10"),
        ("- warm:", "- first: when heat > 99%: hold\n- warm:"),
    ],
)
def test_an_edit_of_what_is_asked_or_of_what_comes_before_it_changes_the_region(change: tuple[str, str]) -> None:
    assert edited(change) == ["lab.furnace"]


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("# LAB Furnace Spec", "# LAB Furnace Spec\n\nSome words about it.\n")],
        [("- warm:", "- tepid:")],
        [("cool(gently)", "vent")],
        [("- timeout: 1m", "- timeout: 5m")],
        [("- timeout: 1m", "- timeout: 1m\n- limit: 70%"), ("heat > 70%", "heat > limit")],
        [("- calm_only:", "- last: when gas < 1%: hold\n- calm_only:")],
        [("danger > 50%", "danger > 60%")],
    ],
)
def test_an_edit_of_anything_else_does_not(changes: list[tuple[str, str]]) -> None:
    assert edited(*changes) == []


def test_a_setting_that_the_condition_names_is_part_of_it() -> None:
    named = SPEC.replace("- timeout: 1m", "- timeout: 1m\n- limit: 70%").replace("heat > 70%", "heat > limit")
    assert uncovered(bundle(named), bundle(named.replace("limit: 70%", "limit: 65%"))) == ["lab.furnace"]


def test_where_a_policy_is_asked_for_the_first_time_no_promise_covers_it() -> None:
    never = SPEC.replace(f"- warm: when heat > 70%: {CONSULT}\n", "")
    assert uncovered(bundle(never), bundle()) == ["lab.furnace"]
    assert uncovered(bundle(), bundle(never)) == []


def test_a_consult_at_the_end_depends_on_every_rule() -> None:
    last = SPEC.replace("- otherwise: hold", f"- otherwise: {CONSULT}", 1)
    assert uncovered(bundle(last), bundle(last.replace("heat > 90%", "heat > 91%"))) == ["lab.furnace"]
