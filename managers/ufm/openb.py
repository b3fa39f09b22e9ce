"""The Alibaba GPU cluster trace of 2023 ("openb"): 1,213 GPU nodes and lists of pods in their order of arrival.

Source: the data of "Beware of Fragmentation" (Weng et al., USENIX ATC 2023), Apache-2.0, in
github.com/hkust-adsl/kubernetes-scheduler-simulator. Pods arrive one by one and stay; one that fits nowhere is counted
as failed and skipped. What is measured is the share of all GPU-milli in use, by how much has been asked for so far.
"""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from federation.errors import Refused
from managers.ufm.placement import Fleet, Node, Proposer, Request, Typical, typical_requests
from managers.ufm.placement.fleet import WHOLE

T = TypeVar("T")

MIB = 1 << 20
NODES = "openb_node_list_gpu_node.csv"
_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_LIST = re.compile(r"openb_pod_list_(\w+)\.csv\.gz")
_FETCH = "get the trace anew: docs/placement.md says where from"
_POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")  # and gpu_spec, where the workload has it


class Pod(msgspec.Struct, frozen=True):
    name: str
    request: Request


class Trace(msgspec.Struct, frozen=True):
    """pods: the rows of the pod list; order: indices into it, one an arrival (a row may arrive more than once)."""

    workload: str
    seed: int
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    order: tuple[int, ...]

    def arrivals(self) -> Iterator[Pod]:
        return (self.pods[row] for row in self.order)

    def typical(self) -> tuple[Typical, ...]:
        """The typical requests of the pod list (not of the arrivals, which inflate it)."""
        return typical_requests(Counter(pod.request for pod in self.pods))

    @property
    def gpu_milli(self) -> int:
        """Of the whole cluster."""
        return sum(node.gpus for node in self.nodes) * WHOLE


class AllocationCurve:
    """GPU-milli in use, in percent of the cluster, after every arrival.

    Point k is the mean over the arrivals after which the GPUs asked for so far round to k % of the cluster.
    """

    def __init__(self, gpu_milli: int) -> None:
        self._capacity = gpu_milli
        self._asked = 0
        self._used = 0
        self._points: dict[int, tuple[int, int]] = {}  # k -> sum of GPU-milli in use, arrivals

    def arrived(self, request: Request, placed: bool) -> None:
        self._asked += request.total_gpu_milli
        if placed:
            self._used += request.total_gpu_milli
        k = round(100 * self._asked / self._capacity)
        used, arrivals = self._points.get(k, (0, 0))
        self._points[k] = used + self._used, arrivals + 1

    def points(self) -> dict[int, float]:
        """k -> percent, for every k that an arrival came to."""
        return {k: 100 * used / arrivals / self._capacity for k, (used, arrivals) in self._points.items()}

    def allocation(self) -> float:
        """The last point: 130 for a whole trace. 0 before the first arrival."""
        return next(reversed(self.points().values()), 0.0)


class Simulated(msgspec.Struct, frozen=True):
    allocation: float
    arrived: int
    failed: int
    points: dict[int, float]


def simulate(trace: Trace, algorithm: str, arrivals: int | None = None) -> Simulated:
    """Places the first `arrivals` pods (by default all) in memory, without a ledger: what the scorers alone achieve."""
    fleet = Fleet()
    for node in trace.nodes:
        fleet.put(node)
    proposer = Proposer(fleet, trace.typical())
    curve = AllocationCurve(trace.gpu_milli)
    failed = 0
    for at, row in enumerate(trace.order[:arrivals]):
        owner, request = f"{trace.seed}/{at}", trace.pods[row].request
        proposals = proposer.propose(request, algorithm, decision=owner, subject=owner, limit=1)
        for proposal in proposals:
            fleet.reserve(owner, proposal.node, request, proposal.gpus)
        failed += not proposals
        curve.arrived(request, bool(proposals))
    return Simulated(curve.allocation(), len(trace.order[:arrivals]), failed, curve.points())


