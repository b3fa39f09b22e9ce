"""kill -9 of each part of a running ELIAS while events flow: how long until it answers again, and what was lost.

Starts ELIAS as `elias up` does, in a folder of its own. One client posts events for all managers, one after the other,
and sends again what was not acknowledged. Meanwhile the parts are killed in turn. From the kill on, requests that only
the killed part can answer are sent with fresh ids, one after the other, each given up after half a second; the time is
from the kill to the first answer. A manager answers an event of its own; the gateway (uim) and the appender any event;
the gate, which no event from outside reaches, records a person's word about a mode.

Afterwards every acknowledged event must have its decision once: one `asked`, one `answered` (none yet where it waits
as a case), and `elias ledger verify` must hold. Otherwise the run ends with status 1.

The supervisors' window is set to 5 s here and the parts take turns, so that every kill is the first in its window: the
second one within a window waits for its back-off on purpose.

    python -m benchmarks.recovery [--kills 5] [--parts ufm,gate] [--json]
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.machine import machine
from benchmarks.running import Running
from federation.ledger.store import Store
from federation.records import Kind

PARTS = (*load.MANAGERS, "gate", "appender")
TARGET = 2.5  # seconds
PATIENCE = 0.5  # seconds for one request after a kill
LIMIT = 60.0  # seconds after which a part is called lost
WINDOW = 5.0  # seconds
PAUSE = 0.01
MODE = {"action": "uim.access/block", "mode": "observe"}


class Flow(threading.Thread):
    """Posts events for all managers one after the other; `acknowledged` is decision -> status of its answer."""

    def __init__(self, elias: Running) -> None:
        super().__init__(daemon=True)
        self.elias = elias
        self.acknowledged: dict[str, str] = {}
        self.problem = ""
        self.stopping = threading.Event()

    def run(self) -> None:
        at = 0
        connection = self.elias.connect()
        while not self.stopping.is_set() and not self.problem:
            event = load.event(load.MANAGERS[at % len(load.MANAGERS)], f"flow-{at}", at)
            try:
                status, answer = self.elias.request("POST", "/v1/events", event, connection)
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                connection = self.elias.connect()
                time.sleep(PAUSE)
                continue
            if status in (200, 202):
                self.acknowledged |= {d["id"]: d["status"] for d in answer["decisions"]}
                at += 1
            elif status != 503:
                self.problem = f"{event} was answered {status}: {answer}"
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of each part")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, by comma")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    parts = options.parts.split(",")
    times: dict[str, list[float]] = {part: [] for part in parts}
    with tempfile.TemporaryDirectory(prefix="elias-recovery-") as folder, load.world(Path(folder)) as settings:
        with Running(Path(folder), f"supervision:\n  window: {WINDOW}\n{settings}") as elias:
            load.await_world(elias)
            prober = Prober(elias)
            flow = Flow(elias)
            flow.start()
            busy = os.getloadavg()[0]
            for round_ in range(options.kills):
                for part in parts:
                    times[part].append(prober.kill(part))
                    if not options.json:
                        print(f"round {round_ + 1}: {part} answered after {times[part][-1]:.2f} s", flush=True)
            flow.stopping.set()
            flow.join(60)
        acknowledged = flow.acknowledged | prober.acknowledged
        problems = [flow.problem] if flow.problem else []
        problems += lost(elias, acknowledged)
        verify = [*elias.command, "ledger", "verify"]
        verified = subprocess.run(verify, cwd=folder, check=False, capture_output=True, text=True)
        if verified.returncode:
            problems.append(f"the ledger does not verify: {verified.stdout}{verified.stderr}")
    result = {
        "machine": machine(),
        "load": round(busy, 1),
        "target_s": TARGET,
        "recovery_s": {part: summary(seconds) for part, seconds in times.items()},
        "acknowledged": len(acknowledged),
        "problems": problems,
    }
    print(json.dumps(result) if options.json else text(result))
    return 1 if problems else 0


class Prober:
    """Kills parts and asks for them. `acknowledged`: like the flow's."""

    def __init__(self, elias: Running) -> None:
        self.elias = elias
        self.acknowledged: dict[str, str] = {}
        self._asked = 0
        self._killed: dict[str, float] = {}

    def kill(self, part: str) -> float:
        """Seconds from the kill of this part to its first answer, once all parts are well."""
        self._await_rest(part)
        os.kill(self._pids()[part], signal.SIGKILL)
        killed = self._killed[part] = time.monotonic()
        while not self._answers(part):
            if time.monotonic() - killed > LIMIT:
                raise TimeoutError(f"{part} did not come back within {LIMIT:g} s:\n{self._log(part)}")
            time.sleep(PAUSE)
        return time.monotonic() - killed

    def _answers(self, part: str) -> bool:
        """Whether one request that needs this part is answered in time."""
        self._asked += 1
        connection = http.client.HTTPConnection(self.elias.host, self.elias.port, timeout=PATIENCE)
        try:
            if part == "gate":
                return self.elias.request("PUT", "/v1/modes", MODE, connection)[0] == 204
            asked = part if part in load.MANAGERS else "urm"
            event = load.event(asked, f"probe-{self._asked}", self._asked)
            status, answer = self.elias.request("POST", "/v1/events", event, connection)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        if status not in (200, 202):
            return False
        self.acknowledged |= {d["id"]: d["status"] for d in answer["decisions"]}
        return True

    def _await_rest(self, part: str) -> None:
        """Until every process runs and answers, and the last kill of this part has left the supervisor's window."""
        deadline = time.monotonic() + LIMIT
        while set(PARTS) - self._pids().keys() or time.monotonic() - self._killed.get(part, -LIMIT) < WINDOW + 1:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not well after {LIMIT:g} s: {set(PARTS) - self._pids().keys()}")
            time.sleep(0.2)

    def _pids(self) -> dict[str, int]:
        """Of the parts that run and say how they are."""
        try:
            status, answer = self.elias.get("/v1/managers")
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        if status != 200:
            return {}
        members = answer["members"]
        return {m["name"]: m["pid"] for m in members if m["status"] == "running" and m["health"].get("pid") == m["pid"]}

    def _log(self, part: str) -> str:
        return (self.elias.state / "logs" / f"{part}.log").read_text()[-2000:]


