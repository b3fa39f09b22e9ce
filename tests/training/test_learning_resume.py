"""A training that is killed goes on where it was, to the same end."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from drifted import judged, quick

from federation.errors import Refused
from federation.policy.tier import SHIPPED
from training.learning.run import Trained, train
from training.learning.trainer import Seen

PATIENCE = 240.0


def trained(folder: Path) -> Trained:
    return train("distil", quick(), SHIPPED, judged("distil"), folder, lambda seen: None)


def trained_slowly(folder: Path) -> None:
    """Until it is killed: after some steps it does not go on."""

    def hang(seen: Seen) -> None:
        while seen.step >= 3:
            time.sleep(1)

    train("distil", quick(), SHIPPED, judged("distil"), folder, hang)


def test_after_kill_9_it_goes_on_to_the_same_weights_and_no_other_training_does(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    process = multiprocessing.get_context("spawn").Process(target=trained_slowly, args=(tmp_path / "killed",))
    process.start()
    try:
        _until(tmp_path / "killed" / "checkpoint-2" / "trainer_state.json")
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    again = trained(tmp_path / "killed")
    assert again.steps == whole.steps
    before, after = whole.policy.model.state_dict(), again.policy.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    figures = [(tmp_path / name / "metrics.jsonl").read_text().count("eval_score") for name in ("whole", "killed")]
    assert figures[0] == figures[1]
    with pytest.raises(Refused, match="another training") as refused:
        train("dpo", quick(), SHIPPED, judged("dpo"), tmp_path / "killed", lambda seen: None)
    assert refused.value.place == str(tmp_path / "killed")


def _until(path: Path) -> None:
    ends = time.monotonic() + PATIENCE
    while not path.exists() or not path.stat().st_size:
        assert time.monotonic() < ends, f"{path} did not come"
        time.sleep(0.2)
