"""Questions as rows of numbers, a row a candidate, and two policies that score them: a linear one and trees.

They are the baselines of the policy that reads text, and the default at a point where they are better than it.
training/policy/baselines.py fits them; numpy is all that they need here.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.errors import Refused
from federation.policy.question import Question, Scores
from federation.records import Candidate
from tiki.schema import Arg, Attribute, Fact, Point, Type

SUFFIX = ".table.json"
"""Of the file of a model, after the name of its point."""

Rows = NDArray[np.float64]
"""Candidates x columns; NaN where a number is unknown or absent."""

_BY_SCALE = {Type.BYTES, Type.DURATION, Type.RATE}
_NAMES = {Type.NAME, Type.LIST}
_Declared = Fact | Arg | Attribute


class Encoder:
    """Of the questions of one point. Columns: the facts; how many candidates of each action there are; then of the
    candidate itself its action, its arguments and attributes, and each number less the largest and less the smallest
    of the other candidates'.

    first: column of the first action.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        self._actions = {action.name: index for index, action in enumerate(point.actions)}
        self._args = {arg.name: arg for action in point.actions for arg in action.args}.values()
        self.first = sum(2 + _width(fact) for fact in point.facts) + len(self._actions)
        self._numbers = [one for one in point.attributes if one.type not in _NAMES | {Type.FLAG}]

    def rows(self, question: Question) -> Rows:
        facts = [number for fact in self.point.facts for number in _numbers(fact, question.facts)]
        actions = np.zeros((len(question.candidates), len(self._actions)))
        for row, candidate in enumerate(question.candidates):
            actions[row, self._actions[candidate.action]] = 1
        shared = np.append(facts, actions.sum(axis=0))
        own = np.array([list(self._own(candidate)) for candidate in question.candidates])
        shape = (len(question.candidates), len(shared))
        return np.hstack([np.broadcast_to(shared, shape), actions, own, self._against(question)])

    def _own(self, candidate: Candidate) -> Iterator[float]:
        for arg in self._args:
            yield from _numbers(arg, candidate.args)
        for attribute in self.point.attributes:
            yield from _numbers(attribute, candidate.attributes)

    def _against(self, question: Question) -> Rows:
        """Each number less the largest and less the smallest of the other candidates'; NaN where none has it."""
        shape = (len(question.candidates), len(self._numbers))
        values = [_number(one, c.attributes.get(one.name)) for c in question.candidates for one in self._numbers]
        table = np.array(values).reshape(shape)
        least, most = np.full(shape, np.nan), np.full(shape, np.nan)
        for row in range(len(table)):
            others = np.delete(table, row, axis=0)
            most[row] = np.fmax.reduce(others, axis=0)
            least[row] = np.fmin.reduce(others, axis=0)
        return np.hstack([table - most, table - least])


class Linear(msgspec.Struct, frozen=True, tag="linear"):
    """A conditional logit (McFadden 1974). mean, scale: by column. weights: 1 + actions x columns; the first row counts
    for every candidate, the others for those of their action. first: column of the first action."""

    mean: list[float]
    scale: list[float]
    weights: list[list[float]]
    first: int

    def values(self, rows: Rows) -> Rows:
        actions = rows[:, self.first : self.first + len(self.weights) - 1]
        given = np.nan_to_num((rows - self.mean) / self.scale)
        weights = np.array(self.weights)
        return np.asarray((given * (weights[0] + actions @ weights[1:])).sum(axis=1))


class Trees(msgspec.Struct, frozen=True, tag="trees", dict=True):
    """Gradient-boosted trees on whether a candidate is right. All nodes of all trees, one list each; a leaf is its own
    child and its value is what the tree adds to the log-odds. roots: the first node of each tree. depth: the longest
    path. blank: whether NaN goes left."""

    column: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    blank: list[bool]
    value: list[float]
    roots: list[int]
    start: float
    depth: int

    @cached_property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        lists = (self.column, self.threshold, self.left, self.right, self.blank, self.value)
        return tuple(np.array(each) for each in lists)

    def values(self, rows: Rows) -> Rows:
        column, threshold, left, right, blank, value = self._arrays
        node = np.tile(np.array(self.roots), (len(rows), 1))
        row = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            given = rows[row, column[node]]
            goes_left = np.where(np.isnan(given), blank[node], given <= threshold[node])
            node = np.where(goes_left, left[node], right[node])
        return np.asarray(self.start + value[node].sum(axis=1))


Model = Linear | Trees


class Table(msgspec.Struct, frozen=True):
    """A fitted model of one version of a point. data: digest of what made its questions."""

    point: str
    version: int
    data: str
    model: Model
    v: int = 1


class Tabular:
    """The models of a folder, one file a point.

    version: digest of the files. Raises Refused where one cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        files = {path: path.read_bytes() for path in sorted(folder.glob(f"*{SUFFIX}"))}
        self.version = hashlib.sha256(b"\n".join(files.values())).hexdigest()
        self._tables: dict[str, Table] = {}
        for path, text in files.items():
            try:
                table = msgspec.json.decode(text, type=Table)
            except msgspec.MsgspecError as error:
                cure = "make it anew: `elias policy defaults`"
                raise Refused("table_unreadable", str(error), place=str(path), cure=cure) from None
            self._tables[table.point] = table

    def covers(self, point: Point) -> bool:
        """Whether there is a model of this version of the point."""
        table = self._tables.get(point.name)
        return table is not None and table.version == point.version

    def score(self, point: Point, question: Question) -> Scores:
        """Pure. Raises KeyError for a point that it does not cover."""
        return log_shares(self._tables[point.name].model.values(Encoder(point).rows(question)))


def log_shares(values: Rows) -> Scores:
    """Values of the candidates as logarithms of probabilities that sum to 1."""
    top = float(values.max())
    total = top + math.log(math.fsum(math.exp(value - top) for value in values.tolist()))
    return tuple(value - total for value in values.tolist())


def _numbers(declared: _Declared, values: Any) -> Sequence[float]:
    """The columns of a value: two flags, unknown and absent, then what it is."""
    known = declared.name in values
    value = values.get(declared.name)
    if declared.type not in _NAMES:
        return (not known, known and value is None, _number(declared, value))
    held = value if isinstance(value, list | tuple) else (value,)
    return (not known, known and value is None, *(name in held for name in declared.values))


def _number(declared: _Declared, value: Any) -> float:
    if not isinstance(value, bool | int | float):
        return math.nan
    return math.log1p(max(value, 0.0)) if declared.type in _BY_SCALE else float(value)


def _width(declared: _Declared) -> int:
    return len(declared.values) if declared.type in _NAMES else 1
