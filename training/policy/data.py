"""Examples as tokens: read once, put together anew for every batch, with the candidates in another order each time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from federation.policy import rendering
from federation.policy.question import LABELS
from tiki.schema import Point
from training.policy.tokenizer import Words
from training.scenarios.generate import Example

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

MOST = len(LABELS)
PART = 16  # examples that are padded to one length
CLIP = 4.0  # standard deviations: a disaster teaches that it is one, not how large


class Batch(NamedTuple):
    """tokens: rows x length, padded behind. last: of each row. ends: where each candidate ends; rows x MOST, 0 where
    there is none. right: rows x completions x MOST. values: advantage of each, see `advantages`.
    offered: rows x MOST. share: how often each is right. point: index."""

    tokens: Ints
    last: Ints
    ends: Ints
    right: Bools
    values: Floats
    offered: Bools
    share: Floats
    point: Ints


@dataclass(frozen=True)
class Data:
    """tokens: of all parts, one after another. parts: where each part begins, and the end. first: the head of each
    example among the parts, and the end; its candidates follow it. right: a bit for each completion, by candidate.
    values: mean outcome by candidate. point: by example, index into `points`."""

    points: tuple[str, ...]
    tokens: NDArray[np.uint16]
    parts: Ints
    first: Ints
    right: NDArray[np.uint64]
    values: Floats
    point: Ints
    completions: int

    def __len__(self) -> int:
        return len(self.point)

    def save(self, path: Path) -> None:
        np.savez(path, **{each.name: getattr(self, each.name) for each in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as found:
            kept: dict[str, Any] = {each.name: found[each.name] for each in fields(cls)}
        return cls(**kept | {"points": tuple(map(str, kept["points"])), "completions": int(kept["completions"])})

    def lengths(self, rows: Ints) -> Ints:
        """Tokens of the prompts of these examples: the parts, a break and a label before each candidate, a break and
        the question at the end."""
        begin, end = self.first[rows], self.first[rows + 1]
        sizes: Ints = self.parts[end] - self.parts[begin] + 2 * (end - begin)
        return sizes

    def batch(self, rows: Ints, words: Words, random: np.random.Generator | None) -> Batch:
        """The prompts of these examples. random: orders the candidates; None: as they were asked."""
        breaks, ask, labels = words.ids[rendering.BREAK], words.ids[rendering.ASK], words.labels()
        length = int(self.lengths(rows).max())
        tokens = np.full((len(rows), length), words.pad, np.int64)
        last, point = np.zeros(len(rows), np.int64), self.point[rows]
        ends = np.zeros((len(rows), MOST), np.int64)
        right = np.zeros((len(rows), self.completions, MOST), np.bool_)
        values = np.zeros((len(rows), MOST), np.float32)
        offered = np.zeros((len(rows), MOST), np.bool_)
        share = np.zeros((len(rows), MOST), np.float32)
        bits = np.arange(self.completions, dtype=np.uint64)
        for number, example in enumerate(rows):
            head, after = int(self.first[example]), int(self.first[example + 1])
            order = np.arange(head + 1, after)
            if random is not None:
                random.shuffle(order)
            row = tokens[number]
            at = self._put(row, 0, head)
            for place, part in enumerate(order):
                row[at], row[at + 1] = breaks, labels[place]
                at = self._put(row, at + 2, int(part))
                ends[number, place] = at
            row[at], row[at + 1] = breaks, ask
            last[number] = at + 1
            count = len(order)
            right[number, :, :count] = (self.right[order][None, :] >> bits[:, None]) & np.uint64(1)
            values[number, :count] = self.values[order]
            offered[number, :count] = True
            share[number, :count] = right[number, :, :count].mean(0)
        return Batch(tokens, last, ends, right, values, offered, share, point)

    def _put(self, row: Ints, at: int, part: int) -> int:
        begin, end = self.parts[part], self.parts[part + 1]
        row[at : at + end - begin] = self.tokens[begin:end]
        return at + int(end - begin)

    def epoch(self, size: int, random: np.random.Generator) -> Iterator[list[Ints]]:
        """All examples once, in batches by chance, each in parts of like length: points differ in length, and a batch
        of one point alone teaches the others nothing."""
        order = random.permutation(len(self))
        lengths = self.lengths(np.arange(len(self)))
        for begin in range(0, len(order), size):
            batch = order[begin : begin + size]
            batch = batch[np.argsort(lengths[batch], kind="stable")]
            yield [batch[at : at + PART] for at in range(0, len(batch), PART)]


class Source(NamedTuple):
    """The examples of one point. rights: of an outcome of one completion, whether each candidate was right."""

    schema: Point
    examples: Iterable[Example]
    rights: Callable[[tuple[float, ...]], tuple[bool, ...]]


def read(sources: Iterable[Source], words: Words) -> Data:
    """Raises ValueError for words that have no token, and where the examples of two points have not as many
    completions."""
    points: list[str] = []
    tokens: list[int] = []
    parts, first, right, values, point = [0], [0], list[int](), list[float](), list[int]()
    completions = 0
    for source in sources:
        points.append(source.schema.name)
        for example in source.examples:
            whole = rendering.split(source.schema, example.question)
            judged = [source.rights(outcome) for outcome in example.outcomes]
            if completions not in (0, len(judged)):
                raise ValueError(f"{source.schema.name}: {len(judged)} completions, elsewhere {completions}")
            completions = len(judged)
            for text in (whole.head, *whole.candidates):
                tokens += _tokens(words, text)
                parts.append(len(tokens))
            right += (0, *(sum(one << row for row, one in enumerate(each)) for each in zip(*judged, strict=True)))
            values += (0.0, *(sum(each) / len(judged) for each in zip(*example.outcomes, strict=True)))
            first.append(len(right))
            point.append(len(points) - 1)
    return Data(
        tuple(points),
        np.array(tokens, np.uint16),
        np.array(parts, np.int64),
        np.array(first, np.int64),
        np.array(right, np.uint64),
        np.array(values, np.float32),
        np.array(point, np.int64),
        completions,
    )


def joined(pieces: Sequence[Data]) -> Data:
    """All examples of some data, in order."""
    points = tuple(dict.fromkeys(name for piece in pieces for name in piece.points))
    places = [np.array([points.index(name) for name in piece.points], np.int64) for piece in pieces]
    return Data(
        points,
        np.concatenate([piece.tokens for piece in pieces]),
        _starts([piece.parts for piece in pieces]),
        _starts([piece.first for piece in pieces]),
        np.concatenate([piece.right for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([place[piece.point] for place, piece in zip(places, pieces, strict=True)]),
        pieces[0].completions,
    )


def _starts(pieces: Sequence[Ints]) -> Ints:
    """Each ends where the next one begins."""
    found, end = [np.zeros(1, np.int64)], 0
    for piece in pieces:
        found.append(piece[1:] + end)
        end += int(piece[-1])
    return np.concatenate(found)


def advantages(data: Data) -> Data:
    """With how much better or worse each candidate's outcome is than the mean of its question, in standard deviations
    of that at its point: what a choice hangs on, without what all candidates share."""
    sizes = np.diff(data.first)
    owner = np.repeat(np.arange(len(data)), sizes)
    candidate = np.ones(len(data.values), np.bool_)
    candidate[data.first[:-1]] = False
    means = np.bincount(owner, data.values, len(data)) / (sizes - 1)
    found = np.where(candidate, data.values - means[owner], 0.0)
    point = data.point[owner]
    squares = np.bincount(point, found**2) / np.maximum(np.bincount(point, candidate), 1)
    deviations = np.sqrt(np.maximum(squares, 1e-12))
    return replace(data, values=np.clip(found / deviations[point], -CLIP, CLIP).astype(np.float32))


def _tokens(words: Words, text: str) -> list[int]:
    try:
        return [words.ids[word] for word in text.split()]
    except KeyError as error:
        raise ValueError(f"no token for `{error.args[0]}` in `{text}`") from None
