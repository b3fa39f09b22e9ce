"""Evaluations on disk: one file each in the folder `evaluations` of the state folder, named by the digest of what is in
it. Nothing writes over one."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from federation.errors import Refused
from training.evaluation.result import FORMAT, Evaluation, encoded

FOLDER = "evaluations"

_CURE = "name the folder of a policy, or an evaluation that `elias evaluate --list` shows"


def write(folder: Path, evaluation: Evaluation) -> Path:
    """Raises Refused where the folder cannot be written."""
    data = encoded(evaluation)
    path = folder / f"{hashlib.sha256(data).hexdigest()}.json"
    part = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        said = f"the evaluation cannot be kept: {error.strerror}"
        raise Refused("evaluation.out", said, place=str(folder), cure="make room there, or set `state`") from None
    return path


def read(path: Path) -> Evaluation:
    """Raises Refused where there is none, where it is not what its name says, and where another ELIAS wrote it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        said = f"there is no evaluation: {error.strerror}"
        raise Refused("evaluation.none", said, place=str(path), cure=_CURE) from None
    if hashlib.sha256(data).hexdigest() != path.stem:
        cure = "evaluate the policy again, and remove this file"
        raise Refused("evaluation.changed", "it is not what it is named by", place=str(path), cure=cure)
    try:
        found = msgspec.json.decode(data, type=Evaluation)
    except msgspec.MsgspecError as error:
        said, cure = f"it cannot be read: {error}", "evaluate the policy again with this ELIAS"
        raise Refused("evaluation.format", said, place=str(path), cure=cure) from None
    if found.format != FORMAT:
        said = f"it has format {found.format}; this ELIAS reads {FORMAT}"
        raise Refused("evaluation.format", said, place=str(path), cure="evaluate the policy again with this ELIAS")
    return found


def named(folder: Path, name: str) -> Path:
    """name: the digest, or as much of its beginning as no other one has. Raises Refused."""
    found = [path for path in _paths(folder) if name and path.stem.startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    said = f"{len(found)} evaluations begin with" if found else "there is no policy and no evaluation"
    raise Refused("evaluation.none", f"{said} `{name}`", place=str(folder), cure=_CURE)


def every(folder: Path) -> Iterator[tuple[str, Evaluation]]:
    """Digests and evaluations, the oldest first. Raises Refused as `read` does."""
    found = [(path.stem, read(path)) for path in _paths(folder)]
    yield from sorted(found, key=lambda one: (one[1].at, one[0]))


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))