def lost(elias: Running, acknowledged: dict[str, str]) -> list[str]:
    """What is wrong with the records of the acknowledged decisions, a line each."""
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    asked, answered = Counter[str](), Counter[str]()
    try:
        for record in store.read(kinds=[Kind.ASKED, Kind.ANSWERED]):
            (asked if record.header.kind == Kind.ASKED else answered)[record.header.decision] += 1
    finally:
        store.close()
    problems = [f"decision {d} was asked {n} times" for d, n in asked.items() if n > 1]
    problems += [f"decision {d} was answered {n} times" for d, n in answered.items() if n > 1]
    problems += [f"acknowledged decision {d} is not on record" for d in acknowledged if not asked[d]]
    problems += [
        f"decision {d} was acknowledged as answered and is not"
        for d, status in acknowledged.items()
        if status == "answered" and not answered[d]
    ]
    return problems


def summary(seconds: list[float]) -> dict[str, Any]:
    return {
        "min": round(min(seconds), 2),
        "median": round(statistics.median(seconds), 2),
        "max": round(max(seconds), 2),
        "kills": len(seconds),
        "met": max(seconds) <= TARGET,
    }


def text(result: dict[str, Any]) -> str:
    rows = [
        f"{part:10} {s['min']:6.2f} {s['median']:6.2f} {s['max']:6.2f}   {'met' if s['met'] else 'MISSED'}"
        for part, s in result["recovery_s"].items()
    ]
    ending = "\n".join(result["problems"]) or (
        f"{result['acknowledged']:,} acknowledged events: each has its decision once; the ledger verifies"
    )
    return "\n".join(
        [
            f"{result['machine']}; load {result['load']} before the first kill",
            f"{'killed':10} {'min':>6} {'median':>6} {'max':>6}   seconds until it answers, target {TARGET} at most",
            *rows,
            ending,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
