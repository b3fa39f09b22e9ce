"""What the heartbeats of many nodes cost: CPU of all processes of ELIAS, Ray included, by the number of nodes.

Starts ELIAS as `elias up` does, with the shipped settings, in a folder of its own, and beside its one real node some
thousands that are simulated (`benchmarks.simulated`): each sends what a node agent sends, a report with eight GPUs
every 5 s, by a call of its own to the agent of the head. Everything behind that is what runs in earnest: the reports
reach the gate and four managers, every node is looked at for its health and its pressure. The process of the simulated
nodes is not counted; in earnest the nodes pay for what they send.

Not simulated, and no part of the figures: what Ray itself does for each node (its control store asks each one for a
sign of life), and the pings of the root supervisor to the agents.

Writes a plot (heartbeats.svg, heartbeats.png) and the figures (heartbeats.json) into a folder. Ends with status 1 when
a node was not known, out of sight or not up at the end.

    python -m benchmarks.heartbeats [--nodes 100 300 1000 2000 5000 10000] [--seconds 60] [--out FOLDER] [--json]
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

NODES = (100, 300, 1000, 2000, 5000, 10_000)
TARGET_NODES, TARGET = 2000, 100.0  # percent of one core
FLAT = 1.25  # the dearest heartbeat over the median one
SLICES = 5  # of each measurement
SETTLE = 3  # intervals after which new nodes have been decided about


class Stage(NamedTuple):
    """rate: heartbeats a second. cpu: percent of a core in all, by slice; by: of each process. sender: that of the
    simulated nodes."""

    nodes: int
    rate: float
    cpu: list[float]
    by: dict[str, float]
    sender: float
    unwell: list[str]

    def cost(self, idle: float) -> float:
        """CPU of a heartbeat, in microseconds."""
        return (statistics.median(self.cpu) - idle) * 1e4 / self.rate if self.rate else 0.0


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
        self._get = ray.get
        self._actor = ray.remote(SimulatedNodes).options(**options).remote(settings, LISTENERS)
        self._ask("start")
        self.pid = int(self._ask("ping")["pid"])
        self.interval = settings.telemetry.interval

    def grow(self, count: int) -> None:
        self._ask("grow", count)

    def sent(self) -> int:
        return int(self._ask("reports"))

    def _ask(self, method: str, *args: object) -> Any:
        return self._get(getattr(self._actor, method).remote(*args), timeout=60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES), help="stages, one after the other")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a measurement")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder of the plot")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elias-heartbeats-") as folder, Running(Path(folder)) as elias:
        names = parts(elias)
        fleet = Fleet(elias)
        time.sleep(SETTLE * fleet.interval)
        load = os.getloadavg()[0]
        stages = []
        for count in (0, *sorted(options.nodes)):
            if not options.json:
                print(f"{count:,} nodes", file=sys.stderr, flush=True)
            fleet.grow(count)
            time.sleep(SETTLE * fleet.interval)
            stages.append(measure(elias, fleet, count, options.seconds, names))
    idle, stages = statistics.median(stages[0].cpu), stages[1:]
    result = {
        "machine": machine(),
        "load": round(load, 1),
        "idle": round(idle, 1),
        "interval": fleet.interval,
        "stages": [{**stage._asdict(), "cost_us": round(stage.cost(idle))} for stage in stages],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "heartbeats.json").write_text(json.dumps(result))
    plot(stages, idle, options.out)
    print(json.dumps(result) if options.json else text(result, stages, idle))
    return 1 if any(stage.unwell for stage in stages) else 0


def measure(elias: Running, fleet: Fleet, nodes: int, seconds: float, names: dict[int, str]) -> Stage:
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
    return Stage(nodes, round(rate, 1), cpu, rounded, round(theirs, 1), unwell(elias, nodes, fleet.interval))


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


def plot(stages: list[Stage], idle: float, folder: Path) -> None:
    """CPU in all, and of one heartbeat, over the nodes, as heartbeats.svg and heartbeats.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 7), sharex=True)
    at = [stage.nodes for stage in stages]
    middle = [statistics.median(stage.cpu) for stage in stages]
    spread = [[m - min(s.cpu) for m, s in zip(middle, stages, strict=True)]]
    spread.append([max(s.cpu) - m for m, s in zip(middle, stages, strict=True)])
    above.errorbar(at, middle, spread, fmt="o-", color="black", linewidth=1.2, capsize=3, label="all of ELIAS")
    above.axhline(idle, linestyle=":", color="grey", label="with no node but its own")
    above.axhline(TARGET, linestyle="--", color="firebrick", linewidth=1, label="one core")
    above.set_yscale("log")
    above.set_ylabel("CPU, percent of a core")
    above.legend(fontsize=8)
    above.set_title("heartbeats of simulated nodes, one in 5 s each", fontsize=11)
    below.plot(at, [stage.cost(idle) for stage in stages], "o-", color="black", linewidth=1.2)
    below.set_ylim(bottom=0)
    below.set_ylabel("CPU of a heartbeat, µs")
    below.set_xscale("log")
    below.set_xticks(at, [f"{count:,}" for count in at])
    below.set_xlabel("nodes")
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"heartbeats.{suffix}", dpi=120)
    plt.close(figure)


def text(result: dict[str, Any], stages: list[Stage], idle: float) -> str:
    rows = [
        f"{stage.nodes:7,} {stage.rate:12.1f} {statistics.median(stage.cpu):8.1f} %  {min(stage.cpu):6.1f} to "
        f"{max(stage.cpu):6.1f} {stage.cost(idle):9.0f} {stage.sender:9.1f} %"
        for stage in stages
    ]
    largest = stages[-1]
    shares = ", ".join(f"{name} {percent}" for name, percent in largest.by.items() if percent >= 0.5)
    costs = [stage.cost(idle) for stage in stages]
    flat = max(costs) <= FLAT * statistics.median(costs)
    asked = [stage for stage in stages if stage.nodes == TARGET_NODES]
    problems = [problem for stage in stages for problem in stage.unwell]
    return "\n".join(
        [
            f"{result['machine']}; load {result['load']} before it began; idle {result['idle']} % of a core",
            f"{'nodes':>7} {'heartbeats/s':>12} {'CPU':>10}  {'spread':>16} {'µs each':>9} {'senders':>11}",
            *rows,
            f"at {largest.nodes:,} nodes, percent of a core: {shares}",
            *(
                f"{TARGET_NODES:,} nodes: {statistics.median(stage.cpu):.1f} % (target under {TARGET:g}): "
                f"{'met' if statistics.median(stage.cpu) < TARGET else 'MISSED'}"
                for stage in asked
            ),
            f"the dearest heartbeat costs {max(costs) / statistics.median(costs):.2f} of the median one: "
            f"{'flat' if flat else 'NOT FLAT'}",
            *(problems or ["every node is known, up and heard"]),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
