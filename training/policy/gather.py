"""The examples that a policy is trained on, drawn by all cores and kept beside the run."""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path

from managers.roster import POINTS
from training.policy.data import Data, Source, joined, read
from training.policy.tokenizer import Words, words_of
from training.scenarios import generate
from training.scenarios.scenario import rights

PIECE = 250  # questions that one process draws before it hands them over


@cache
def words() -> Words:
    """Those of every decision point of every manager."""
    return words_of(point.schema for point in POINTS)


def gather(points: tuple[str, ...], split: str, count: int, folder: Path, shown: Callable[[int, int], None]) -> Data:
    """`count` questions of each point. Those that an earlier run drew into this folder, from the same generator, are
    not drawn again. shown: told of questions done, and of all."""
    key = repr((generate.digest(), points, split, count, sorted(words().ids.items())))
    path = folder / f"{split}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if path.exists():
        return Data.load(path)
    tasks = [(point, start, min(PIECE, count - start)) for point in points for start in range(0, count, PIECE)]
    pieces = []
    for done, drawn in enumerate(_drawn(split, tasks), 1):
        pieces.append(drawn)
        shown(sum(size for _, _, size in tasks[:done]), count * len(points))
    found = joined(pieces)
    found.save(path)
    return found


def _drawn(split: str, tasks: list[tuple[str, int, int]]) -> Iterator[Data]:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context) as pool:
        yield from pool.map(piece, repeat(split), *zip(*tasks, strict=True))


def piece(split: str, point: str, start: int, count: int) -> Data:
    """Questions of one point, each with eight completions of its world."""
    scenario = generate.scenario(point)
    epsilon = scenario.world.epsilon
    examples = scenario.examples(split, count, start, completions=8)
    return read([Source(scenario.point.schema, examples, lambda outcome: rights(outcome, epsilon))], words())
