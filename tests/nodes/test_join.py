"""Three machines become one cluster, are upgraded while it is at work, one after the other, and leave it: with the
commands that a person types."""

import http.client
import json
import shutil
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from federation.ledger.store import Store
from federation.records import Kind, decode
from tests.e2e.waiting import until
from tests.nodes.hosts import Host, heard, network

OLD = "0.0.1"

ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as line:
    line.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    try:
        sys.stdout.buffer.write(line.recv(1000))
    except OSError:
        pass  # it hangs up, or says nothing
"""


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
    """The first one is the head, and has made an invitation; its folder is the second one's and the third one's too,
    as if somebody had copied it."""
    with network(tmp_path_factory.mktemp("hosts"), 3) as made:
        head, second, third = (Installed.__new__(Installed) for _ in made)
        for host, plain in zip((head, second, third), made, strict=True):
            vars(host).update(vars(plain))
        head.set("  discoverable: true\n")
        head.done("up", "--head", "--name", head.name, "--detach")
        head.done("invite", str(invitation(head)))
        yield [head, second, third]


def invitation(head: Host) -> Path:
    return head.folder / "cluster.join"


def join(host: Host, head: Host, *more: str) -> None:
    """By the address of the head, or by looking for it."""
    named = () if "--discover" in more else (head.address,)
    host.done("join", *named, "-t", str(invitation(head)), "--name", host.name, *more, "--detach")


def where(head: Host, job: str, *more: str) -> str:
    """The address of the host that a job runs on."""
    return head.done("run", "--name", job, *more, "--", "sh", "-c", "hostname -I").strip()


def test_an_invitation_is_for_its_owner_alone(hosts: list[Installed]) -> None:
    assert stat.S_IMODE(invitation(hosts[0]).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: "{", "not an invitation"),
        (lambda text: text.replace('"token": "', '"token": "00'), "does not take this token"),
    ],
    ids=["no invitation", "another token"],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left_behind(
    hosts: list[Installed], tmp_path: Path, damage: Callable[[str], str], said: str
) -> None:
    bad = tmp_path / "bad.join"
    bad.touch(mode=0o600)
    bad.write_text(damage(invitation(hosts[0]).read_text()))
    ran = hosts[1].elias("join", hosts[0].address, "-t", str(bad))
    assert (ran.returncode, said in ran.stderr, "cure: " in ran.stderr) == (1, True, True), ran.stderr
    assert hosts[1].elias("leave").stderr.strip() == "this machine was in no cluster"


def test_a_head_does_not_answer_who_looks_for_it_without_its_token(hosts: list[Installed], tmp_path: Path) -> None:
    strange = tmp_path / "strange.join"
    strange.touch(mode=0o600)
    strange.write_text(invitation(hosts[0]).read_text().replace('"token": "', '"token": "00'))
    ran = hosts[1].elias("join", "--discover", "-t", str(strange))
    assert (ran.returncode, "no head of this cluster answers here" in ran.stderr) == (3, True), ran.stderr


def test_others_may_not_read_the_secret(hosts: list[Installed], tmp_path: Path) -> None:
    loose = tmp_path / "loose.join"
    loose.write_bytes(invitation(hosts[0]).read_bytes())
    loose.chmod(0o644)
    ran = hosts[1].elias("join", hosts[0].address, "-t", str(loose))
    assert (ran.returncode, f"chmod 600 {loose}" in ran.stderr) == (1, True), ran.stderr


def test_nobody_answers_where_no_head_is(hosts: list[Installed]) -> None:
    ran = hosts[1].elias("join", f"{hosts[0].address}:9", "-t", str(invitation(hosts[0])))
    assert (ran.returncode, "nothing answers at" in ran.stderr) == (3, True), ran.stderr


def test_a_machine_with_another_ray_is_refused(hosts: list[Installed]) -> None:
    head, _, third = hosts
    third.install("ray", "1.0")
    ran = third.elias("join", head.address, "-t", str(invitation(head)))
    assert (ran.returncode, "Ray 1.0" in ran.stderr, "cure: " in ran.stderr) == (1, True, True), ran.stderr
    assert not (third.folder / ".elias" / "ray.json").exists()
    shutil.rmtree(third.packages)


def test_a_cluster_on_loopback_invites_nobody_and_only_a_node_leaves(hosts: list[Installed]) -> None:
    assert "is the head of its cluster" in hosts[0].elias("leave").stderr
    ran = hosts[1].elias("invite", "nobody.join")
    assert (ran.returncode, "elias up --head" in ran.stderr) == (1, True), ran.stderr


def test_machines_join_and_work_goes_where_it_belongs(hosts: list[Installed]) -> None:
    """The second one has an older ELIAS."""
    head, second, third = hosts
    second.install("elias", OLD)
    join(second, head, "--label", "inference", "--label", "old")
    join(third, head, "--discover", "--label", "storage", "--label", "inference")
    known = until(lambda: found if len(found := head.nodes()) == 3 else None)
    assert known["host2"]["report"]["labels"] == ["inference", "old"]
    assert known["host3"]["report"]["labels"] == ["storage", "inference"]
    assert where(head, "on-storage", "--label", "storage") == third.address
    for host in (head, second):
        again = host.elias("join", head.address, "-t", str(invitation(head)))
        assert (again.returncode, "part of a cluster already" in again.stderr) == (1, True), again.stderr


def test_the_root_supervisor_comes_back_where_its_managers_are(hosts: list[Installed]) -> None:
    """From another machine it would end each of them by a task that has to start at the head first."""
    killed = hosts[0].titled("ray::Root")
    assert killed is not None
    killed.kill()
    until(lambda: (root := hosts[0].titled("ray::Root")) and root.pid != killed.pid)
    assert [host.titled("ray::Root") for host in hosts[1:]] == [None, None]


def test_nobody_is_told_anything_on_the_network_who_does_not_say_who_he_is(hosts: list[Installed]) -> None:
    """Ray opens some twenty ports, most of them for gRPC, which takes no question of HTTP."""
    listening = ["ip", "netns", "exec", hosts[0].namespace, "ss", "--no-header", "--listening", "--tcp", "--numeric"]
    lines = subprocess.run(listening, capture_output=True, text=True, check=True).stdout.splitlines()
    places = {line.split()[3].rpartition(":")[::2] for line in lines}
    ports = {port for place, port in places if not place.startswith("127.") and place != "[::1]"}
    assert "6380" in ports
    for port in sorted(ports):
        ask = [sys.executable, "-c", ASK, hosts[0].address, port]
        told = subprocess.run(["ip", "netns", "exec", hosts[1].namespace, *ask], capture_output=True, check=True).stdout
        status = told.split()[1:2] if told.startswith(b"HTTP/1") else []
        assert status in ([], [b"401"]), (port, told)


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
    head.done("run", "--name", "long", "--label", "old", "--detach", "--", "sh", "-c", waits)
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
        assert status in (200, 503), answer
        return status == 200


def test_the_whole_cluster_is_upgraded_and_no_decision_is_lost(hosts: list[Installed]) -> None:
    head, second, _ = hosts
    invitation(head).unlink()  # who is in the cluster can do without it
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


def test_a_node_that_leaves_finishes_what_it_has_and_is_forgotten(hosts: list[Installed]) -> None:
    head, second, third = hosts
    gate = head.folder / "gate"
    waits = f"while [ ! -e {gate} ]; do sleep 0.1; done"
    head.done("run", "--name", "last", "--label", "storage", "--detach", "--", "sh", "-c", waits)
    until(lambda: "last" in [job["id"] for job in head.nodes()["host3"]["report"].get("jobs", ())])
    assert second.elias("leave").returncode == 0
    until(lambda: "host2" not in head.nodes())
    # The third one waits for its job, takes no other, and then goes.
    with subprocess.Popen(third.command("leave"), cwd=third.folder) as leaving:
        until(lambda: head.nodes()["host3"]["status"] == "leaving")
        assert leaving.poll() is None
        gate.touch()
        assert leaving.wait(120) == 0
    (left,) = until(lambda: found if len(found := head.nodes()) == 1 else None).values()
    assert left["status"] == "up"
