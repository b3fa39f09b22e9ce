"""The head of a cluster is cut off, its machine and all: how long until another machine decides.

Two hosts in network namespaces of this machine, a real PostgreSQL beside them. One is the head, the other stands by.
The head's network is cut, an event is posted to the other one until it is answered with a decision, the network heals,
and once both are one cluster again they change parts. The time is from the cut to the decision: what is left of the
lease, the end of Ray's node there, and the start of Ray and of all managers from the ledger. Afterwards the ledger
must verify, and no record may be of an older epoch than the one before it; otherwise the run ends with status 1.

Needs root. In our favour: nothing is lost on the way between the hosts; against us: both share the machine's cores.

    python -m benchmarks.takeover [--cuts 10] [--json]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.machine import machine
from federation.errors import Temporary
from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.settings import load
from managers.uim.cli.client import Api
from tests.e2e.waiting import until
from tests.federation.ledger.postgres import Postgres
from tests.nodes.hosts import Host, heard, network

TARGET = 30.0  # seconds, the median


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=10, help="of the head")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ask", type=Path, metavar="FOLDER", help="be the other end of the measurement, on a host")
    options = parser.parse_args()
    if options.ask:
        ask(options.ask)
        return 0
    with tempfile.TemporaryDirectory(prefix="elias-takeover-") as folder:
        seconds, sound = measured(Path(folder), options.cuts)
    median = statistics.median(seconds)
    if options.json:
        print(json.dumps({"machine": machine(), "seconds": seconds, "median": median, "sound": sound}))
    else:
        print(machine())
        print(f"{len(seconds)} cuts: median {median:.1f} s, {min(seconds):.1f} to {max(seconds):.1f} s", end="")
        print(f" (target: {TARGET:g} s); the ledger {'holds' if sound else 'IS DAMAGED'}")
    return int(not sound or median > TARGET)


def measured(folder: Path, cuts: int) -> tuple[list[float], bool]:
    seconds = list[float]()
    with network(folder, 2) as (head, other), Postgres.running(head.outside) as postgres:
        ledger, token = postgres.new_url(), str(folder / "cluster.join")
        for host in (head, other):
            host.set(f"ledger:\n  url: {ledger}\n")
        head.done("up", "--head", "--name", head.name, "--detach")
        head.done("invite", token)
        other.done("up", "--head", "--name", other.name, "--token-file", token, "--detach")
        for number in range(cuts):
            seconds.append(taken_over(head, other))
            print(f"cut {number + 1} of {cuts}: {seconds[-1]:.1f} s", file=sys.stderr, flush=True)
            head, other = other, head
        return seconds, sound(ledger)


def taken_over(head: Host, other: Host) -> float:
    """Seconds from the cut of the head until the other one decides."""
    until(lambda: "which its head serves" in other.elias("status").stderr and len(heard(head)) == 2)
    head.cut()
    begun = time.monotonic()
    decided(other)
    seconds = time.monotonic() - begun
    head.heal()
    return seconds


def decided(host: Host) -> None:
    """Returns once this host has decided an event that it was not sent before."""
    command = [
        "ip",
        "netns",
        "exec",
        host.namespace,
        sys.executable,
        "-m",
        "benchmarks.takeover",
        "--ask",
        str(host.folder),
    ]
    subprocess.run(command, check=True, timeout=300)


def ask(folder: Path) -> None:
    """What `decided` does, there: one process that asks, for a command each time would take a core from who answers."""
    api = Api(load(folder / "elias.yaml"), as_owner=True)
    name = f"probe-{time.time_ns()}"
    data = {"memory": 35.0, "cpu": 20.0, "gpu": None, "disk": 40.0}
    event = {"specversion": "1.0", "id": name, "source": "takeover", "type": "elias.resource.sample", "subject": name}
    while True:
        try:
            if api.post("/v1/events", {**event, "data": data})["decisions"]:
                return
        except Temporary:
            time.sleep(0.1)


def sound(ledger: str) -> bool:
    store = Store.open(ledger, read_only=True)
    try:
        epochs = [record.header.epoch for record in store.read()]
        return verify(store).fault is None and all(one <= other for one, other in pairwise(epochs))
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
