"""The pages under load: a queue of 5,000 open cases, and a storm of 2,000 that arrive while the queue is open.

A federation in one process (no Ray) is given the cases through its real desks and ledger; the pages are asked for over
HTTP from another thread. Printed: how long the server takes for a page (until the last byte, after one to warm up) and
how large it is, and how long after the last case of the storm the queue shows it as one group.

    python -m benchmarks.dashboard [--cases 5000] [--rounds 20] [--json]

Ends with status 1 when the queue takes more than 150 ms (median) or 200 kB, or the storm is grouped later than 2 s.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import machine
from managers.uim.web import words
from tests.managers.uim.conftest import House, event

LIMIT_MS, LIMIT_KB, LIMIT_STORM = 150.0, 200.0, 2.0
STORM = 2000
BATCH = 500
ALIKE = 50  # cases of a group: a hundred groups, so a page of the queue is full
PAGES = ("/cases", "/", "/decisions", "/ledger")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elias-dashboard-") as folder:
        house = House(Path(folder))
        try:
            result = {"machine": machine(), **_measure(house, options.cases, options.rounds)}
        finally:
            house.close()
    print(json.dumps(result, indent=2) if options.json else _told(result))
    queue = result["pages"]["/cases"]
    slow = queue["ms"] > LIMIT_MS or queue["kb"] > LIMIT_KB or result["storm_s"] > LIMIT_STORM
    sys.exit(1 if slow else 0)


def _measure(house: House, cases: int, rounds: int) -> dict[str, Any]:
    with house.client(timeout=60) as client:
        for start in range(0, cases, ALIKE):
            _post(client, f"open {start}", min(ALIKE, cases - start))
            house.clock.advance(1000)  # what comes later is a group of its own
        counts = house.uim.book.counts(house.clock.now())
        pages = {path: _page(client, path, rounds) for path in PAGES}
        pages["a case"] = _page(client, f"/cases/{next(iter(house.uim.book.state.cases))}", rounds)
        for start in range(0, STORM, BATCH):
            _post(client, f"storm {start}", BATCH)
        begun = time.perf_counter()
        shown = f"{words.count(counts.cases + STORM)} wait in {counts.groups + 1} groups"
        while shown not in client.get("/cases").text:
            if time.perf_counter() - begun > 60:
                raise RuntimeError("the storm is not shown as one group")
        storm = time.perf_counter() - begun
        return {
            "cases": counts.cases,
            "groups": counts.groups,
            "pages": pages,
            "storm": STORM,
            "storm_s": storm,
            "with_storm": _page(client, "/cases", rounds),
        }


def _post(client: httpx.Client, name: str, number: int) -> None:
    events = [event(f"{name} {n}", subject=f"node-{n}", data={"load": 50, "gpu": 95}) for n in range(number)]
    client.post("/v1/events", json=events).raise_for_status()


def _page(client: httpx.Client, path: str, rounds: int) -> dict[str, float]:
    client.get(path).raise_for_status()
    times, size = [], 0
    for _ in range(rounds):
        begun = time.perf_counter()
        size = len(client.get(path).content)
        times.append(1000 * (time.perf_counter() - begun))
    return {"ms": statistics.median(times), "worst_ms": max(times), "kb": size / 1000}


def _told(result: dict[str, Any]) -> str:
    lines = [result["machine"], f"{result['cases']} open cases in {result['groups']} groups"]
    pages = {**result["pages"], f"/cases with {result['storm']} more": result["with_storm"]}
    lines += [
        f"  {path:28} {p['ms']:7.1f} ms (worst {p['worst_ms']:.1f} ms) {p['kb']:7.1f} kB" for path, p in pages.items()
    ]
    lines.append(f"{result['storm']} alike cases are shown as one group {result['storm_s']:.2f} s after the last")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
