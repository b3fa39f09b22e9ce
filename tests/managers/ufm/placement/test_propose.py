from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from managers.ufm.placement import ALGORITHMS, Fleet, Node, Proposer, Request, Typical
from managers.ufm.placement.propose import CACHED

GIB = 1 << 30
JOB = Request(1000, GIB, gpus=1, gpu_milli=500)
TYPICAL = (Typical(Request(2000, 0, gpus=1), 3), Typical(Request(1000, 0, gpus=1, gpu_milli=500), 2))


def fleet_of(count: int, gpus: int = 2) -> Fleet:
    fleet = Fleet()
    for i in range(count):
        fleet.put(Node(f"node-{i:03}", 8000, 32 * GIB, gpus, "T4"))
    return fleet


def nodes(fleet: Fleet, algorithm: str, request: Request = JOB, decision: str = "", subject: str = "") -> list[str]:
    return [p.node for p in Proposer(fleet, TYPICAL).propose(request, algorithm, decision=decision, subject=subject)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_proposal_names_at_most_16_different_nodes_that_the_request_fits_with_gpus_that_can_be_taken(
    algorithm: str,
) -> None:
    fleet = fleet_of(40)
    for i in range(30):
        fleet.reserve(f"job{i}", f"node-{i:03}", Request(0, 0, gpus=2) if i < 20 else JOB)
    proposals = Proposer(fleet, TYPICAL).propose(JOB, algorithm, decision="d", subject="s")
    assert len({p.node for p in proposals}) == 16
    for p in proposals:
        assert p.node >= "node-020"
        fleet.reserve(f"new on {p.node}", p.node, JOB, p.gpus)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_request_that_fits_nowhere_has_no_proposal(algorithm: str) -> None:
    assert nodes(fleet_of(3), algorithm, Request(9000, 0)) == []
    assert nodes(Fleet(), algorithm) == []


@pytest.mark.parametrize(
    "algorithm", sorted(set(ALGORITHMS) - {"random", "power_of_two_choices", "consistent_hashing"})
)
def test_equal_nodes_come_in_order_of_name_whatever_the_order_they_joined_in(algorithm: str) -> None:
    fleet = Fleet()
    for name in ("c", "a", "d", "b"):
        fleet.put(Node(name, 8000, 32 * GIB, 2, "T4"))
    assert nodes(fleet, algorithm) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fleet_rebuilt_from_its_snapshot_gets_the_same_proposals(algorithm: str) -> None:
    fleet = fleet_of(30)
    fleet.remove("node-003")
    fleet.put(Node("late", 4000, 32 * GIB, 2, "T4"))
    fleet.reserve("job", "node-007", JOB)
    again = Fleet.from_state(fleet.to_state())
    proposals = Proposer(fleet, TYPICAL).propose(JOB, algorithm, decision="d", subject="s")
    assert Proposer(again, TYPICAL).propose(JOB, algorithm, decision="d", subject="s") == proposals


def loaded(fleet: Fleet, name: str, request: Request) -> None:
    fleet.reserve(f"load on {name}", name, request)


@pytest.mark.parametrize(
    ("algorithm", "request_", "first"),
    [
        ("best_fit", Request(1000, 0), "node-001"),
        ("dot_product", JOB, "node-001"),
        ("gpu_packing", JOB, "node-002"),  # its shared GPU has room
        ("gpu_packing", Request(0, 0, gpus=2), "node-000"),  # only idle nodes have two whole GPUs
        ("gpu_clustering", JOB, "node-002"),  # the node of shares alone
        ("gpu_clustering", Request(0, 0, gpus=1), "node-001"),  # the node of whole GPUs alone
        ("least_loaded", JOB, "node-000"),
    ],
)
def test_each_algorithm_prefers_what_it_says(algorithm: str, request_: Request, first: str) -> None:
    fleet = fleet_of(4)
    loaded(fleet, "node-001", Request(6000, 0, gpus=1))
    loaded(fleet, "node-002", Request(0, 0, gpus=1, gpu_milli=400))
    assert nodes(fleet, algorithm, request_)[0] == first


def test_gpu_packing_shares_a_gpu_before_it_opens_another_and_uses_a_node_before_it_opens_another() -> None:
    fleet = fleet_of(3)
    loaded(fleet, "node-001", Request(0, 0, gpus=1))
    loaded(fleet, "node-002", Request(0, 0, gpus=1, gpu_milli=100))
    assert nodes(fleet, "gpu_packing") == ["node-002", "node-001", "node-000"]


def test_least_loaded_takes_the_emptiest_gpu_and_packing_the_tightest() -> None:
    fleet = fleet_of(1)
    loaded(fleet, "node-000", Request(0, 0, gpus=1, gpu_milli=400))
    proposer = Proposer(fleet)
    assert proposer.propose(JOB, "least_loaded")[0].gpus == (1,)
    assert proposer.propose(JOB, "best_fit")[0].gpus == (0,)


@pytest.mark.parametrize("algorithm", ["random", "power_of_two_choices"])
def test_a_draw_depends_on_the_decision_alone_and_spreads_over_all_nodes(algorithm: str) -> None:
    fleet = fleet_of(10)
    proposer = Proposer(fleet)
    drawn = Counter(proposer.propose(JOB, algorithm, decision=str(i))[0].node for i in range(2000))
    assert set(drawn) == set(fleet.nodes)
    assert nodes(fleet, algorithm, decision="d") == nodes(fleet, algorithm, decision="d", subject="another")
    if algorithm == "random":
        assert max(drawn.values()) < 300  # 200 expected


def test_power_of_two_choices_puts_the_less_loaded_of_each_two_first() -> None:
    fleet = fleet_of(8)
    for i in range(8):
        loaded(fleet, f"node-{i:03}", Request(800 * i, 0))
    proposer = Proposer(fleet)
    firsts: Counter[str] = Counter()
    for i in range(500):
        scores = [p.score for p in proposer.propose(JOB, "power_of_two_choices", decision=str(i))]
        assert all(a >= b for a, b in zip(scores[::2], scores[1::2], strict=True))
        firsts[proposer.propose(JOB, "power_of_two_choices", decision=str(i), limit=1)[0].node] += 1
    assert firsts["node-007"] == 0  # the most loaded of all never wins a pair
    assert firsts["node-000"] > firsts["node-006"]


def test_consistent_hashing_moves_about_one_subject_in_n_when_a_node_joins_and_only_to_it() -> None:
    fleet = fleet_of(20)
    proposer = Proposer(fleet)
    subjects = [f"user-{i}" for i in range(2000)]
    before = {s: proposer.propose(JOB, "consistent_hashing", subject=s, limit=1)[0].node for s in subjects}
    fleet.put(Node("new", 8000, 32 * GIB, 2, "T4"))
    after = {s: proposer.propose(JOB, "consistent_hashing", subject=s, limit=1)[0].node for s in subjects}
    moved = [s for s in subjects if before[s] != after[s]]
    assert {after[s] for s in moved} == {"new"}
    assert 0.5 < len(moved) / (len(subjects) / 21) < 1.5
    fleet.remove("new")
    assert all(proposer.propose(JOB, "consistent_hashing", subject=s, limit=1)[0].node == before[s] for s in subjects)


def test_consistent_hashing_keeps_a_subject_on_its_node_while_others_fill_up() -> None:
    fleet = fleet_of(10)
    first, second, *_ = nodes(fleet, "consistent_hashing", subject="user")
    loaded(fleet, second, Request(4000, 0))
    assert nodes(fleet, "consistent_hashing", subject="user")[0] == first
    fleet.put(msgspec.structs.replace(fleet.nodes[first], schedulable=False))
    assert nodes(fleet, "consistent_hashing", subject="user")[0] == second


def test_fgd_follows_what_it_learns() -> None:
    fleet = fleet_of(2, gpus=1)
    loaded(fleet, "node-000", Request(0, 0, gpus=1, gpu_milli=400))
    proposer = Proposer(fleet, [Typical(Request(0, 0, gpus=1), 1)])
    share = Request(0, 0, gpus=1, gpu_milli=300)
    assert proposer.propose(share, "fgd")[0].node == "node-000"
    proposer.learn([Typical(Request(0, 0, gpus=1, gpu_milli=600), 1)])
    assert proposer.propose(share, "fgd")[0].node == "node-001"


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "release", "cordon", "remove", "put", "resize"]),
        st.integers(0, 7),
        st.sampled_from([Request(1000, GIB), JOB, Request(2000, GIB, 1), Request(0, 0, 2), Request(500, 0, 1, 100)]),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(CHANGES)
