import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import Refused
from managers.ufm.placement import Fleet, Node, Request
from managers.ufm.placement.fleet import FleetState

GIB = 1 << 30
NODE = Node("a", cpu_milli=8000, memory=64 * GIB, gpus=4, model="T4", labels=("zone=x", "disk=ssd"))
SHARE = Request(1000, GIB, gpus=1, gpu_milli=300)
WHOLE_PAIR = Request(1000, GIB, gpus=2)


def fleet_of(*nodes: Node) -> Fleet:
    fleet = Fleet()
    for node in nodes:
        fleet.put(node)
    return fleet


@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        (Request(8000, 64 * GIB), True),
        (Request(8001, 0), False),
        (Request(0, 64 * GIB + 1), False),
        (Request(0, 0, gpus=4), True),
        (Request(0, 0, gpus=5), False),
        (Request(0, 0, gpus=1, models=("A10", "T4")), True),
        (Request(0, 0, gpus=1, models=("A10",)), False),
        (Request(0, 0, labels=("disk=ssd",)), True),
        (Request(0, 0, labels=("disk=ssd", "zone=y")), False),
    ],
)
def test_a_request_fits_where_all_that_it_asks_for_is_there(request_: Request, fits: bool) -> None:
    assert fleet_of(NODE).fits_on(request_, "a") is fits


def test_a_share_needs_one_gpu_with_enough_left_and_whole_gpus_must_be_untouched() -> None:
    fleet = fleet_of(NODE)
    for gpu in range(4):
        fleet.reserve(f"job{gpu}", "a", SHARE, [gpu])
    assert fleet.free("a").gpu_milli == (700, 700, 700, 700)
    assert fleet.fits_on(Request(0, 0, gpus=1, gpu_milli=700), "a")
    assert not fleet.fits_on(Request(0, 0, gpus=1, gpu_milli=701), "a")
    assert not fleet.fits_on(Request(0, 0, gpus=1), "a")


def test_nothing_fits_on_a_node_that_is_not_schedulable_or_unknown() -> None:
    fleet = fleet_of(msgspec.structs.replace(NODE, schedulable=False))
    assert not fleet.fits_on(SHARE, "a")
    assert not fleet.fits_on(SHARE, "b")


def test_without_a_choice_a_share_goes_to_the_tightest_gpu_and_whole_ones_to_the_first() -> None:
    fleet = fleet_of(NODE)
    fleet.reserve("first", "a", SHARE, [2])
    assert fleet.reserve("second", "a", SHARE).gpus == (2,)
    assert fleet.reserve("pair", "a", WHOLE_PAIR).gpus == (0, 1)


def test_a_release_gives_back_exactly_what_was_reserved_and_a_second_one_nothing() -> None:
    fleet = fleet_of(NODE)
    before = fleet.free("a")
    fleet.reserve("job", "a", WHOLE_PAIR)
    assert fleet.free("a").gpu_milli == (0, 0, 1000, 1000)
    assert fleet.release("job") is not None
    assert fleet.release("job") is None
    assert fleet.free("a") == before


@pytest.mark.parametrize(
    ("owner", "node", "request_", "gpus", "code"),
    [
        ("held", "a", SHARE, None, "placement.held"),
        ("new", "nowhere", SHARE, None, "placement.unknown_node"),
        ("new", "a", Request(8000, 0), None, "placement.does_not_fit"),
        ("new", "a", SHARE, [4], "placement.does_not_fit"),
        ("new", "a", WHOLE_PAIR, [1, 1], "placement.does_not_fit"),
        ("new", "a", WHOLE_PAIR, [0, 1], "placement.does_not_fit"),
    ],
)
def test_a_reservation_that_does_not_hold_is_refused_and_changes_nothing(
    owner: str, node: str, request_: Request, gpus: list[int] | None, code: str
) -> None:
    fleet = fleet_of(NODE)
    fleet.reserve("held", "a", SHARE, [0])
    before = fleet.to_state(), fleet.free("a")
    with pytest.raises(Refused) as refused:
        fleet.reserve(owner, node, request_, gpus)
    assert refused.value.code == code
    assert refused.value.cure
    assert (fleet.to_state(), fleet.free("a")) == before


