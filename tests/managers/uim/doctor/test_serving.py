"""What the ELIAS that runs says of itself."""

from pathlib import Path
from typing import Any

import pytest

from federation.effects import FreezeFlag
from federation.settings import Settings
from federation.supervision import Status
from managers.uim.doctor import serving
from managers.uim.doctor.here import Here


def member(status: Status, **health: Any) -> dict[str, Any]:
    return {"name": "watch.ufm", "status": status, "health": health}


@pytest.mark.parametrize(
    ("one", "codes"),
    [
        (member(Status.RUNNING, pid=7), []),
        (member(Status.STOPPED), []),  # below a supervisor that gave up, or on its way out
        (member(Status.GAVE_UP), ["serving.gave_up"]),
        (member(Status.STARTING), ["serving.down"]),
        (member(Status.RUNNING, bundle_refused={"why": "unsigned\nand more"}), ["serving.rules_refused"]),
        (member(Status.RUNNING, bundle_refused=None), []),
    ],
)
def test_what_is_seen_of_a_member(one: dict[str, Any], codes: list[str]) -> None:
    found = list(serving.members([one]))
    assert [(f.code, f.place) for f in found] == [(code, "ufm") for code in codes]


@pytest.mark.parametrize(("status", "codes"), [("up", []), ("leaving", []), ("silent", ["serving.node"])])
def test_what_is_seen_of_a_node(status: str, codes: list[str]) -> None:
    assert [f.code for f in serving.nodes([{"name": "n1", "status": status}])] == codes


def test_a_freeze_is_seen_with_everything_down(tmp_path: Path) -> None:
    here = Here(Settings(state=tmp_path), None, False, None, "head")
    assert list(serving.check_freeze(here)) == []
    FreezeFlag(tmp_path).set(True, "ada")
    (found,) = serving.check_freeze(here)
    assert (found.code, found.seen) == ("serving.frozen", "by ada")


def test_with_nothing_up_nobody_is_asked(tmp_path: Path) -> None:
    assert list(serving.check(Here(Settings(state=tmp_path), None, False, None, "head"))) == []
    (found,) = serving.check(Here(Settings(state=tmp_path), None, False, 7, "head"))
    assert found.code == "serving.starting"
