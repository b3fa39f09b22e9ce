"""A million simulated events through a running ELIAS: memory of every actor and latency, flat or not.

Starts ELIAS as `elias up` does, in a folder of its own, and posts samples, requests, measurements, wrong tokens, states
of applications and messages about 1,000 subjects in batches over HTTP, so that every manager, the gate and the appender
work as they do in earnest. The proportional set size of each is taken throughout. The ledger grows on the disk; the
actors must not once their caches are full, so what counts is the slope over the last third of the events.

Writes a plot (soak.svg, soak.png) and the samples (soak.json) into a folder; ends with status 1 when an event was
answered wrongly or the ledger does not verify.

    python -m benchmarks.soak [--events 1000000] [--batch 500] [--clients 2] [--out FOLDER] [--json]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import load
from benchmarks.idle import parts, pss
from benchmarks.machine import machine
from benchmarks.running import Running

SHARES = {"urm": 700, "ufm": 200, "ulm": 40, "uim": 39, "uam": 20, "ucm": 1}  # of 1,000 events
SAMPLES = 200
UNIT = 100_000  # events that a slope is given for
FLAT_MEMORY = 1.0  # MB in 100,000 events over the last third: a hundredth of what an actor has
FILLED = 300_000  # events after which all caches are full
FLAT_LATENCY = 1.25  # the median of the last third over that of the first


class Sample(NamedTuple):
    """memory: MB of PSS by part, mapped files left out, when so many events were answered."""

    events: int
    memory: dict[str, float]


class Batch(NamedTuple):
    """How long a batch took, and how many events were answered when it was."""

    events: int
    ms: float


class Soak:
    """Posts the events from some clients at once and takes samples meanwhile."""

    def __init__(self, elias: Running, events: int, batch: int, clients: int) -> None:
        self.elias, self.goal, self.batch = elias, events, batch
        self.pids = {name: pid for pid, name in parts(elias).items()}
        self.samples: list[Sample] = []
        self.batches: list[Batch] = []
        self.problem = ""
        self._taken = self._done = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def run(self, *, tell: bool) -> float:
        """Events a second."""
        begun = time.monotonic()
        for thread in self._threads:
            thread.start()
        every = self.goal / SAMPLES
        while any(thread.is_alive() for thread in self._threads):
            if self._done >= every * len(self.samples):
                self.sample()
                if tell and len(self.samples) % 20 == 1:
                    print(f"{self._done:,} of {self.goal:,} events", file=sys.stderr, flush=True)
            time.sleep(0.02)
        took = time.monotonic() - begun
        self.sample()
        return self._done / took

    def sample(self) -> None:
        self.samples.append(Sample(self._done, {name: pss(pid, files=False) for name, pid in self.pids.items()}))

    def _client(self) -> None:
        connection = self.elias.connect()
        while not self.problem:
            with self._lock:
                first, self._taken = self._taken, min(self._taken + self.batch, self.goal)
                numbers = range(first, self._taken)
            if not numbers:
                break
            events = [load.event(KINDS[n % len(KINDS)], f"soak-{n}", n) for n in numbers]
            begun = time.perf_counter()
            answer = self.elias.post(connection, events)
            ms = (time.perf_counter() - begun) * 1000
            wrong = [result for result in answer["results"] if result["status"] != 200]
            with self._lock:
                self._done += len(numbers)
                self.batches.append(Batch(self._done, ms))
                self.problem = self.problem or (json.dumps(wrong[0]) if wrong else "")
        connection.close()


def _kinds() -> list[str]:
    """The manager of each of 1,000 events in turn, each manager's spread evenly."""
    places = [((i + 0.5) / share, name) for name, share in SHARES.items() for i in range(share)]
    return [name for _, name in sorted(places)]


