"""Three machines become one cluster, and leave it: with the commands that a person types."""

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.waiting import until
from tests.nodes.hosts import Host, network

ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as line:
    line.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    try:
        sys.stdout.buffer.write(line.recv(1000))
    except OSError:
        pass  # it hangs up, or says nothing
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """The first one is the head, and has made an invitation; its folder is the second one's and the third one's too,
    as if somebody had copied it."""
    with network(tmp_path_factory.mktemp("hosts"), 3) as made:
        made[0].set("  discoverable: true\n")
        made[0].done("up", "--head", "--detach")
        made[0].done("invite", str(invitation(made[0])))
        yield made


def invitation(head: Host) -> Path:
    return head.folder / "cluster.join"


def join(host: Host, head: Host, *more: str) -> None:
    """By the address of the head, or by looking for it."""
    named = () if "--discover" in more else (head.address,)
    host.done("join", *named, "-t", str(invitation(head)), "--name", host.name, *more, "--detach")


def where(head: Host, job: str, *more: str) -> str:
    """The address of the host that a job runs on."""
    return head.done("run", "--name", job, *more, "--", "sh", "-c", "hostname -I").strip()


def test_an_invitation_is_for_its_owner_alone(hosts: list[Host]) -> None:
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
    hosts: list[Host], tmp_path: Path, damage: Callable[[str], str], said: str
) -> None:
    bad = tmp_path / "bad.join"
    bad.touch(mode=0o600)
    bad.write_text(damage(invitation(hosts[0]).read_text()))
    ran = hosts[1].elias("join", hosts[0].address, "-t", str(bad))
    assert (ran.returncode, said in ran.stderr, "cure: " in ran.stderr) == (1, True, True), ran.stderr
    assert hosts[1].elias("leave").stderr.strip() == "this machine was in no cluster"


def test_a_head_does_not_answer_who_looks_for_it_without_its_token(hosts: list[Host], tmp_path: Path) -> None:
    strange = tmp_path / "strange.join"
    strange.touch(mode=0o600)
    strange.write_text(invitation(hosts[0]).read_text().replace('"token": "', '"token": "00'))
    ran = hosts[1].elias("join", "--discover", "-t", str(strange))
    assert (ran.returncode, "no head of this cluster answers here" in ran.stderr) == (3, True), ran.stderr


def test_others_may_not_read_the_secret(hosts: list[Host], tmp_path: Path) -> None:
    loose = tmp_path / "loose.join"
    loose.write_bytes(invitation(hosts[0]).read_bytes())
    loose.chmod(0o644)
    ran = hosts[1].elias("join", hosts[0].address, "-t", str(loose))
    assert (ran.returncode, f"chmod 600 {loose}" in ran.stderr) == (1, True), ran.stderr


def test_nobody_answers_where_no_head_is(hosts: list[Host]) -> None:
    ran = hosts[1].elias("join", f"{hosts[0].address}:9", "-t", str(invitation(hosts[0])))
    assert (ran.returncode, "nothing answers at" in ran.stderr) == (3, True), ran.stderr


def test_a_cluster_on_loopback_invites_nobody_and_only_a_node_leaves(hosts: list[Host]) -> None:
    assert "is the head of its cluster" in hosts[0].elias("leave").stderr
    ran = hosts[1].elias("invite", "nobody.join")
    assert (ran.returncode, "elias up --head" in ran.stderr) == (1, True), ran.stderr


def test_machines_join_and_work_goes_where_it_belongs(hosts: list[Host]) -> None:
    head, second, third = hosts
    join(second, head, "--label", "inference")
    join(third, head, "--discover", "--label", "storage", "--label", "inference")
    known = until(lambda: found if len(found := head.nodes()) == 3 else None)
    assert known["host2"]["report"]["labels"] == ["inference"]
    assert known["host3"]["report"]["labels"] == ["storage", "inference"]
    assert where(head, "on-storage", "--label", "storage") == third.address
    for host in (head, second):
        again = host.elias("join", head.address, "-t", str(invitation(head)))
        assert (again.returncode, "part of a cluster already" in again.stderr) == (1, True), again.stderr


def test_the_root_supervisor_comes_back_where_its_managers_are(hosts: list[Host]) -> None:
    """From another machine it would end each of them by a task that has to start at the head first."""
    killed = hosts[0].titled("ray::Root")
    assert killed is not None
    killed.kill()
    until(lambda: (root := hosts[0].titled("ray::Root")) and root.pid != killed.pid)
    assert [host.titled("ray::Root") for host in hosts[1:]] == [None, None]


def test_nobody_is_told_anything_on_the_network_who_does_not_say_who_he_is(hosts: list[Host]) -> None:
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


def test_a_node_that_leaves_finishes_what_it_has_and_is_forgotten(hosts: list[Host]) -> None:
    head, second, third = hosts
    gate = head.folder / "end"
    waits = f"while [ ! -e {gate} ]; do sleep 0.1; done"
    head.done("run", "--name", "long", "--label", "storage", "--detach", "--", "sh", "-c", waits)
    until(lambda: "long" in [job["id"] for job in head.nodes()["host3"]["report"].get("jobs", ())])
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