def test_what_is_remembered_between_requests_never_changes_an_answer(changes: list[tuple[str, int, Request]]) -> None:
    fleet = fleet_of(6)
    proposer = Proposer(fleet, TYPICAL)
    for number, (change, n, request) in enumerate(changes):
        name = f"node-{n:03}"
        match change:
            case "reserve":
                if fleet.fits_on(request, name):
                    fleet.reserve(str(number), name, request)
            case "release":
                fleet.release(str(n))
            case "remove":
                fleet.remove(name)
            case "put":
                fleet.put(Node(name, 8000, 32 * GIB, 2, "A10"))
            case "cordon" if name in fleet.nodes:
                fleet.put(msgspec.structs.replace(fleet.nodes[name], schedulable=False))
            case "resize" if name in fleet.nodes:
                fleet.put(msgspec.structs.replace(fleet.nodes[name], cpu_milli=16_000, gpus=3))
        for algorithm in ALGORITHMS:
            fresh = Proposer(fleet, TYPICAL).propose(request, algorithm, decision="d", subject="s")
            assert proposer.propose(request, algorithm, decision="d", subject="s") == fresh


def test_the_memory_of_past_requests_is_bounded() -> None:
    proposer = Proposer(fleet_of(2))
    first = proposer.propose(Request(0, 0), "best_fit")
    for cpu in range(1, 2 * CACHED):
        proposer.propose(Request(cpu, 0), "best_fit")
    assert len(proposer._cache) == CACHED
    assert proposer.propose(Request(0, 0), "best_fit") == first
