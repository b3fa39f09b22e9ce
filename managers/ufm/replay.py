"""Replays a recorded cluster through UFM: every arrival takes the path of a live job, gate and ledger included.

Only the clock and the executors are not real: time is virtual, and nothing is started.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiki
from federation.clock import VirtualClock
from federation.errors import Bug, Refused
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.points import schemas
from federation.records import Event
from federation.replies import Rejected
from federation.settings import Settings, shipped_specs
from managers.ufm import openb
from managers.ufm.manager import Ufm
from managers.ufm.placement import ALGORITHMS, Node, Request
from managers.ufm.placement.fleet import WHOLE
from managers.ufm.points import PLACEMENT

BATCH = 256  # arrivals that share a commit
GAP = 1.0  # seconds of virtual time between two batches


def replay(
    data: Path,
    workload: str,
    seed: int,
    algorithm: str,
    *,
    ledger: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """The final allocation (percent of all GPU-milli, column 130 of the published table), decisions, failures and
    speed.

    ledger: a database URL that is kept; by default a SQLite file that is thrown away. progress: called with arrivals
    done and in all. Raises Refused for an unknown algorithm, workload or seed, and for a trace that cannot be read.
    """
    if algorithm not in ALGORITHMS:
        raise Refused("no-algorithm", f"`{algorithm}` is not an algorithm", cure=f"one of: {', '.join(ALGORITHMS)}")
    trace = openb.load(data, workload, seed)
    with tempfile.TemporaryDirectory(prefix="elias-replay-") as folder:
        store = Store.open(ledger or f"sqlite:///{folder}/ledger.db")
        try:
            return _replay(trace, algorithm, store, progress)
        finally:
            store.close()


def _replay(trace: openb.Trace, algorithm: str, store: Store, progress: Callable[[int, int], None]) -> dict[str, Any]:
    settings, clock = Settings(), VirtualClock()
    ufm = Ufm(settings, trace.typical())
    federation = LocalFederation([ufm], _bundle(algorithm), store, clock, settings)
    federation.report("ufm", [_report(node) for node in trace.nodes])
    curve = openb.AllocationCurve(trace.gpu_milli)
    failed = 0
    begun = time.perf_counter()
    events = [_event(trace.seed, at, trace.pods[row].request) for at, row in enumerate(trace.order)]
    for first in range(0, len(events), BATCH):
        batch = events[first : first + BATCH]
        for at, replies in enumerate(federation.post(batch), start=first):
            if isinstance(replies, Rejected):
                raise Bug(f"arrival {at} was refused: {replies.message}")
            placed = replies[0].action == "place"
            failed += not placed
            curve.arrived(trace.pods[trace.order[at]].request, placed)
        clock.advance(GAP)
        progress(first + len(batch), len(events))
    seconds = time.perf_counter() - begun
    return {
        "allocation": round(curve.allocation(), 2),
        "decisions": len(events),
        "failed": failed,
        "decisions_per_s": round(len(events) / seconds),
        "workload": trace.workload,
        "seed": trace.seed,
        "algorithm": algorithm,
        "records": federation.appender.head.size,
        "root": federation.appender.head.root.hex(),
    }


def _bundle(algorithm: str) -> tiki.Bundle:
    """The shipped specs of UFM, with this algorithm laid over them."""
    points = schemas(points_of([Ufm]))
    sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
    overlay = tiki.Source("replay.tiki", f"## UFM Placement Spec\n- algorithm: {algorithm}\n")
    return tiki.build(sources, points, [overlay])


def _report(node: Node) -> dict[str, Any]:
    gpus = [{"name": node.model}] * node.gpus
    return {"node": node.name, "cpus": node.cpu_milli // 1000, "memory_total": node.memory, "gpus": gpus}


def _event(seed: int, at: int, request: Request) -> Event:
    data: dict[str, Any] = {"cpus": request.cpu_milli / 1000, "memory": request.memory}
    if request.gpus:
        data |= {"gpu_share": request.gpu_milli / WHOLE} if request.shares else {"gpus": request.gpus}
    if request.models:
        data["models"] = list(request.models)
    return Event(f"{seed}/{at}", "openb", PLACEMENT.events[0], f"{seed}/{at}", None, data)
