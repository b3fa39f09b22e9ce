from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import Bug
from federation.ledger import merkle
from federation.ledger.merkle import EMPTY, Frontier, leaf_hash, node_hash

# The vectors of the Certificate Transparency reference tests (merkletree/merkle_tree_test.cc).
LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
# Leaves are counted from 0 here, from 1 in the source.
PATHS = [
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], B, D]),
]
PROOFS = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])]


def node_in(leaves: list[bytes]) -> merkle.Node:
    return lambda level, index: merkle.reduce(leaves[index << level : (index + 1) << level])


def root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(root(leaves[:k]), root(leaves[k:]))


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size: int) -> None:
    assert Frontier().append(LEAVES[:size])[0].root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_an_inclusion_proof_is_the_published_one(index: int, size: int, path: list[str]) -> None:
    proof = merkle.inclusion_proof(index, size, node_in(LEAVES))
    assert [hash.hex() for hash in proof] == path
    assert merkle.verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "path"), PROOFS)
def test_a_consistency_proof_is_the_published_one(old: int, new: int, path: list[str]) -> None:
    proof = merkle.consistency_proof(old, new, node_in(LEAVES))
    assert [hash.hex() for hash in proof] == path
    assert merkle.verify_consistency(old, new, proof, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]))


class Tree(NamedTuple):
    leaves: list[bytes]
    at: int


trees = st.integers(1, 80).flatmap(
    lambda size: st.builds(Tree, st.just([leaf_hash(bytes([n])) for n in range(size)]), st.integers(0, size - 1))
)
hashes = st.binary(min_size=32, max_size=32)


@given(st.lists(st.integers(0, 40), max_size=12))
def test_however_the_leaves_are_grouped_the_tree_is_the_same(groups: list[int]) -> None:
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(sum(groups))]
    frontier, done = Frontier(), 0
    for count in groups:
        frontier, _ = frontier.append(leaves[done : done + count])
        done += count
        assert frontier.root() == root(leaves[:done])
    assert Frontier.of(len(leaves), node_in(leaves)) == frontier


@given(trees)
def test_every_leaf_can_be_proven_and_no_other(tree: Tree) -> None:
    leaves, at = tree
    size, head = len(leaves), root(leaves)
    proof = merkle.inclusion_proof(at, size, node_in(leaves))
    assert merkle.verify_inclusion(leaves[at], at, size, proof, head)
    assert not merkle.verify_inclusion(leaf_hash(b"other"), at, size, proof, head)
    assert not merkle.verify_inclusion(leaves[at], at, size, [*proof, head], head)
    assert not any(
        merkle.verify_inclusion(leaves[at], other, size, proof, head) for other in range(-1, size + 1) if other != at
    )
    for missing in range(len(proof)):
        assert not merkle.verify_inclusion(leaves[at], at, size, proof[:missing] + proof[missing + 1 :], head)


@given(trees)
def test_every_beginning_can_be_proven_and_no_other(tree: Tree) -> None:
    leaves, at = tree
    old, new = at + 1, len(leaves)
    before, after = root(leaves[:old]), root(leaves)
    proof = merkle.consistency_proof(old, new, node_in(leaves))
    assert merkle.verify_consistency(old, new, proof, before, after)
    assert not merkle.verify_consistency(old, new, proof, leaf_hash(b"other"), after)
    assert not merkle.verify_consistency(old, new, proof, before, leaf_hash(b"other"))
    assert not merkle.verify_consistency(old, new, [*proof, after], before, after)
    for missing in range(len(proof)):
        assert not merkle.verify_consistency(old, new, proof[:missing] + proof[missing + 1 :], before, after)


@given(st.integers(-2, 40), st.integers(-2, 40), st.lists(hashes, max_size=8), hashes, hashes)
def test_a_proof_out_of_nothing_never_holds(old: int, new: int, path: list[bytes], first: bytes, second: bytes) -> None:
    assert not merkle.verify_inclusion(first, old, new, path, second)
    if first not in (second, EMPTY):
        assert not merkle.verify_consistency(old, new, path, first, second)


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert merkle.consistency_proof(0, 8, node_in(LEAVES)) == []
    assert merkle.verify_consistency(0, 8, [], EMPTY, root(LEAVES))


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(Bug):
        merkle.inclusion_proof(index, size, node_in(LEAVES))


def test_no_proof_is_made_that_a_longer_tree_begins_a_shorter_one() -> None:
    with pytest.raises(Bug):
        merkle.consistency_proof(8, 7, node_in(LEAVES))


@pytest.mark.parametrize("group", [1000, 70_000])
def test_a_tile_is_the_root_of_its_complete_subtree(group: int) -> None:
    leaves = [n.to_bytes(32, "big") for n in range(70_000)]
    frontier, tiles = Frontier(), []
    for start in range(0, len(leaves), group):
        frontier, completed = frontier.append(leaves[start : start + group])
        tiles += completed
    assert {(tile.level, tile.position) for tile in tiles} == {(8, n) for n in range(273)} | {(16, 0)}
    assert all(tile.hash == node_in(leaves)(tile.level, tile.position) for tile in tiles)
