"""The durable path: events over HTTP to decisions on the ledger, everything included, on this machine.

Starts ELIAS as `elias up` does, in a folder of its own (SQLite, `synchronous=FULL`), posts events of which the right
answer is known, and checks every answer and the ledger afterwards. Prints decisions a second for batches of 100 from
four clients, and the latency of single events from one. The client runs on the same cores, which counts against us.

    python -m benchmarks.durable [--seconds 10] [--singles 2000] [--json]
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.running import Running

BATCH = 100
CLIENTS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the rounds with batches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elias-durable-") as folder, Running(Path(folder)) as elias:
        rates = [_batches(elias, options.seconds, number) for number in range(options.rounds)]
        latencies = _singles(elias, options.singles)
        elias.stop()
        verified = subprocess.run(
            [*elias.command, "ledger", "verify", "--json"], cwd=folder, check=True, capture_output=True
        )
    cuts = statistics.quantiles(latencies, n=100)
    result = {
        "machine": machine(),
        "batch": BATCH,
        "clients": CLIENTS,
        "decisions_per_s": {
            "median": round(statistics.median(rates)),
            "min": round(min(rates)),
            "max": round(max(rates)),
        },
        "single_ms": {
            "p50": round(cuts[49], 2),
            "p99": round(cuts[98], 2),
            "max": round(max(latencies), 2),
            "n": len(latencies),
        },
        "verified": json.loads(verified.stdout),
    }
    if options.json:
        print(json.dumps(result))
        return
    rate, single = result["decisions_per_s"], result["single_ms"]
    print(machine())
    spread = f"of {options.rounds}: {rate['min']:,} to {rate['max']:,}"
    print(f"batches of {BATCH}, {CLIENTS} clients: {rate['median']:,} decisions/s ({spread})")
    print(f"single events, one client: p50 {single['p50']} ms, p99 {single['p99']} ms, longest {single['max']} ms")
    print(f"every answer was right; the ledger of {elias.posted:,} decisions verifies")


def _event(number: str, at: int) -> tuple[dict[str, Any], str]:
    """A sample of one of a thousand nodes at ease, and its right answer under the shipped specs."""
    figures = {"memory": 35.0 + at % 40, "cpu": 20.0, "gpu": None, "disk": 40.0}
    event = {
        "specversion": "1.0",
        "id": f"{number}-{at}",
        "source": "benchmark",
        "type": "elias.resource.sample",
        "subject": f"node-{at % 1000}",
        "data": figures,
    }
    return event, "hold"


def _batches(elias: Running, seconds: float, round_: int) -> float:
    """Decisions a second of wall time over all clients; raises when an answer is wrong."""
    counts = [0] * CLIENTS
    problems: list[str] = []
    begun = time.perf_counter()

    def client(which: int) -> None:
        connection = http.client.HTTPConnection(elias.host, elias.port, timeout=30)
        sent = 0
        while time.perf_counter() - begun < seconds and not problems:
            pairs = [_event(f"{round_}.{which}", sent + i) for i in range(BATCH)]
            answer = elias.post(connection, [event for event, _ in pairs])
            wrong = _wrong(answer, pairs)
            if wrong:
                problems.append(wrong)
            sent += BATCH
            counts[which] += BATCH

    threads = [threading.Thread(target=client, args=(which,)) for which in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        sys.exit(f"a wrong answer: {problems[0]}")
    elias.posted += sum(counts)
    return sum(counts) / (time.perf_counter() - begun)


def _wrong(answer: Any, pairs: list[tuple[dict[str, Any], str]]) -> str:
    results = answer["results"] if isinstance(answer, dict) and "results" in answer else answer
    if len(results) != len(pairs):
        return f"{len(results)} results for {len(pairs)} events"
    for result, (event, right) in zip(results, pairs, strict=True):
        decision = result["decisions"][0]
        if (decision["subject"], decision["action"]) != (event["subject"], right):
            return json.dumps(result)
    return ""


def _singles(elias: Running, count: int) -> list[float]:
    """Milliseconds from the first byte sent to the last byte read, one event after the other."""
    connection = http.client.HTTPConnection(elias.host, elias.port, timeout=30)
    latencies = []
    for at in range(count):
        event, _ = _event("single", at)
        begun = time.perf_counter()
        elias.post(connection, event)
        latencies.append((time.perf_counter() - begun) * 1000)
    elias.posted += count
    return latencies


if __name__ == "__main__":
    main()
