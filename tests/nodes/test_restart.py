"""A cluster is upgraded while it is at work, one machine after the other, with the commands that a person types."""

import http.client
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from federation.ledger.store import Store
from federation.records import Kind, decode
from tests.e2e.waiting import until
from tests.nodes.hosts import Host, heard, network

OLD = "0.0.1"


class Installed(Host):
    """Has a folder of packages of its own, before those that all have."""

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def install(self, name: str, number: str) -> None:
        """As far as versions are asked for."""
        made = self.packages / f"{name}-{number}.dist-info"
        made.mkdir(parents=True)
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")

    def command(self, *words: str) -> list[str]:
        command = super().command(*words)
        at = command.index(self.namespace) + 1
        return [*command[:at], "env", f"PYTHONPATH={self.packages}", *command[at:]]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Installed]]:
    """The first one is the head; the second one, a node, has an older ELIAS. Nobody but those two can do without the
    invitation by now."""
    with network(tmp_path_factory.mktemp("hosts"), 3) as made:
        head, second, third = (Installed.__new__(Installed) for _ in made)
        for host, plain in zip((head, second, third), made, strict=True):
            vars(host).update(vars(plain))
        token = head.folder / "cluster.join"
        head.done("up", "--head", "--name", head.name, "--detach")
        head.done("invite", str(token))
        third.install("ray", "1.0")
        refused = third.elias("join", head.address, "-t", str(token))
        assert (refused.returncode, "Ray 1.0" in refused.stderr, "cure: " in refused.stderr) == (1, True, True)
        assert not (third.folder / ".elias" / "ray.json").exists()
        shutil.rmtree(third.packages)
        second.install("elias", OLD)
        for host in (second, third):
            host.done("join", head.address, "-t", str(token), "--name", host.name, "--label", host.name, "--detach")
        token.unlink()
        until(lambda: heard(head) == {"host1", "host2", "host3"})
        yield [head, second, third]


def test_another_version_and_every_clock_are_seen(hosts: list[Installed]) -> None:
    head = hosts[0]
    until(lambda: all(node.get("clock") for node in head.nodes().values()))
    nodes = head.nodes()
    assert {name: node["elias"] for name, node in nodes.items()} == {
        "host1": version("elias"), "host2": OLD, "host3": version("elias")
    }  # fmt: skip
    assert {name: list(node["unlike"]) for name, node in nodes.items()} == {
        "host1": [], "host2": ["elias"], "host3": []
    }  # fmt: skip
    assert all(abs(node["clock"]["ahead"]) <= node["clock"]["within"] + 0.01 for node in nodes.values())
    (found,) = [one for one in _doctor(head) if one["code"] == "versions.node"]
    assert (found["place"], OLD in found["seen"]) == ("host2", True)


def _doctor(host: Host) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(host.elias("doctor", "--json").stdout)["findings"]
    return found


def test_a_node_whose_jobs_go_on_is_not_restarted_and_works_as_before(hosts: list[Installed]) -> None:
    head = hosts[0]
    end = head.folder / "end"
    waits = f"while [ ! -e {end} ]; do sleep 0.1; done"
    head.done("run", "--name", "long", "--label", "host2", "--detach", "--", "sh", "-c", waits)
    until(lambda: "long" in [job["id"] for job in head.nodes()["host2"]["report"].get("jobs", ())])
    ran = head.elias("restart", "host2", "--patience", "8")
    assert (ran.returncode, "jobs have not ended in time" in ran.stderr, "long" in ran.stderr) == (1, True, True)
    assert head.nodes()["host2"]["status"] == "up"
    end.touch()
    until(lambda: not head.nodes()["host2"]["report"].get("jobs"))


class Submitting(threading.Thread):
    """Submits one job after the other that no node has the label for, so that none of them runs, and each until it is
    taken. acknowledged: those of which it was said so."""

    def __init__(self, head: Host) -> None:
        super().__init__(daemon=True)
        self.head, self.acknowledged, self.enough = head, list[str](), threading.Event()

    def run(self) -> None:
        number = 1
        while not self.enough.wait(0.5):  # a command each time would take a core
            with suppress(OSError, http.client.HTTPException, ValueError):
                if self._taken(f"job-{number}"):
                    self.acknowledged.append(f"job-{number}")
                    number += 1

    def _taken(self, job: str) -> bool:
        event = {"specversion": "1.0", "id": job, "source": "test", "type": "elias.job.submitted", "subject": job}
        data = {"command": ["true"], "cpus": 1, "labels": ["nowhere"]}
        status, answer = self.head.request("POST", "/v1/events", event | {"data": data}, patience=60.0)
        assert status in (200, 202, 503), answer
        return status != 503


def test_the_whole_cluster_is_upgraded_and_no_decision_is_lost(hosts: list[Installed]) -> None:
    head, second, _ = hosts
    shutil.rmtree(second.packages)  # from now on it has the version of all
    submitting = Submitting(head)
    submitting.start()
    until(lambda: submitting.acknowledged)
    before = head.nodes()
    said = json.loads(head.done("restart", "--json"))
    assert said == {"restarted": ["host2", "host3", "host1"]}
    count = len(submitting.acknowledged)
    until(lambda: len(submitting.acknowledged) > count)
    submitting.enough.set()
    submitting.join()
    until(lambda: heard(head) == {"host1", "host2", "host3"})
    after = head.nodes()
    assert {node["elias"] for node in after.values()} == {version("elias")}
    assert all(after[name]["report"]["actor"] != before[name]["report"]["actor"] for name in before)
    head.done("ledger", "verify")
    store = Store.open(f"sqlite:///{head.folder / '.elias' / 'ledger.db'}", read_only=True)
    try:
        asked = [(one.header, decode(Kind.ASKED, one.body)) for one in store.read(kinds=[Kind.ASKED])]
        answered = Counter(one.header.decision for one in store.read(kinds=[Kind.ANSWERED]))
    finally:
        store.close()
    # What waits for room URM asks about again, of its own accord.
    submitted = {h.decision: h.subject for h, body in asked if body.event.source == "test"}
    decided = Counter(job for decision, job in submitted.items() if answered[decision] == 1)
    assert {job: decided[job] for job in submitting.acknowledged} == dict.fromkeys(submitting.acknowledged, 1)
    restarts = {header.decision: header.subject for header, _ in asked if header.point == "uim.restart"}
    assert list(restarts.values()) == ["host2", "host2", "host3", "host1"]
