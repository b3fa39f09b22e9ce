import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from federation.errors import Refused
from managers.ufm import openb
from managers.ufm.placement import Node, Request

DATA = Path(os.environ.get("ELIAS_DATA", "data")) / "openb"
MIB = 1 << 20


@pytest.fixture(scope="session")
def published() -> dict[tuple[str, str], list[float]]:
    """(algorithm as published, seed) -> percent at each point, for the workload `default`."""
    path = DATA / "published_allocation.csv"
    if not path.exists():
        pytest.fail(
            f"{path} is missing: set ELIAS_DATA to the folder with openb/ in it; docs/placement.md says where from"
        )
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["workload"] == "openb_pod_list_default"]
    return {(row["sc_policy"][3:], row["seed"]): [float(row[str(k)]) for k in range(131)] for row in rows}


def test_the_trace_is_the_published_cluster(published: object) -> None:
    trace = openb.load(DATA, "default", 42)
    assert (len(trace.nodes), trace.gpu_milli) == (1213, 6_212_000)
    assert (len(trace.pods), len(trace.order)) == (8152, 10866)
    assert len(trace.typical()) == 35


@pytest.mark.parametrize("algorithm", ["fgd", "best_fit", "random"])
def test_while_everything_fits_the_curve_is_the_published_one_point_for_point(
    algorithm: str, published: dict[tuple[str, str], list[float]]
) -> None:
    done = openb.simulate(openb.load(DATA, "default", 43), algorithm, arrivals=3000)
    assert done.failed == 0
    curve = published["FGD", "43"]
    complete = sorted(done.points)[:-1]
    assert len(complete) > 30
    assert [round(done.points[k], 2) for k in complete] == pytest.approx([curve[k] for k in complete], abs=0.011)


@pytest.mark.parametrize(("algorithm", "name"), [("fgd", "FGD"), ("best_fit", "BestFit")])
def test_the_final_allocation_is_the_published_one_within_0_3_points(
    algorithm: str, name: str, published: dict[tuple[str, str], list[float]]
) -> None:
    done = openb.simulate(openb.load(DATA, "default", 42), algorithm)
    assert done.allocation == pytest.approx(published[name, "42"][130], abs=0.3)


def test_a_point_is_the_mean_over_the_arrivals_that_round_to_it() -> None:
    curve = openb.AllocationCurve(gpu_milli=100_000)
    half = Request(0, 0, gpus=1, gpu_milli=300)
    curve.arrived(half, placed=True)  # 0.3 % asked: point 0
    curve.arrived(half, placed=True)  # 0.6 %: point 1
    curve.arrived(half, placed=False)  # 0.9 %: point 1, still 0.6 % in use
    curve.arrived(Request(0, 0), placed=True)  # asks for no GPU: point 1 once more
    assert curve.points() == pytest.approx({0: 0.3, 1: 0.6})
    assert curve.allocation() == pytest.approx(0.6)


NODE_ROWS = "sn,cpu_milli,memory_mib,gpu,model\nn1,8000,1024,2,T4\n"
POD_ROWS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np0,1000,10,1,460,T4|A10\np1,2000,20,0,0,\n"


def write(folder: Path, nodes: str = NODE_ROWS, pods: str = POD_ROWS, order: object = None) -> Path:
    (folder / "openb_node_list_gpu_node.csv").write_text(nodes)
    (folder / "openb_pod_list_tiny.csv.gz").write_bytes(gzip.compress(pods.encode()))
    orders = json.dumps({"42": [1, 0, 0]} if order is None else order)
    (folder / "arrival_order_tiny.json.gz").write_bytes(gzip.compress(orders.encode()))
    return folder


def test_rows_become_nodes_and_requests_in_the_order_of_arrival(tmp_path: Path) -> None:
    trace = openb.load(write(tmp_path), "tiny", 42)
    assert trace.nodes == (Node("n1", 8000, 1024 * MIB, 2, "T4"),)
    shared = openb.Pod("p0", Request(1000, 10 * MIB, 1, 460, models=("A10", "T4")))
    assert list(trace.arrivals()) == [openb.Pod("p1", Request(2000, 20 * MIB)), shared, shared]


