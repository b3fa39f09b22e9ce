"""A data set on disk: a folder whose name is the digest of all that is in it.

    recipe.json       what it was made of and how, what was left out, how good it is, and the digest of each split
    train.jsonl       one `Logged` a line, in the order of time; likewise validation.jsonl and test.jsonl

The digest is the SHA-256 of `recipe.json`, which names the digests of the splits. So whoever knows the digest knows the
data, the same ledger and the same recipe give the same folder, and nothing in it says when or where it was made.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from federation.errors import Refused
from federation.policy.question import Question
from training.dataset.example import Logged
from training.dataset.quality import Quality

FORMAT = 1
SPLITS = ("train", "validation", "test")
RECIPE = "recipe.json"


class Ledger(msgspec.Struct, frozen=True):
    """The records that were read: the first `size` ones, the last of them at `time` (ledger time, ns). root: of the
    Merkle tree over them, hex."""

    size: int
    time: int
    root: str


class Split(msgspec.Struct, frozen=True):
    """first, last: ledger times (ns) of the oldest and the newest example; 0 where there is none. digest: SHA-256 of
    the file, hex."""

    examples: int
    families: int
    first: int
    last: int
    digest: str


class Recipe(msgspec.Struct, frozen=True):
    """ledger: None for examples that come from a simulation. points: versions, by name. since, until: ledger times (ns)
    of the answers that were asked for; None: from the first, up to the last. copies: examples that were kept of a
    family; cap: of an action of a point in the training split; None: all. changed: by point, the ledger time (ns)
    before which its answers are left out.

    left_out: why decisions are no examples, and how many, by point. dropped: values that were left out of examples, by
    point and name. weights: of the examples of the training split, by point and action chosen, with which all actions
    count the same. quality: by point, of all examples before `cap`."""

    points: Mapping[str, int]
    ledger: Ledger | None = None
    since: int | None = None
    until: int | None = None
    copies: int | None = None
    cap: int | None = None
    changed: Mapping[str, int] = {}
    left_out: Mapping[str, Mapping[str, int]] = {}
    dropped: Mapping[str, Mapping[str, int]] = {}
    weights: Mapping[str, Mapping[str, float]] = {}
    quality: Mapping[str, Quality] = {}
    splits: Mapping[str, Split] = {}
    format: int = FORMAT


class DataSet(msgspec.Struct, frozen=True):
    """digest: names it, 64 hex digits. Every list is in the order of time."""

    digest: str
    recipe: Recipe
    train: list[Logged]
    validation: list[Logged]
    test: list[Logged]


def write(out: Path, recipe: Recipe, splits: Mapping[str, Iterable[Logged]]) -> Path:
    """The folder of the data set, below `out`; one that is there already is left as it is. splits: by each of SPLITS;
    read once, one after another. `recipe.splits` is filled in. Raises Refused where `out` cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=out))
    except OSError as error:
        raise Refused("dataset.out", f"{out} cannot be written: {error.strerror}", cure="name another folder") from None
    try:
        filled = {name: _write(made / f"{name}.jsonl", splits[name]) for name in SPLITS}
        text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(recipe, splits=filled), order="sorted"))
        (made / RECIPE).write_bytes(text)
        folder = out / hashlib.sha256(text).hexdigest()
        if not folder.exists():
            made.chmod(0o755)
            made.rename(folder)
        return folder
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load(folder: Path) -> DataSet:
    """All of it in memory. Raises Refused where there is none, and where it is not what its name says."""
    recipe = read_recipe(folder)
    found = {name: list(examples(folder, name, recipe)) for name in SPLITS}
    return DataSet(folder.resolve().name, recipe, found["train"], found["validation"], found["test"])


def read_recipe(folder: Path) -> Recipe:
    """Verified by the folder's name. Raises Refused as `load` does."""
    try:
        text = (folder / RECIPE).read_bytes()
    except OSError:
        cure = "`elias train dataset` makes one and prints its folder"
        raise Refused("dataset.none", "there is no data set here", place=str(folder), cure=cure) from None
    if hashlib.sha256(text).hexdigest() != folder.resolve().name:
        raise _changed(folder, f"{RECIPE} is not the one that the folder is named by")
    try:
        recipe = msgspec.json.decode(text, type=Recipe)
    except msgspec.MsgspecError as error:
        cure = "make it again with this ELIAS"
        raise Refused("dataset.format", f"its recipe cannot be read: {error}", place=str(folder), cure=cure) from None
    return recipe


def examples(folder: Path, split: str, recipe: Recipe) -> Iterator[Logged]:
    """One split, without holding it in memory; the last example comes only where the file is what the recipe says.
    Raises Refused as `load` does."""
    digest, last = hashlib.sha256(), None
    try:
        with (folder / f"{split}.jsonl").open("rb") as file:
            for line in file:
                digest.update(line)
                if last is not None:
                    yield _read(last, folder)
                last = line
    except OSError:
        raise _changed(folder, f"{split}.jsonl is missing") from None
    if digest.hexdigest() != recipe.splits[split].digest:
        raise _changed(folder, f"{split}.jsonl is not the one of the recipe")
    if last is not None:
        yield _read(last, folder)


def _write(path: Path, found: Iterable[Logged]) -> Split:
    digest, families = hashlib.sha256(), set[str]()
    count = first = last = 0
    with path.open("wb") as file:
        for example in found:
            line = msgspec.json.encode(example) + b"\n"
            digest.update(line)
            file.write(line)
            families.add(example.family)
            first = min(first, example.at) if count else example.at
            last = max(last, example.at)
            count += 1
    return Split(count, len(families), first, last, digest.hexdigest())


def _read(line: bytes, folder: Path) -> Logged:
    try:
        found = msgspec.json.decode(line, type=Logged)
    except msgspec.MsgspecError as error:
        raise _changed(folder, f"an example cannot be read: {error}") from None
    question = found.question
    settings = {name: tuple(one) if isinstance(one, list) else one for name, one in question.settings.items()}
    return msgspec.structs.replace(found, question=Question(question.point, settings, *question[2:]))


def _changed(folder: Path, what: str) -> Refused:
    return Refused("dataset.changed", what, place=str(folder), cure="make it again, or copy it anew from its source")
