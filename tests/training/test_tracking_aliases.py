"""Which aliases MLflow should have, by the record alone."""

import pytest

from federation.policy.registry import Line, Stage, Trial
from training.tracking.aliases import aliases, changes

CANARY = Trial(1, "b", Stage.CANARY, 0.05, 1, 1)
SHADOW = Trial(2, "c", Stage.SHADOW, 0.0, 1, 1)


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ({}, {}),
        ({"uam.restart": Line(champion="a")}, {"champion-uam-restart": "a"}),
        ({"uam.restart": Line(trial=CANARY)}, {"challenger-uam-restart": "b"}),
        (
            {"uam.restart": Line(champion="a", before=("z",), trial=SHADOW), "ufm.dispatch": Line(champion="a")},
            {"champion-uam-restart": "a", "challenger-uam-restart": "c", "champion-ufm-dispatch": "a"},
        ),
        ({"uam.restart": Line(step=4, trials=2)}, {}),
    ],
    ids=["nothing", "a champion", "beside the settings' policy", "two points", "back to the settings' policy"],
)
def test_champion_and_challenger_of_each_point_have_an_alias(lines: dict[str, Line], wanted: dict[str, str]) -> None:
    assert aliases(lines) == wanted


@pytest.mark.parametrize(
    ("has", "set_", "dropped"),
    [
        ({}, {"champion-uam-restart": "a"}, []),
        ({"champion-uam-restart": "a"}, {}, []),
        ({"champion-uam-restart": "b"}, {"champion-uam-restart": "a"}, []),
        ({"challenger-uam-restart": "a"}, {"champion-uam-restart": "a"}, ["challenger-uam-restart"]),
        ({"champion-uam-restart": "a", "ours": "b", "champion-eu": "b"}, {}, []),
    ],
    ids=["new", "as it is", "another champion", "promoted", "aliases of people"],
)
def test_only_what_differs_is_changed(has: dict[str, str], set_: dict[str, str], dropped: list[str]) -> None:
    found = changes(has, {"champion-uam-restart": "a"}, ["uam.restart"])
    assert (found.set, found.dropped) == (set_, dropped)
