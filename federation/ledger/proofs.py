"""Proofs from a stored ledger: that a record is in it, and that it only grew."""

from functools import lru_cache

from federation.errors import Corrupt
from federation.ledger import merkle
from federation.ledger.merkle import Node
from federation.ledger.store import Head, Store

_BLOCK = 256
"""Hashes read at once: as many as stand below one tile."""


def node_of(store: Store) -> Node:
    """The hashes of a stored tree: from the nearest level of tiles below, or from the leaves. For one use, since it
    remembers what it has read."""

    @lru_cache(maxsize=64)
    def block(level: int, number: int) -> list[bytes]:
        return store.hashes(level, number * _BLOCK, _BLOCK)

    @lru_cache(maxsize=4096)
    def node(level: int, index: int) -> bytes:
        stored = max((tile for tile in merkle.TILE_LEVELS if tile <= level), default=0)
        width = 1 << (level - stored)
        number, start = divmod(index * width, _BLOCK)
        hashes = [hash for n in range(-(-(start + width) // _BLOCK)) for hash in block(stored, number + n)]
        if len(hashes) < start + width:
            missing = f"hashes of level {stored} are missing before {(index + 1) * width}"
            raise Corrupt(f"{store.place}: {missing}; restore the ledger from a copy")
        return merkle.reduce(hashes[start : start + width])

    return node


def inclusion(store: Store, seq: int, head: Head) -> list[bytes]:
    """The audit path of record `seq` in the ledger as of `head`; check it with `merkle.verify_inclusion(leaf, seq - 1,
    ...)`."""
    return merkle.inclusion_proof(seq - 1, head.size, node_of(store))


def consistency(store: Store, old: int, head: Head) -> list[bytes]:
    """That the ledger of `old` records is the beginning of `head`; check it with `merkle.verify_consistency`."""
    return merkle.consistency_proof(old, head.size, node_of(store))
