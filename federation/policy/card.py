"""The card of a policy: what it is made of, how it came about, and what names it.

A policy is a folder: `card.json`, the weights (`model.safetensors`), the network around them for transformers and vLLM
(`config.json`) and for ONNX Runtime (`model.onnx`), its words (`tokenizer.json`, `tokenizer_config.json`), and later
its `calibration.json`, which is no part of what names it.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from federation.errors import Refused
from federation.policy import rendering
from federation.policy.question import LABELS

CARD = "card.json"
WEIGHTS = "model.safetensors"
FILES = ("config.json", "model.onnx", WEIGHTS, "tokenizer.json", "tokenizer_config.json")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
"""The files of a policy that is a LoRA adapter in the layout of PEFT, for the base model that its first file names."""

_CURE = "train it again (`elias train policy`), or put back the folder that came with ELIAS"


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rendering: version of the text that it was trained on. points: versions of the decision points that it knows.
    files: SHA-256 by name. parameters: how many it has. preset: what it was trained with. data: digest of the generator
    and questions by split. steps: of training, done. ended: why it did not go on. versions: of what it was trained
    with. metrics: on the split `validation`, by decision point and `overall`.
    """

    name: str
    rendering: int
    points: dict[str, int]
    files: dict[str, str]
    parameters: int
    preset: dict[str, Any]
    data: dict[str, Any]
    steps: int
    ended: str
    versions: dict[str, str]
    metrics: dict[str, dict[str, float]]

    @property
    def version(self) -> str:
        """Digest of all that the scores depend on; 64 hex digits."""
        parts = [f"{name} {digest}" for name, digest in sorted(self.files.items())]
        parts += [f"rendering {self.rendering}", f"labels {LABELS}", "precision float32"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write(folder: Path, card: Card) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2)
    (folder / CARD).write_bytes(encoded + b"\n")


def read(folder: Path) -> Card:
    """The card of a policy whose files are what the card says.

    Raises Refused: it is missing, damaged, or made for another rendering of questions.
    """
    try:
        card = msgspec.json.decode((folder / CARD).read_bytes(), type=Card)
    except OSError as error:
        cure = f"name the folder that a training wrote, where {CARD} lies; `elias train --help` shows how one is made"
        raise Refused("no-policy", f"there is no policy: {error.strerror}", place=str(folder), cure=cure) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused("bad-policy", f"no card of a policy: {error}", place=str(folder / CARD), cure=_CURE) from None
    if sorted(card.files) not in (sorted(FILES), sorted(ADAPTER)):
        said = f"a policy has the files {', '.join(FILES)}; an adapter {' and '.join(ADAPTER)}"
        raise Refused("bad-policy", said, place=str(folder / CARD), cure=_CURE)
    for name, expected in card.files.items():
        try:
            found = digest(folder / name)
        except OSError as error:
            raise Refused("bad-policy", f"{name}: {error.strerror}", place=str(folder), cure=_CURE) from None
        if found != expected:
            raise Refused("bad-policy", f"{name} is not the file that the card names", place=str(folder), cure=_CURE)
    if card.rendering != rendering.VERSION:
        said = (
            f"it reads questions as version {card.rendering} wrote them; this ELIAS writes version {rendering.VERSION}"
        )
        raise Refused("old-policy", said, place=str(folder), cure=_CURE)
    return card


def version_of(folder: Path) -> str:
    """What names the policy in this folder. Raises Refused as `read` does."""
    return read(folder).version


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