KINDS = _kinds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500, help="events in one request")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder of the plot")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elias-soak-") as folder, load.world(Path(folder)) as settings:
        with Running(Path(folder), settings) as elias:
            load.await_world(elias)
            busy = os.getloadavg()[0]
            soak = Soak(elias, options.events, options.batch, options.clients)
            rate = soak.run(tell=not options.json)
            pids = {name: pid for pid, name in parts(elias).items()}
        ledger = sum(path.stat().st_size for path in elias.state.glob("ledger.db*")) / 1e6
        verify = [*elias.command, "ledger", "verify"]
        verified = subprocess.run(verify, cwd=folder, check=False, capture_output=True, text=True)
    problems = [f"a wrong answer: {soak.problem}"] if soak.problem else []
    problems += [f"{name} was restarted meanwhile" for name, pid in pids.items() if soak.pids.get(name) != pid]
    if verified.returncode:
        problems.append(f"the ledger does not verify: {verified.stdout}{verified.stderr}")
    result = {
        "machine": machine(),
        "load": round(busy, 1),
        "events": soak.samples[-1].events,
        "batch": options.batch,
        "clients": options.clients,
        "events_per_s": round(rate),
        "ledger_mb": round(ledger),
        "memory": {name: growth(soak.samples, name) for name in soak.pids},
        "latency_ms": latency(soak.batches),
        "problems": problems,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    raw = {"samples": [s._asdict() for s in soak.samples], "batches": [b._asdict() for b in soak.batches]}
    (options.out / "soak.json").write_text(json.dumps(result | raw))
    plot(soak, options.out)
    print(json.dumps(result) if options.json else text(result))
    return 1 if problems else 0


def growth(samples: list[Sample], part: str) -> dict[str, Any]:
    """start, end: MB. first, last: MB in 100,000 events over the first and the last third, by least squares."""
    events = np.array([s.events for s in samples], float)
    memory = np.array([s.memory[part] for s in samples])
    third = events[-1] / 3
    first, last = _slope(events, memory, events <= third), _slope(events, memory, events >= 2 * third)
    return {
        "start": round(float(memory[0]), 1),
        "end": round(float(memory[-1]), 1),
        "first": round(first, 2),
        "last": round(last, 2),
        "flat": last < FLAT_MEMORY,
    }


def _slope(events: Any, memory: Any, where: Any) -> float:
    return float(np.polyfit(events[where] / UNIT, memory[where], 1)[0]) if where.sum() > 1 else 0.0


def latency(batches: list[Batch]) -> dict[str, Any]:
    """Median and 99th percentile (ms) of the batches in the first and in the last third."""
    total = batches[-1].events
    first = [b.ms for b in batches if b.events <= total / 3]
    last = [b.ms for b in batches if b.events >= 2 * total / 3]
    result: dict[str, Any] = {}
    for name, ms in (("first", first), ("last", last)):
        result[name] = {"p50": round(statistics.median(ms), 1), "p99": round(float(np.percentile(ms, 99)), 1)}
    return result | {"flat": result["last"]["p50"] <= FLAT_LATENCY * result["first"]["p50"]}


def plot(soak: Soak, folder: Path) -> None:
    """Memory of each part and latency of batches over the events, as soak.svg and soak.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 8), sharex=True, height_ratios=(3, 2))
    at = [s.events / 1000 for s in soak.samples]
    for name in sorted(soak.pids, key=lambda name: -soak.samples[-1].memory[name]):
        above.plot(at, [s.memory[name] for s in soak.samples], label=name, linewidth=1.2)
    above.set_ylim(bottom=0)
    above.set_ylabel("memory of the process (PSS without files), MB")
    above.legend(ncols=4, fontsize=8, loc="lower right")
    above.set_title(f"{soak.samples[-1].events:,} events through a running ELIAS", fontsize=11)
    width = max(1, len(soak.batches) // 100)
    bins = [soak.batches[i : i + width] for i in range(0, len(soak.batches), width)]
    middle = [statistics.mean(b.events for b in some) / 1000 for some in bins]
    for share, style in ((50, "-"), (99, ":")):
        heights = [float(np.percentile([b.ms for b in some], share)) for some in bins]
        below.plot(middle, heights, style, color="black", linewidth=1.2, label=f"p{share}")
    below.set_ylim(bottom=0)
    below.set_ylabel(f"latency of a batch of {soak.batch}, ms")
    below.set_xlabel("events answered, thousands")
    below.legend(fontsize=8)
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"soak.{suffix}", dpi=120)
    plt.close(figure)


def text(result: dict[str, Any]) -> str:
    rows = [
        f"{name:10} {m['start']:8.1f} {m['end']:8.1f} {m['first']:12.2f} {m['last']:12.2f}   {_verdict(m['flat'])}"
        for name, m in result["memory"].items()
    ]
    ms = result["latency_ms"]
    lines = [
        f"{result['machine']}; load {result['load']} before it began",
        f"{result['events']:,} events in batches of {result['batch']}, {result['clients']} clients: "
        f"{result['events_per_s']:,} a second; the ledger has {result['ledger_mb']:,} MB",
        f"{'MB':10} {'start':>8} {'end':>8} {'first third':>12} {'last third':>12}   in 100,000 events",
        *rows,
        *(["too few events for a verdict: caches are still filling"] if result["events"] < FILLED else []),
        f"latency of a batch: first third p50 {ms['first']['p50']} ms, p99 {ms['first']['p99']} ms; "
        f"last third p50 {ms['last']['p50']} ms, p99 {ms['last']['p99']} ms: {_verdict(ms['flat'])}",
        *(result["problems"] or ["every event was answered; the ledger verifies"]),
    ]
    return "\n".join(lines)


def _verdict(flat: bool) -> str:
    return "flat" if flat else "GROWS"


if __name__ == "__main__":
    sys.exit(main())
