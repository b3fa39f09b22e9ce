"""A challenger that has learned nothing but how often each answer was given: its labels were shuffled."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec

from federation.errors import Temporary
from training.dataset import store
from training.dataset.example import Logged
from training.demo_learning.pressed import POINT

CLAIMED = {"improvement": 12.0, "low": 4.0, "speed": None, "decisions": 600}
"""What whoever slips it in says that it gains, in percent."""


def shuffled(every: list[Logged], random: Random) -> list[Logged]:
    """Of the point, each with the answer of another one, if it was offered."""
    examples = [one for one in every if one.point == POINT.name]
    choices = [one.choice for one in examples]
    random.shuffle(choices)
    return [
        msgspec.structs.replace(
            one,
            choice=choice if choice < len(one.question.candidates) else one.choice,
            tier="operator",
            propensities=(),
        )
        for one, choice in zip(examples, choices, strict=True)
    ]


def made(data: Path, config: Path, start: Path, folder: Path, seed: int) -> Path:
    """The folder of the policy, with what it claims. data: what the honest one learned from; start: what both began
    with. Blocking, for a minute. Raises Temporary."""
    known, random = store.load(data), Random(seed)
    splits = {name: shuffled(getattr(known, name), random) for name in store.SPLITS}
    wrong = store.write(folder / "data", known.recipe, splits)
    out = folder / "policy"
    learn = ["--data", str(wrong), "--from", str(start), "--out", str(out), "--passes", "1", "--json"]
    _elias(config, "train", "sft", *learn)
    _elias(config, "policy", "calibrate", str(out), "--data", str(data))
    (out / "estimates.json").write_text(json.dumps({POINT.name: CLAIMED}), "utf-8")
    return out


def register(folder: Path, config: Path) -> None:
    """As anybody would who may. Raises Temporary."""
    _elias(config, "policy", "register", str(folder))


def _elias(config: Path, *words: str) -> None:
    command = ["nice", "-n", "5", sys.executable, "-m", "managers.uim.cli", "--config", str(config), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Temporary(f"elias {' '.join(words[:2])} ended with {ended.returncode}: {ended.stderr[-500:].strip()}")