def test_a_node_that_leaves_takes_its_allocations_along_and_comes_back_empty() -> None:
    fleet = fleet_of(NODE)
    held = fleet.reserve("job", "a", WHOLE_PAIR)
    assert fleet.remove("a") == (held,)
    assert fleet.remove("a") == ()
    fleet.put(NODE)
    assert fleet.release("job") is None
    assert fleet.free("a").gpu_milli == (1000,) * 4


def test_new_totals_keep_what_is_reserved_even_where_they_are_too_small_for_it() -> None:
    fleet = fleet_of(NODE)
    fleet.reserve("job", "a", Request(6000, GIB, gpus=1), [3])
    fleet.put(msgspec.structs.replace(NODE, cpu_milli=4000, gpus=2))
    assert fleet.free("a").cpu_milli == -2000
    assert fleet.free("a").gpu_milli == (1000, 1000)
    fleet.put(NODE)
    assert fleet.free("a").gpu_milli == (1000, 1000, 1000, 0)
    fleet.release("job")
    assert fleet.free("a").gpu_milli == (1000,) * 4


def test_the_same_report_again_changes_nothing_so_caches_stay() -> None:
    fleet = fleet_of(NODE)
    clock = fleet.clock
    fleet.put(msgspec.structs.replace(NODE))
    assert fleet.clock == clock


def test_the_table_grows_in_nodes_and_gpus_without_losing_anything() -> None:
    fleet = fleet_of(NODE)
    fleet.reserve("job", "a", SHARE, [1])
    for i in range(100):
        fleet.put(Node(f"n{i}", 1000, GIB, gpus=i % 12))
    assert fleet.free("a").gpu_milli == (1000, 700, 1000, 1000)
    assert fleet.fits_on(Request(0, 0, gpus=11), "n11")
    assert len(fleet) == 101


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Node("", 1, 1),
        lambda: Node("a", -1, 1),
        lambda: Node("a", 1, 1, gpus=65),
        lambda: Node("a", 1, 1 << 60),
        lambda: Request(-1, 0),
        lambda: Request(0, 1 << 60),
        lambda: Request(0, 0, gpus=65),
        lambda: Request(0, 0, gpus=2, gpu_milli=500),
        lambda: Request(0, 0, gpus=0, gpu_milli=500),
        lambda: Request(0, 0, gpus=1, gpu_milli=0),
        lambda: Request(0, 0, gpus=1, gpu_milli=1001),
    ],
)
def test_numbers_that_make_no_sense_are_refused_where_they_enter(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"must|needs"):
        wrong()


REQUESTS = st.one_of(
    st.builds(Request, st.integers(0, 4000), st.integers(0, 4 * GIB), st.integers(0, 3)),
    st.builds(Request, st.integers(0, 4000), st.just(0), st.just(1), st.integers(1, 999)),
)


@given(st.lists(st.tuples(st.integers(0, 5), REQUESTS, st.booleans()), max_size=40))
def test_a_fleet_rebuilt_from_its_snapshot_is_the_same_fleet(steps: list[tuple[int, Request, bool]]) -> None:
    fleet = fleet_of(*(Node(f"n{i}", 8000, 16 * GIB, gpus=i) for i in range(6)))
    for number, (node, request, release) in enumerate(steps):
        if fleet.fits_on(request, f"n{node}"):
            fleet.reserve(str(number), f"n{node}", request)
        if release:
            fleet.release(str(number // 2))
    text = msgspec.json.encode(fleet.to_state())
    again = Fleet.from_state(msgspec.json.decode(text, type=FleetState))
    assert again.to_state() == fleet.to_state()
    for name in fleet.nodes:
        assert again.free(name) == fleet.free(name)
    np.testing.assert_array_equal(again.tenants.sum(), fleet.tenants.sum())
    for owner in list(fleet.allocations):
        fleet.release(owner)
    assert fleet.free("n5").gpu_milli == (1000,) * 5
