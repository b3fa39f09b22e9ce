"""What ELIAS takes when nobody asks it anything: CPU and memory of all its processes, Ray and `elias up` included.

Starts ELIAS as `elias up` does, with the shipped settings, in a folder of its own; lets it settle; then takes user and
system time of every process over a minute, and the proportional set size (PSS: a page that n processes share counts
1/n for each) at its end. A process that begins meanwhile counts whole, one that ends meanwhile is missed.

    python -m benchmarks.idle [--settle 30] [--seconds 60] [--json]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import machine
from benchmarks.running import Running
from federation.runtime.cluster import Cluster

CPU_TARGET = 20.0  # percent of one core
MEMORY_TARGET = 2000.0  # MB of 10^6 bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before the measurement")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elias-idle-") as folder, Running(Path(folder)) as elias:
        names = parts(elias)
        time.sleep(options.settle)
        busy = os.getloadavg()[0]
        others = sum(p.info["name"] == "raylet" for p in psutil.process_iter(["name"])) - 1
        cpu = cpu_percent(elias, options.seconds)
        rows: list[dict[str, Any]] = [
            {
                "process": names.get(process.pid) or title(process),
                "pid": process.pid,
                "cpu": round(cpu.get(process.pid, 0.0), 2),
                "pss_mb": round(pss(process.pid), 1),
            }
            for process in processes(elias)
        ]
    result = {
        "machine": machine(),
        "load": round(busy, 1),
        "other_rays": others,
        "seconds": options.seconds,
        "cpu": round(sum(cpu.values()), 1),
        "pss_mb": round(sum(row["pss_mb"] for row in rows)),
        "cpu_target": CPU_TARGET,
        "pss_target_mb": MEMORY_TARGET,
        "processes": sorted(rows, key=lambda row: row["cpu"], reverse=True),
    }
    print(json.dumps(result) if options.json else text(result))
    return 0


def processes(elias: Running) -> list[psutil.Process]:
    """Every process of the cluster, and the one that keeps it up."""
    cluster = Cluster.attach(elias.state)
    assert cluster is not None
    assert elias.process is not None
    return [*cluster.processes(), psutil.Process(elias.process.pid)]


def cpu_percent(elias: Running, seconds: float) -> dict[int, float]:
    """Percent of one core by pid, user and system time together."""
    first = {p.pid: spent(p) for p in processes(elias)}
    begun = time.monotonic()
    time.sleep(seconds)
    last = {p.pid: spent(p) for p in processes(elias)}
    took = time.monotonic() - begun
    return {pid: 100 * (cpu - first.get(pid, 0.0)) / took for pid, cpu in last.items()}


def spent(process: psutil.Process) -> float:
    """Seconds of user and system time."""
    times = process.cpu_times()
    return float(times.user + times.system)


def pss(pid: int, *, files: bool = True) -> float:
    """Proportional set size in MB (Linux, /proc/PID/smaps_rollup); without `files` only what the process itself made,
    not the pages of mapped files, which the kernel takes back when it needs them.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return (sizes["Pss"] - (0 if files else sizes["Pss_File"])) * 1024 / 1e6


def parts(elias: Running) -> dict[int, str]:
    """pid -> name in the supervision tree."""
    return {m["pid"]: m["name"].partition(".")[0] for m in elias.get("/v1/managers")[1]["members"] if m["pid"]}


def title(process: psutil.Process) -> str:
    """What a process is, for people: Ray's titles and modules as they are, else the program."""
    words = process.cmdline() or [process.name()]
    if words[0].startswith("ray::"):
        return words[0]
    module = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "-m"), "")
    script = next((Path(word).name for word in words if word.endswith(".py")), "")
    return module or script or Path(words[0]).name


def text(result: dict[str, Any]) -> str:
    rows = [f"{row['process'][:40]:40} {row['cpu']:6.2f} % {row['pss_mb']:7.1f} MB" for row in result["processes"]]
    verdicts = [
        f"CPU: {result['cpu']} % of one core (target under {CPU_TARGET:g}): {_verdict(result['cpu'] < CPU_TARGET)}",
        f"PSS: {result['pss_mb']:,} MB (target under {MEMORY_TARGET:,g}): {_verdict(result['pss_mb'] < MEMORY_TARGET)}",
    ]
    beside = f"; {result['other_rays']} other Ray beside it, which lowers PSS" if result["other_rays"] else ""
    return "\n".join([f"{result['machine']}; load {result['load']}{beside}", *rows, *verdicts])


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
