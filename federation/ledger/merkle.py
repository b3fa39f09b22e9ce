"""The Merkle tree of RFC 6962, section 2.1: a leaf is hashed after a zero byte, an inner node after a one byte.

Everything here is pure. Who keeps the hashes passes `node(level, index)`, the hash of the complete subtree over the
2**level leaves from index * 2**level on.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from federation.errors import Bug

EMPTY = hashlib.sha256(b"").digest()
TILE_LEVELS = (8, 16, 24)
"""Levels whose complete subtrees are stored: a proof then reads some hundred hashes at most, however long the log
is."""

Node = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tile(NamedTuple):
    level: int
    position: int
    hash: bytes


class Frontier(NamedTuple):
    """What a growing tree needs to remember: the roots of its complete subtrees, one for each bit that is set in
    `size`, the lowest first. A value: appending gives another one."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaves: Sequence[bytes]) -> "tuple[Frontier, list[Tile]]":
        """leaves: leaf hashes. Also gives the tiles that they completed."""
        sha256 = hashlib.sha256
        old = iter(self.peaks)
        nodes = list(leaves)
        size = self.size + len(nodes)
        peaks: list[bytes] = []
        tiles: list[Tile] = []
        for level in range(size.bit_length()):
            first = self.size >> level
            if level in TILE_LEVELS:
                tiles += [Tile(level, first + i, h) for i, h in enumerate(nodes)]
            if first & 1:
                nodes.insert(0, next(old))
            if len(nodes) & 1:
                peaks.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
        return Frontier(size, tuple(peaks)), tiles

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        root, *larger = self.peaks
        for peak in larger:
            root = node_hash(peak, root)
        return root

    @classmethod
    def of(cls, size: int, node: Node) -> "Frontier":
        """The frontier of a stored tree."""
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        return cls(size, tuple(node(level, (size >> level) - 1) for level in levels))


def reduce(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of neighbouring hashes of one level."""
    level = list(hashes)
    while len(level) > 1:
        pairs = iter(level)
        level = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


def _subtree(first: int, end: int, node: Node) -> bytes:
    """MTH(D[first:end]) where `first` is a multiple of the largest power of two below the width."""
    width = end - first
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return node(level, first >> level)
    middle = first + _split(width)
    return node_hash(_subtree(first, middle, node), _subtree(middle, end, node))


def _split(width: int) -> int:
    """The largest power of two smaller than width."""
    return 1 << (width - 1).bit_length() - 1


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962, 2.1.1: from the leaf's neighbour up."""
    if not 0 <= index < size:
        raise Bug(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_subtree(middle, end, node))
            end = middle
        else:
            path.append(_subtree(first, middle, node))
            first = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962, 2.1.2; empty where it has nothing to prove (old is 0 or new)."""
    if not 0 <= old <= new:
        raise Bug(f"a tree of {old} is not older than one of {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    first, end, whole = 0, new, True
    while end != old:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(_subtree(middle, end, node))
            end = middle
        else:
            proof.append(_subtree(first, middle, node))
            first, whole = middle, False
    if not whole:
        proof.append(_subtree(first, end, node))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that the leaf hash stands at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, hashed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = node_hash(sibling, hashed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `proof` proves that the tree of `old` leaves is the beginning of that of `new` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root