def load(directory: Path, workload: str, seed: int) -> Trace:
    """Reads a workload in the arrival order of a seed.

    Raises Refused, with the file, the line and a cure, for what is missing or malformed.
    """
    if not directory.is_dir():
        raise Refused("openb.missing", "there is no such folder", place=str(directory), cure=_FETCH)
    known = sorted(match[1] for path in directory.iterdir() if (match := _POD_LIST.fullmatch(path.name)))
    if known and workload not in known:
        cure = f"one of {', '.join(known)}"
        raise Refused("openb.workload", f"there is no workload `{workload}`", place=str(directory), cure=cure)
    nodes = _rows(directory / NODES, _NODE_COLUMNS, _node)
    if not any(node.gpus for node in nodes):
        raise Refused("openb.row", "no node has a GPU", place=str(directory / NODES), cure=_FETCH)
    pods = _rows(directory / f"openb_pod_list_{workload}.csv.gz", _POD_COLUMNS, _pod)
    order = _order(directory / f"arrival_order_{workload}.json.gz", seed, len(pods))
    return Trace(workload, seed, nodes, pods, order)


def _node(row: Mapping[str, str]) -> Node:
    return Node(
        name=row["sn"],
        cpu_milli=_number(row, "cpu_milli"),
        memory=_number(row, "memory_mib") * MIB,
        gpus=_number(row, "gpu"),
        model=row["model"],
    )


def _pod(row: Mapping[str, str]) -> Pod:
    gpus = _number(row, "num_gpu")
    request = Request(
        cpu_milli=_number(row, "cpu_milli"),
        memory=_number(row, "memory_mib") * MIB,
        gpus=gpus,
        gpu_milli=_number(row, "gpu_milli") if gpus else WHOLE,
        models=tuple(sorted(filter(None, row.get("gpu_spec", "").split("|")))),
    )
    return Pod(row["name"], request)


def _number(row: Mapping[str, str], column: str) -> int:
    if not row[column].isdecimal():
        raise ValueError(f"`{column}` must be a whole number, not `{row[column]}`")
    return int(row[column])


def _rows(path: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str]], T]) -> tuple[T, ...]:
    with _opened(path) as file:
        reader = csv.DictReader(file, restval="")
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise Refused("openb.columns", f"no column {', '.join(missing)}", place=f"{path}:1", cure=_FETCH)
        parsed = []
        for row in reader:
            try:
                if None in row:
                    raise ValueError("more fields than columns")
                parsed.append(parse(row))
            except ValueError as error:
                raise Refused("openb.row", str(error), place=f"{path}:{reader.line_num}", cure=_FETCH) from error
    if not parsed:
        raise Refused("openb.row", "the file has no rows", place=str(path), cure=_FETCH)
    return tuple(parsed)


def _order(path: Path, seed: int, pods: int) -> tuple[int, ...]:
    with _opened(path) as file:
        try:
            orders = msgspec.json.decode(file.read(), type=dict[str, list[int]])
        except msgspec.DecodeError as error:
            raise Refused(
                "openb.order", f"not a map of seeds to rows: {error}", place=str(path), cure=_FETCH
            ) from error
    if str(seed) not in orders:
        raise Refused("openb.seed", f"no order for seed {seed}", place=str(path), cure=f"one of {', '.join(orders)}")
    order = tuple(orders[str(seed)])
    wrong = next((row for row in order if not 0 <= row < pods), None)
    if wrong is not None:
        raise Refused("openb.order", f"seed {seed} names row {wrong} of {pods} pods", place=str(path), cure=_FETCH)
    return order


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            yield file
    except FileNotFoundError as error:
        raise Refused("openb.missing", "the file is missing", place=str(path), cure=_FETCH) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise Refused("openb.unreadable", f"it cannot be read: {error}", place=str(path), cure=_FETCH) from error
