"""What the demonstration of learning promises, and when it says that it does not hold."""

import msgspec
import pytest

from training.demo_learning.findings import Found, Regret, Step, promises, rows


def step(stage: str, share: float = 0.0, by: str = "ulm.promotion") -> Step:
    return Step(stage, share, by, 1.0)


WELL = Found(
    seed=1,
    decisions=9000,
    quiet=0.06,
    changed=0.2,
    broken=1.0,
    after=0.02,
    noticed=900,
    checked=60,
    mistaken=12,
    objective="grpo",
    examples=4000,
    training=100.0,
    own=[step("shadow"), step("canary", 0.05), step("canary", 0.2), step("canary", 0.5), step("champion", 1.0)],
    foul=[step("shadow"), step("canary", 0.05), step("rolled_back")],
    regret=Regret(0.11, 0.01, 0.012, (0.09, 0.11), (-0.001, 0.005)),
    alone=0.97,
    wrong=0.03,
)


def broken(found: Found) -> list[str]:
    return [one.what for one in promises(found) if not one.kept]


def test_where_all_went_well_every_promise_is_kept() -> None:
    assert broken(WELL) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"noticed": None}, "the audit notices"),
        ({"noticed": 4001}, "the audit notices"),
        ({"objective": "sft"}, "it trains by GRPO"),
        ({"own": [step("shadow"), step("rolled_back")]}, "the challenger passes"),
        ({"own": [step("shadow"), step("canary", 0.05), step("champion", 1.0, "ada")]}, "the challenger passes"),
        ({"own": [step("champion", 1.0)]}, "the challenger passes"),
        ({"regret": Regret(0.10, 0.08, 0.01, (0.01, 0.03), (-0.1, -0.05))}, "regret on fresh questions"),
        ({"regret": Regret(0.10, 0.05, 0.01, (-0.01, 0.11), (-0.1, -0.05))}, "regret on fresh questions"),
        ({"regret": None}, "regret on fresh questions"),
        ({"after": 1.0}, "fewer questions"),
        ({"alone": 0.0, "wrong": 0.0}, "the new calibration holds"),
        ({"wrong": 0.06}, "the new calibration holds"),
        (
            {"foul": [step("shadow"), step("canary", 0.05), step("canary", 0.2), step("rolled_back")]},
            "a challenger that",
        ),
        ({"foul": [step("shadow")]}, "a challenger that"),
        ({"foul": []}, "a challenger that"),
    ],
)
def test_what_does_not_hold_is_said(changed: dict[str, object], what: str) -> None:
    (said,) = broken(msgspec.structs.replace(WELL, **changed))
    assert said.startswith(what)


def test_a_world_in_which_nothing_happened_keeps_no_promise_and_has_a_table() -> None:
    assert len(broken(Found(seed=1))) == 7
    assert all(len(row) == 3 for row in rows(Found(seed=1)))
