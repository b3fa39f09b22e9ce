"""What URM asks of all nodes is kept in order, so that a node that reports costs no look at the others."""

from random import Random
from typing import Any

import pytest

from federation.clock import SECOND
from managers.urm.capacity import Node
from managers.urm.manager import Urm
from managers.urm.pressure import Refuges
from managers.urm.ranking import Ranking

from .kit import Cluster, report


class Compared(str):
    """A name that counts how often names are compared."""

    times = 0

    def __lt__(self, other: str) -> bool:
        Compared.times += 1
        return str.__lt__(self, other)

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_ranking_is_in_order_whatever_changes() -> None:
    random, ranking, known = Random(7), Ranking[str](), dict[str, int]()
    for _ in range(500):
        name = f"n{random.randrange(40)}"
        if random.random() < 0.3:
            ranking.drop(name)
            known.pop(name, None)
        else:
            known[name] = random.randrange(10)
            ranking.put(name, name, known[name])
        assert list(ranking) == sorted(known, key=lambda name: (known[name], name))
        assert len(ranking) == len(known)


def test_a_ranking_has_the_newest_of_a_name() -> None:
    ranking = Ranking[list[int]]()
    ranking.put("a", [1])
    ranking.put("a", newest := [1])
    assert next(iter(ranking)) is newest


def test_a_change_of_a_ranking_compares_few_names() -> None:
    names, ranking = [Compared(f"n{number:04}") for number in range(4096)], Ranking[int]()
    for number, name in enumerate(names):
        ranking.put(name, number)
    Compared.times = 0
    ranking.drop(names[1000])
    ranking.put(names[1000], 1000)
    assert 0 < Compared.times <= 2 * 2 * 13  # two searches by halves, each step of which asks twice


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes that somebody looks at, in order."""
    seen = list[str]()
    load, fresh = Node.load.fget, Node.fresh

    def loaded(node: Node) -> Any:
        seen.append(node.name)
        return load(node)  # type: ignore[misc]

    def is_fresh(node: Node, now: int) -> bool:
        seen.append(node.name)
        return fresh(node, now)

    monkeypatch.setattr(Node, "load", property(loaded))
    monkeypatch.setattr(Node, "fresh", is_fresh)
    return seen


def test_new_nodes_and_their_reports_cost_the_same_however_many_there_are(cluster: Cluster, looks: list[str]) -> None:
    counts = []
    for fleet in ("a", "b", "c", "d"):
        looks.clear()
        for _ in range(3):
            cluster.report(*(report(f"{fleet}{number:02}") for number in range(50)))
        counts.append(len(looks))
    assert (
        counts[1:] == [counts[1]] * 3
    )  # with the last fleet's newest reports, which the first one has not to catch up
    assert counts[1] < 50 * 10


def wanted(urm: Urm, now: int) -> tuple[list[str], list[str], list[str]]:
    """As one finds them who looks at every node."""
    usable = [node for node in urm.capacity.nodes.values() if node.fresh(now) and not node.closed]
    limits = {"memory": 80.0, "cpu": 75.0, "gpu": 90.0}
    calm = [n for n in usable if all((n.figures[figure] or 0.0) <= limit for figure, limit in limits.items())]
    by_load = sorted(usable, key=lambda node: (node.load, node.name))
    least = [node.name for node in by_load if node in calm][:2]
    return [node.name for node in by_load], sorted(node.name for node in calm)[:2], least


def found(refuges: Refuges) -> tuple[list[str], list[str], list[str]]:
    nodes = [node.name for node in refuges.nodes]
    return nodes, [one.name for one in refuges.first], [one.name for one in refuges.least_loaded]


def test_where_load_may_go_is_what_a_look_at_every_node_finds(cluster: Cluster) -> None:
    random, urm, now = Random(11), cluster.urm, cluster.clock.now()
    for _ in range(400):
        name = f"n{random.randrange(30):02}"
        now += random.randrange(4 * SECOND)
        if random.random() < 0.2:
            urm.capacity.close(name, random.random() < 0.5)
        else:
            figures = {"memory": random.uniform(0, 100), "cpu": random.uniform(0, 90), "gpu": None, "disk": 5.0}
            list(urm.observe(report(name, **figures), now))
        urm._pass(now)
        assert found(urm._refuges()) == wanted(urm, now)


def test_a_node_that_was_forgotten_and_comes_back_is_known_as_it_is_now(cluster: Cluster) -> None:
    cluster.report(report("a"), report("b"))
    cluster.clock.advance(3700)
    cluster.report(report("b"))
    cluster.urm.capacity.forget(cluster.clock.now())
    assert list(cluster.urm.capacity.nodes) == ["b"]
    cluster.report(report("a"))
    usable = list(cluster.urm.capacity.usable(cluster.clock.now()))
    assert [node is cluster.urm.capacity.nodes[node.name] for node in usable] == [True, True]
