"""MLflow is kept in step behind the record: what goes wrong there is said once, and harms nobody."""

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest

from federation.policy.promotions import Registered
from federation.policy.registry import Line, Stage, Trial
from federation.settings import MlflowSettings, Settings
from managers.ulm import mirroring
from managers.ulm.mirroring import Mirroring, standing
from managers.ulm.trials import TrialsState

POLICY = Registered("a" * 64, "", "small", 12, {}, {}, {}, "", {"uam.restart": 1}, {}, [], "", "ada", 1)
TRIAL = Trial(1, "b", Stage.SHADOW, 0.0, 1, 1)


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        (TrialsState(), True),
        (TrialsState({POLICY.policy: POLICY}, {"uam.restart": Line(2, 2, "a", (), TRIAL)}), True),
        (TrialsState({POLICY.policy: POLICY}, {"uam.restart": Line(3, 1, "a")}), True),
        (TrialsState({POLICY.policy: POLICY}, {"uam.restart": Line(1, 1, "a")}), False),
    ],
    ids=["no policies", "a trial", "there and back", "nothing happened"],
)
def test_it_is_behind_where_policies_or_their_parts_differ(changed: TrialsState, differs: bool) -> None:
    before = TrialsState({POLICY.policy: POLICY}, {"uam.restart": Line(1, 1, "a")})
    assert (standing(changed) != standing(before)) is differs


async def test_what_fails_is_said_once_with_its_cure_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setattr(mirroring, "AGAIN", 0.1)
    (tmp_path / "ulm").mkdir()
    settings = Settings(state=tmp_path, mlflow=MlflowSettings(uri="http://127.0.0.1:1"))
    state, looks = TrialsState({POLICY.policy: POLICY}), 0

    def now() -> TrialsState:
        nonlocal looks
        looks += 1
        return state

    task = asyncio.create_task(Mirroring(settings, now, logging.getLogger("elias.ulm")).keep())
    while looks < 3:
        await asyncio.sleep(0.1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    (said,) = [record.getMessage() for record in caplog.records if record.name == "elias.ulm"]
    assert "`elias policy mirror` says error:" in said
