"""Asks the agent of this node to start a job, past the gate: `python -m tests.e2e.order STATE FILE` prints the outcome.

The job would make FILE. Nobody is above the epoch of this order, so only a freeze stands in its way.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from federation.effects import Order
from federation.records import Outcome
from federation.runtime.cluster import NAMESPACE, Cluster


def main(state: Path, file: Path) -> None:
    import ray

    cluster = Cluster.attach(state)
    assert cluster is not None
    cluster.connect()
    (name,) = [
        a["name"] for a in ray.util.list_named_actors(all_namespaces=True) if a["name"].startswith("elias.agent.")
    ]
    agent: Any = ray.get_actor(name, NAMESPACE)
    order = Order(
        "f" * 32,
        "ufm.placement",
        file.name,
        "place",
        {"gpus": []},
        "job.start",
        epoch=10**9,
        incarnation=1,
        expires=time.time_ns() + 60 * 10**9,
        payload={"command": ["touch", str(file)]},
    )
    outcome = msgspec.msgpack.decode(ray.get(agent.perform.remote(msgspec.msgpack.encode(order))), type=Outcome)
    print(json.dumps({"status": outcome.status, "detail": outcome.detail}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
