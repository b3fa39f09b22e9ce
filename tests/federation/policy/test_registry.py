"""Champion and challenger as a fold of promotions: whatever is written, one champion, and each step follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import Refused
from federation.policy.promotions import Promotion
from federation.policy.registry import SHARES, Line, Stage, Step, after, next_step, promotion, standing

VERSIONS = ("", "a" * 64, "b" * 64, "c" * 64)

written = st.builds(
    Promotion,
    number=st.integers(1, 6),
    trial=st.integers(1, 4),
    challenger=st.sampled_from(VERSIONS),
    champion=st.sampled_from(VERSIONS),
    stage=st.sampled_from([*(stage.value for stage in Stage), "one of another day"]),
    share=st.sampled_from([0.0, *SHARES, 1.0]),
    calibration=st.none(),
    by=st.just("ada"),
    reason=st.just(""),
    decision=st.just(""),
    at=st.integers(0, 9),
)


def fold(records: list[Promotion]) -> list[Line]:
    """After each record."""
    found = [Line()]
    for made in records:
        try:
            found.append(after(found[-1], made))
        except Refused:
            found.append(found[-1])
    return found


def step(line: Line, challenger: str, stage: Stage, share: float = 0.0) -> Promotion:
    return promotion(line, challenger, Step(stage, share), at=1, by="ada", reason="")


@given(st.lists(written, max_size=40))
def test_whatever_is_written_the_champion_changes_only_by_a_step_that_names_it(records: list[Promotion]) -> None:
    lines = fold(records)
    for before, made, now in zip(lines, records, lines[1:], strict=False):
        if now.champion != before.champion:
            assert made.champion == before.champion
            assert made.number == before.step + 1
            assert now.champion == made.challenger or (made.stage == "rolled_back" and before.before)
        if now.trial is not None:
            assert now.trial.challenger != now.champion
            assert now.trial.stage in (Stage.SHADOW, Stage.CANARY)


@given(st.lists(st.tuples(st.sampled_from(["uam.restart", "ufm.dispatch"]), written), max_size=40))
def test_each_point_stands_where_its_own_promotions_brought_it(records: list[tuple[str, Promotion]]) -> None:
    found = standing(records)
    for point in ("uam.restart", "ufm.dispatch"):
        assert found.get(point, Line()) == fold([made for of, made in records if of == point])[-1]


@given(st.lists(written, max_size=20), st.integers(0, 20))
def test_the_same_record_twice_counts_once(records: list[Promotion], at: int) -> None:
    repeated = [*records[:at], *records[max(0, at - 1) :]]
    assert fold(repeated)[-1] == fold(records)[-1]


def test_a_challenger_goes_step_by_step_and_only_forward() -> None:
    line, seen = Line(), []
    while not line.champion:
        to = next_step(line.trial)
        seen.append((to.stage.value, to.share))
        line = after(line, step(line, "a", to.stage, to.share))
    assert seen == [("shadow", 0.0), ("canary", 0.05), ("canary", 0.2), ("canary", 0.5), ("champion", 1.0)]


@pytest.mark.parametrize(
    ("line", "challenger", "stage", "share"),
    [
        (Line(), "", Stage.SHADOW, 0.0),
        (Line(champion="a"), "a", Stage.SHADOW, 0.0),
        (Line(), "a", Stage.CANARY, 1.0),
        (Line(), "a", Stage.ROLLED_BACK, 0.0),
        (Line(), "a", Stage.WITHDRAWN, 0.0),
        (after(Line(), step(Line(), "a", Stage.CANARY, 0.5)), "a", Stage.CANARY, 0.2),
        (after(Line(), step(Line(), "a", Stage.CANARY, 0.5)), "a", Stage.SHADOW, 0.0),
        (after(Line(), step(Line(), "a", Stage.CANARY, 0.5)), "b", Stage.CHAMPION, 1.0),
        (after(Line(), step(Line(), "a", Stage.CANARY, 0.5)), "b", Stage.ROLLED_BACK, 0.0),
    ],
)
def test_what_does_not_follow_is_refused(line: Line, challenger: str, stage: Stage, share: float) -> None:
    with pytest.raises(Refused) as refused:
        step(line, challenger, stage, share)
    assert refused.value.cure


def test_going_back_ends_the_trial_first_and_then_brings_back_champion_after_champion() -> None:
    line = Line()
    for version in ("a", "b"):
        line = after(line, step(line, version, Stage.CHAMPION, 1.0))
    line = after(line, step(line, "c", Stage.SHADOW))
    seen = []
    for gone in ("c", "b", "a"):
        line = after(line, step(line, gone, Stage.ROLLED_BACK))
        seen.append((line.champion, line.trial))
    assert seen == [("b", None), ("a", None), ("", None)]


def test_a_trial_keeps_the_units_that_it_began_with_whatever_the_settings_say_later() -> None:
    line = Line()
    for stage, share, block in ((Stage.SHADOW, 0.0, 10), (Stage.CANARY, 0.05, 3600), (Stage.CANARY, 0.2, 60)):
        made = promotion(line, "b" * 64, Step(stage, share), at=1, by="ada", reason="", block=block)
        line = after(line, made)
        assert line.trial is not None
        assert (made.block, line.trial.block) == (10, 10)
