"""Which edits change where a policy is asked, so that its promise on error no longer covers the point."""

import pytest

from federation.bundles import proof
from federation.bundles.proof import unproved
from federation.bundles.region import suspects
from tests.federation.lab import SPEC, bundle

CONSULT = "consult [cool, vent, hold]"


def edited(*changes: tuple[str, str]) -> list[str]:
    after = SPEC
    for old, new in changes:
        assert old in after
        after = after.replace(old, new, 1)
    return suspects(bundle(), bundle(after))


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
    assert suspects(bundle(named), bundle(named.replace("limit: 70%", "limit: 65%"))) == ["lab.furnace"]


def test_where_a_policy_is_asked_for_the_first_time_no_promise_covers_it() -> None:
    never = SPEC.replace(f"- warm: when heat > 70%: {CONSULT}\n", "")
    assert suspects(bundle(never), bundle()) == ["lab.furnace"]
    assert suspects(bundle(), bundle(never)) == []


def test_a_consult_at_the_end_depends_on_every_rule() -> None:
    last = SPEC.replace("- otherwise: hold", f"- otherwise: {CONSULT}", 1)
    assert suspects(bundle(last), bundle(last.replace("heat > 90%", "heat > 91%"))) == ["lab.furnace"]


# -- proofs ---------------------------------------------------------------------------------------------------------


async def proved(*change: str) -> dict[str, str]:
    old, new = change
    before, after = bundle(), bundle(SPEC.replace(old, new, 1))
    return await unproved(before, after, suspects(before, after))


@pytest.mark.parametrize(
    "change",
    [
        ("- warm:", "- first: when heat > 99%: hold\n- warm:"),
        ("heat > 70%", "heat > 70% and not heat > 90%"),
        ("window.wind > 20", "window.wind > 20 or window.wind > 30"),
    ],
)
async def test_another_way_to_write_the_same_is_proved_to_be_none(change: tuple[str, str]) -> None:
    assert await proved(*change) == {}


@pytest.mark.parametrize(
    "change",
    [
        ("heat > 70%", "heat > 60%"),
        ("heat > 70%", "not heat <= 70%"),  # of an absent fact neither comparison is true
        (CONSULT, "consult [cool, hold]"),
        ("window.wind > 20", "window.wind > 10"),
    ],
)
async def test_a_change_comes_with_an_input_that_shows_it(change: tuple[str, str]) -> None:
    (example,) = (await proved(*change)).values()
    assert example.startswith("heat=")


async def test_nothing_is_asked_of_the_solver_where_nothing_is_written_differently() -> None:
    assert await unproved(bundle(), bundle(), []) == {}


async def test_what_is_not_settled_in_time_counts_as_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "LIMIT", 0.001)
    assert await proved("- warm:", "- first: when heat > 99%: hold\n- warm:") == {"lab.furnace": ""}
