"""What the heartbeats of many nodes cost: CPU of all processes of ELIAS, Ray included, by the number of nodes.

Starts ELIAS as `elias up` does, with the shipped settings, in a folder of its own, and beside its one real node some
thousands that are simulated (`benchmarks.simulated`): each sends what a node agent sends, a report with eight GPUs
every 5 s, by a call of its own to the agent of the head. Everything behind that is what runs in earnest: the reports
reach the gate and four managers, every node is looked at for its health and its pressure. The process of the simulated
nodes is not counted; in earnest the nodes pay for what they send.

Two cores do not carry the calls of 10,000 nodes and their senders, so there is a second series, in which twenty nodes
share a call: what is behind the calls, at 10,000 nodes too.

Not simulated, and no part of the figures: what Ray itself does for each node (its control store asks each one for a
sign of life), and the pings of the root supervisor to the agents.

Writes a plot (heartbeats.svg, heartbeats.png) and the figures (heartbeats.json) into a folder. Ends with status 1 when
a node was not known, out of sight or not up at the end.

    python -m benchmarks.heartbeats [--nodes 100 300 1000 2000] [--together 100 300 1000 2000 5000 10000]
                                    [--seconds 40] [--out FOLDER] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.idle import cpu_percent, parts, spent
from benchmarks.machine import machine
from benchmarks.running import Running

NODES = (100, 300, 1000, 2000)
TOGETHER = (*NODES, 5000, 10_000)
CALL = 20  # nodes that share one
TARGET_NODES, TARGET = 2000, 100.0  # percent of one core
FLAT = 1.25  # a heartbeat at the most nodes over the median one; few nodes share no bundle, so theirs cost more
SLICES = 5  # of each measurement
SETTLE = 3  # intervals after which new nodes have been decided about


class Stage(NamedTuple):
    """together: nodes that share a call. rate: heartbeats a second. cpu: percent of a core in all, by slice; by: of
    each process. sender: that of the simulated nodes."""

    nodes: int
    together: int
    rate: float
    cpu: list[float]
    by: dict[str, float]
    sender: float
    unwell: list[str]


class Fleet:
    """The simulated nodes beside a running ELIAS."""

    def __init__(self, elias: Running) -> None:
        import ray

        from benchmarks.simulated import SimulatedNodes
        from federation.runtime.cluster import Cluster
        from federation.runtime.service import NAMESPACE, actor_name
        from federation.settings import load
        from managers.uim.launch import LISTENERS

        cluster = Cluster.attach(elias.state)
        assert cluster is not None
        cluster.connect()
        settings = load(elias.folder / "elias.yaml")
        options = {"name": actor_name("simulated"), "namespace": NAMESPACE, "num_cpus": 0, "max_concurrency": 1000}
        self._ray = ray
        self._actor = ray.remote(SimulatedNodes).options(**options).remote(settings, LISTENERS)
        self._ask("start")
        self.pid = int(self._ask("ping")["pid"])
        self.interval = settings.telemetry.interval

    def grow(self, count: int, together: int) -> None:
        self._ask("grow", count, together)

    def sent(self) -> int:
        return int(self._ask("reports"))

    def close(self) -> None:
        self._ray.shutdown()

    def _ask(self, method: str, *args: object) -> Any:
        return self._ray.get(getattr(self._actor, method).remote(*args), timeout=60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="*", default=list(NODES), help="stages, one after the other")
    parser.add_argument("--together", type=int, nargs="*", default=list(TOGETHER), help=f"{CALL} nodes a call")
    parser.add_argument("--seconds", type=float, default=40.0, help="of a measurement")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder of the plot")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    series = []
    for counts, together in ((options.nodes, 1), (options.together, CALL)):
        if counts:
            series.append(run(sorted(counts), together, options.seconds))
    result = {
        "machine": machine(),
        "load": round(load, 1),
        "series": [
            {"idle": round(one.idle, 1), "stages": [s._asdict() | {"cost_us": round(one.cost(s))} for s in one.stages]}
            for one in series
        ],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "heartbeats.json").write_text(json.dumps(result))
    plot(series, options.out)
    print(json.dumps(result) if options.json else text(result, series))
    return 1 if any(stage.unwell for one in series for stage in one.stages) else 0


class Series(NamedTuple):
    """idle: percent of a core with no simulated node."""

    idle: float
    stages: list[Stage]

    def cost(self, stage: Stage) -> float:
        """CPU of a heartbeat, in microseconds."""
        return (statistics.median(stage.cpu) - self.idle) * 1e4 / stage.rate


def run(counts: list[int], together: int, seconds: float) -> Series:
    """One ELIAS to which more and more nodes come."""
    with tempfile.TemporaryDirectory(prefix="elias-heartbeats-") as folder, Running(Path(folder)) as elias:
        names = parts(elias)
        fleet = Fleet(elias)
        stages = []
        try:
            for count in (0, *counts):
                fleet.grow(count, together)
                time.sleep(SETTLE * fleet.interval)
                stages.append(measure(elias, fleet, count, together, seconds, names))
                middle = statistics.median(stages[-1].cpu)
                print(f"{count:,} nodes, {together} a call: {middle:.1f} % of a core", file=sys.stderr, flush=True)
        finally:
            fleet.close()
    return Series(statistics.median(stages[0].cpu), stages[1:])


def measure(elias: Running, fleet: Fleet, nodes: int, together: int, seconds: float, names: dict[int, str]) -> Stage:
    import psutil

    sender = psutil.Process(fleet.pid)
    first, sent, begun = spent(sender), fleet.sent(), time.monotonic()
    slices = [cpu_percent(elias, seconds / SLICES) for _ in range(SLICES)]
    took = time.monotonic() - begun
    theirs, rate = 100 * (spent(sender) - first) / took, (fleet.sent() - sent) / took
    for one in slices:
        one.pop(fleet.pid, None)
    by = dict[str, float]()
    for one in slices:
        for pid, percent in one.items():
            name = names.get(pid, "Ray and the rest")
            by[name] = by.get(name, 0.0) + percent / SLICES
    cpu = [round(sum(one.values()), 1) for one in slices]
    rounded = {name: round(percent, 1) for name, percent in sorted(by.items(), key=lambda item: -item[1])}
    return Stage(nodes, together, round(rate, 1), cpu, rounded, round(theirs, 1), unwell(elias, nodes, fleet.interval))


def unwell(elias: Running, nodes: int, interval: float) -> list[str]:
    """What is wrong with the nodes as ELIAS knows them, at most ten lines."""
    known = {one["name"]: one for one in elias.get("/v1/nodes")[1]["nodes"] if one["name"].startswith("node-")}
    missing = [f"{nodes - len(known)} nodes are not known"] if len(known) != nodes else []
    silent = [
        f"{name} is {one['status']}, {one['silence']} s silent"
        for name, one in known.items()
        if one["status"] != "up" or one["silence"] is None or one["silence"] > 2 * interval
    ]
    return [*missing, *silent][:10]


def plot(series: list[Series], folder: Path) -> None:
    """CPU in all, and of one heartbeat, over the nodes, as heartbeats.svg and heartbeats.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 7), sharex=True)
    ticks = sorted({stage.nodes for one in series for stage in one.stages})
    for one, style in zip(series, ("o-", "s--"), strict=False):
        at = [stage.nodes for stage in one.stages]
        middle = [statistics.median(stage.cpu) for stage in one.stages]
        low = [m - min(s.cpu) for m, s in zip(middle, one.stages, strict=True)]
        high = [max(s.cpu) - m for m, s in zip(middle, one.stages, strict=True)]
        together = one.stages[0].together
        label = "each node makes its call" if together == 1 else f"{together} nodes share a call"
        above.errorbar(at, middle, [low, high], fmt=style, linewidth=1.2, capsize=3, label=label)
        below.plot(at, [one.cost(stage) for stage in one.stages], style, linewidth=1.2, label=label)
    above.axhline(series[0].idle, linestyle=":", color="grey", label="with no node but its own")
    above.axhline(TARGET, linestyle="--", color="firebrick", linewidth=1, label="one core")
    above.set_ylim(bottom=0)
    above.set_ylabel("CPU of ELIAS and its Ray, percent of a core")
    above.legend(fontsize=8)
    above.set_title("simulated nodes, a heartbeat in 5 s each", fontsize=11)
    below.set_ylim(bottom=0)
    below.set_ylabel("CPU of a heartbeat, µs")
    below.set_xscale("log")
    below.set_xticks(ticks, [f"{count:,}" for count in ticks])
    below.set_xlabel("nodes")
    below.legend(fontsize=8)
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"heartbeats.{suffix}", dpi=120)
    plt.close(figure)


