"""The tree over the commits of a back-up, grown anew: what leads to the root of its head is what was in the ledger."""

from typing import NamedTuple

import msgspec

from federation.ledger.backup.archive import Commit
from federation.ledger.engines import Row
from federation.ledger.merkle import EMPTY, Frontier, Tile, leaf_hash
from federation.ledger.store import Head
from federation.records import Record


class Unproven(Exception):
    """A commit that does not follow from what was before it, in words."""


class Grown(NamedTuple):
    """What a commit adds to the ledger."""

    head: Head
    rows: list[Row]
    tiles: list[Tile]


class Tree:
    """head: after the last commit."""

    def __init__(self) -> None:
        self.head = Head(0, 0, EMPTY, 0)
        self._frontier = Frontier()

    def add(self, commit: Commit) -> Grown:
        """Unproven: records are missing, or are not those that were hashed."""
        first = self.head.size + 1
        rows: list[Row] = []
        for seq, (header, body) in enumerate(commit.records, start=first):
            if header.seq != seq:
                raise Unproven(f"record {seq} is missing")
            rows.append((*msgspec.structs.astuple(header), body, leaf_hash(Record(header, body).leaf())))
        frontier, tiles = self._frontier.append([row[-1] for row in rows])
        if not rows or frontier.root() != commit.root:
            raise Unproven(f"the tree over the records {first} to {frontier.size} is not that of their commit")
        last = commit.records[-1][0]
        self._frontier, self.head = frontier, Head(last.seq, last.time, commit.root, last.epoch)
        return Grown(self.head, rows, tiles)
