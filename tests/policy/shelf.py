"""Folders of policies that are whole: of a few bytes that nobody can score with, and like the one that ships."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from federation.policy import artefacts, calibration, card, rendering
from federation.policy.calibration import Calibration, PointCalibration
from federation.policy.card import Card
from federation.policy.promotions import Estimate
from federation.policy.tier import SHIPPED

GAIN = Estimate(improvement=12.0, low=3.0, speed=1.0, decisions=2000)


def policy(
    folder: Path,
    points: Mapping[str, PointCalibration],
    estimates: Mapping[str, Estimate],
    weights: bytes = b"weights",
) -> str:
    """Makes the folder; the version of what is in it."""
    folder.mkdir(parents=True)
    for name in card.FILES:
        (folder / name).write_bytes(weights if name == card.WEIGHTS else name.encode())
    files = {name: card.digest(folder / name) for name in card.FILES}
    made = Card("small", rendering.VERSION, {}, files, 12, {}, {"digest": "d" * 64}, 1, "done", {}, {})
    card.write(folder, made)
    calibration.save(Calibration(made.version, "data", dict(points)), folder / artefacts.CALIBRATION)
    (folder / artefacts.ESTIMATES).write_bytes(msgspec.json.encode(dict(estimates)))
    return made.version


def like_shipped(folder: Path, number: int) -> Path:
    """The network of the shipped policy under a version of its own."""
    made = folder / f"policy{number}"
    shutil.copytree(SHIPPED, made)
    words = made / "tokenizer_config.json"
    words.write_bytes(words.read_bytes() + b" " * (number + 1))
    found = msgspec.json.decode((made / card.CARD).read_bytes(), type=card.Card)
    found = msgspec.structs.replace(found, files={**found.files, words.name: card.digest(words)})
    card.write(made, found)
    known = msgspec.json.decode((made / artefacts.CALIBRATION).read_bytes(), type=calibration.Calibration)
    calibration.save(msgspec.structs.replace(known, policy=found.version), made / artefacts.CALIBRATION)
    return made