def text(result: dict[str, Any], series: list[Series]) -> str:
    lines = [
        f"{result['machine']}; load {result['load']} before it began",
        f"{'nodes':>7} {'a call':>6} {'heartbeats/s':>12} {'CPU':>10}  {'spread':>16} {'µs each':>9} {'senders':>11}",
    ]
    for one in series:
        lines.append(f"{0:7} {'':6} {'':12} {one.idle:8.1f} %")
        for stage in one.stages:
            middle, low, high = statistics.median(stage.cpu), min(stage.cpu), max(stage.cpu)
            lines.append(
                f"{stage.nodes:7,} {stage.together:6} {stage.rate:12.1f} {middle:8.1f} %  {low:6.1f} to {high:6.1f} "
                f"{one.cost(stage):9.0f} {stage.sender:9.1f} %"
            )
        last, costs = one.stages[-1], [one.cost(stage) for stage in one.stages]
        shares = ", ".join(f"{name} {percent}" for name, percent in last.by.items() if percent >= 0.5)
        grown = costs[-1] / statistics.median(costs)
        lines.append(f"at {last.nodes:,} nodes, percent of a core: {shares}")
        verdict = "it does not grow" if grown <= FLAT else "IT GROWS"
        lines.append(f"at {last.nodes:,} nodes a heartbeat costs {grown:.2f} of the median one: {verdict}")
    for stage in series[0].stages:
        if stage.nodes == TARGET_NODES and stage.together == 1:
            middle = statistics.median(stage.cpu)
            verdict = "met" if middle < TARGET else "MISSED"
            lines.append(f"{TARGET_NODES:,} nodes: {middle:.1f} % (target under {TARGET:g}): {verdict}")
    problems = [problem for one in series for stage in one.stages for problem in stage.unwell]
    return "\n".join([*lines, *(problems or ["every node is known, up and heard"])])


if __name__ == "__main__":
    sys.exit(main())
