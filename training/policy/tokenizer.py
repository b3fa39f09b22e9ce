"""The words of a small policy: all that can stand in a rendered question, one token each."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from federation.policy import rendering
from federation.policy.quantities import LADDERS, NEGATIVE, NOT_KNOWN
from federation.policy.question import LABELS
from tiki.schema import Point, Type

PAD, UNKNOWN = "[pad]", "[unk]"

LENGTH = 1024
"""Tokens of the longest prompt. 16 candidates with eight attributes each are about 300."""


class Number(NamedTuple):
    """A word that is a quantity. value: in the canonical unit of its type."""

    type: Type
    value: float


class Words(NamedTuple):
    """ids: of every word, from 0. numbers: what the words that are quantities stand for, by id; the ids of the others
    come first."""

    ids: dict[str, int]
    numbers: dict[int, Number]

    @property
    def pad(self) -> int:
        return self.ids[PAD]

    def labels(self) -> list[int]:
        return [self.ids[label] for label in LABELS]

    def encode(self, text: str) -> list[int]:
        unknown = self.ids[UNKNOWN]
        return [self.ids.get(word, unknown) for word in text.split()]


def words_of(points: Iterable[Point]) -> Words:
    """The words for questions of these points. The same points in another order give the same ids."""
    names = sorted({name for point in points for name in _names(point)})
    plain = list(dict.fromkeys((PAD, UNKNOWN, *LABELS, *_MARKS, *names)))
    numbers = {word: Number(type_, value) for type_, word, value in _quantities()}
    ids = {word: number for number, word in enumerate([*plain, *(word for word in numbers if word not in plain)])}
    return Words(ids, {ids[word]: number for word, number in numbers.items()})


_MARKS = (
    rendering.ASK,
    rendering.BREAK,
    NEGATIVE,
    NOT_KNOWN,
    rendering.NOT_THERE,
    rendering.YES,
    rendering.NO,
    *rendering.ORDINALS,
    rendering.MANY,
    rendering.MORE,
    "[",
    "]",
)


def _names(point: Point) -> Iterator[str]:
    yield point.name
    for action in point.actions:
        yield action.name
        for arg in action.args:
            yield from (arg.name, *arg.values)
    for fact in point.facts:
        yield from (fact.name, *fact.values)
    for attribute in point.attributes:
        yield from (attribute.name, *attribute.values)
    for setting in point.settings:
        yield from (setting.name, *setting.values)


def _quantities() -> Iterator[tuple[Type, str, float]]:
    for type_, ladder in LADDERS.items():
        for value, word in zip(ladder.values, ladder.words, strict=True):
            yield type_, word, value


def save(words: Words, folder: Path) -> None:
    """Writes tokenizer.json, and beside it what transformers and vLLM read."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - imported where it is used, as all that is large
    from tokenizers.models import WordLevel  # noqa: PLC0415
    from tokenizers.pre_tokenizers import WhitespaceSplit  # noqa: PLC0415

    tokenizer = Tokenizer(WordLevel(words.ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_CONFIG, indent=2) + "\n", "utf-8")


_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": LENGTH,
    "pad_token": PAD,
    "unk_token": UNKNOWN,
    "padding_side": "right",
    "clean_up_tokenization_spaces": False,
}


def missing(words: Words, texts: Sequence[str]) -> set[str]:
    """The words of these texts that have no token."""
    return {word for text in texts for word in text.split()} - words.ids.keys()