def test_a_pod_that_fits_nowhere_is_counted_as_failed_and_skipped(tmp_path: Path) -> None:
    trace = openb.load(write(tmp_path, nodes=NODE_ROWS.replace("n1,8000", "n1,1500")), "tiny", 42)
    done = openb.simulate(trace, "best_fit")
    assert (done.arrived, done.failed) == (3, 2)


def drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


PODS, NODES, ORDER = "openb_pod_list_tiny.csv.gz", "openb_node_list_gpu_node.csv", "arrival_order_tiny.json.gz"


@pytest.mark.parametrize(
    ("damage", "code", "place", "words"),
    [
        (drop(NODES), "openb.missing", NODES, "missing"),
        (drop(ORDER), "openb.missing", ORDER, "missing"),
        (put(NODES, b"sn,cpu_milli,gpu,model\n"), "openb.columns", f"{NODES}:1", "memory_mib"),
        (put(NODES, b""), "openb.columns", f"{NODES}:1", "sn, cpu_milli"),
        (put(NODES, NODE_ROWS.encode() + b"n2,8000,x,2,T4\n"), "openb.row", f"{NODES}:3", "`memory_mib`"),
        (put(NODES, NODE_ROWS.encode() + b"n2,8000\n"), "openb.row", f"{NODES}:3", "`memory_mib`"),
        (put(NODES, NODE_ROWS.encode() + b"n2,8000,1,2,T4,more\n"), "openb.row", f"{NODES}:3", "more fields"),
        (put(NODES, b"sn,cpu_milli,memory_mib,gpu,model\nn,1,1,65,T4\n"), "openb.row", f"{NODES}:2", "0 to 64"),
        (put(NODES, b"sn,cpu_milli,memory_mib,gpu,model\n"), "openb.row", NODES, "no rows"),
        (put(NODES, b"sn,cpu_milli,memory_mib,gpu,model\nn,1,1,0,\n"), "openb.row", NODES, "no node has a GPU"),
        (put(NODES, b"\xff\xfe"), "openb.unreadable", NODES, "cannot be read"),
        (put(PODS, b"not gzip"), "openb.unreadable", PODS, "cannot be read"),
        (put(PODS, gzip.compress(POD_ROWS.encode())[:-9]), "openb.unreadable", PODS, "cannot be read"),
        (put(PODS, gzip.compress(POD_ROWS.encode() + b"p2,1,1,2,500,\n")), "openb.row", f"{PODS}:4", "share"),
        (put(ORDER, gzip.compress(b"[]")), "openb.order", ORDER, "seeds"),
        (put(ORDER, gzip.compress(b'{"42": [0, 2]}')), "openb.order", ORDER, "row 2 of 2"),
    ],
)
def test_bad_data_is_refused_with_its_place_and_a_cure(
    damage: Callable[[Path], object], code: str, place: str, words: str, tmp_path: Path
) -> None:
    damage(write(tmp_path))
    with pytest.raises(Refused) as refused:
        openb.load(tmp_path, "tiny", 42)
    assert refused.value.code == code
    assert refused.value.place == str(tmp_path / place)
    assert words in refused.value.message
    assert refused.value.cure


def test_an_unknown_workload_or_seed_names_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(Refused, match=r"`huge`.*one of tiny"):
        openb.load(tmp_path, "huge", 42)
    with pytest.raises(Refused, match=r"seed 7.*one of 42"):
        openb.load(tmp_path, "tiny", 7)
    with pytest.raises(Refused, match="no such folder"):
        openb.load(tmp_path / "nowhere", "tiny", 42)


def test_a_trace_can_be_stored_and_read_again(tmp_path: Path) -> None:
    trace = openb.load(write(tmp_path), "tiny", 42)
    assert msgspec.json.decode(msgspec.json.encode(trace), type=openb.Trace) == trace
