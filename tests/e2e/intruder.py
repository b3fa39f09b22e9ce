"""Puts a bundle on record past the gate, as somebody would who has taken over a process of the cluster:
`python -m tests.e2e.intruder STATE FILE`.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from federation.bundles.acceptance import record_of
from federation.bundles.artefact import load
from federation.ledger.appender import Batch
from federation.records import Entry, Kind, encode
from federation.runtime.cluster import NAMESPACE, Cluster
from federation.runtime.service import actor_name


def main(state: Path, file: Path) -> None:
    import ray

    cluster = Cluster.attach(state)
    assert cluster is not None
    cluster.connect()
    appender: Any = ray.get_actor(actor_name("appender"), NAMESPACE)
    incarnation, _ = ray.get(appender.register.remote("intruder", {}))
    text = record_of(load(file.read_bytes(), str(file)), origin="file", by="nobody", reason="")
    batch = Batch("intruder", incarnation, 0, [Entry(Kind.BUNDLE, "", "", "", encode(text))])
    ray.get(appender.append.remote(msgspec.msgpack.encode(batch), 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
