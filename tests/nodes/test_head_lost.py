"""The head of a cluster is cut off, another machine takes over from the ledger, and the old one comes back: with the
commands that a person types, on a real PostgreSQL that no host has."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from federation.ledger.store import Store
from federation.records import Kind
from federation.runtime.certificates import Authority
from federation.runtime.invitation import Invitation
from tests.e2e.beside import hasty
from tests.e2e.waiting import until
from tests.federation.ledger.postgres import Postgres
from tests.nodes.hosts import Host, heard, network


class Site(NamedTuple):
    """The first host is the head, the second stands by, the third is a node. ledger: its URL."""

    hosts: list[Host]
    ledger: str


UNFIT = {
    "no token of its cluster": ["up", "--head"],
    "asks for a certificate": ["join", "{head}", "--token-file", "{folder}/without.join"],
    "is not of this invitation's cluster": ["join", "{head}", "--token-file", "{folder}/strange.join"],
}
"""What a machine is told that does not fit, and what it tries."""


def unfit(token: Path) -> None:
    """Invitations to the same head: without certificates, and with those of another cluster."""
    good = Invitation.load(token)
    msgspec.structs.replace(good, authority=None).save(token.with_name("without.join"))
    msgspec.structs.replace(good, authority=Authority.made()).save(token.with_name("strange.join"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hosts")
    with network(folder, 3) as (first, second, third), Postgres.running(first.outside) as postgres:
        ledger, token = postgres.new_url(), str(folder / "cluster.join")
        for host in (first, second):
            host.set(f"ledger:\n  url: {ledger}\nspecs: specs\n")
            hasty(host.folder / "specs")
        first.done("up", "--head", "--tls", "--name", first.name, "--detach")
        first.done("invite", token)
        unfit(Path(token))
        for said, words in UNFIT.items():
            ran = second.elias(*(word.format(head=first.address, folder=folder, token=token) for word in words))
            assert (ran.returncode, said in ran.stderr) == (1, True), ran.stderr
        works = ("--label", "works", "--token-file", token, "--detach")
        second.done("up", "--head", "--tls", "--name", second.name, *works)
        third.done("join", first.address, "--name", third.name, *works)
        try:
            yield Site([first, second, third], ledger)
        finally:
            for host in (third, second, first):
                host.elias("down")


def enough(site: Site) -> Path:
    """The file after which the job that moves ends."""
    return site.hosts[0].folder / "enough"


def decides(host: Host, job: str) -> bool:
    """Whether a job that is submitted there is decided about."""
    return host.elias("run", "--name", job, "--detach", "--", "true").returncode == 0


def runs(head: Host, job: str) -> str:
    """The node that says now that it runs this job; empty: none does."""
    for node in head.nodes().values():
        said = node["report"] if node["silence"] is not None and node["silence"] < 5 else None
        if said and job in [one["id"] for one in said.get("jobs", ())]:
            return str(node["name"])
    return ""


def test_a_job_moves_when_its_host_is_cut_off(site: Site) -> None:
    first = site.hosts[0]
    until(lambda: heard(first) == {"host1", "host2", "host3"})
    first.done("mode", "ufm.node_health/drain", "act")
    first.done("mode", "ufm.node_health/readmit", "act")
    waits = f"while [ ! -e {enough(site)} ]; do sleep 0.1; done"
    first.done("run", "--name", "moves", "--restartable", "--label", "works", "--detach", "--", "sh", "-c", waits)
    was = until(lambda: runs(first, "moves"))
    (host,) = (host for host in site.hosts if host.name == was)
    host.cut()
    now = until(lambda: found if (found := runs(first, "moves")) not in ("", was) else "")
    assert {was, now} == {"host2", "host3"}
    host.heal()
    until(lambda: heard(first) == {"host1", "host2", "host3"})


def test_another_machine_takes_over_and_the_old_head_stands_by(site: Site) -> None:
    first, second, _ = site.hosts
    until(lambda: heard(first) == {"host1", "host2", "host3"})
    assert "which its head serves" in second.elias("status").stderr
    assert decides(first, "before")
    first.cut()
    until(lambda: second.ready() and decides(second, "after"))
    until(lambda: {"host2", "host3"} <= heard(second))
    # The old head is up all the same, without the database: what it is told it cannot decide.
    assert not decides(first, "apart")
    first.heal()
    until(lambda: heard(second) == {"host1", "host2", "host3"})
    assert "which its head serves" in first.elias("status").stderr
    assert not decides(first, "stood-down")
    second.done("ledger", "verify")


def test_nobody_has_written_beside_another(site: Site) -> None:
    store = Store.open(site.ledger, read_only=True)
    try:
        headers = [record.header for record in store.read(after=0, upto=store.head().size)]
    finally:
        store.close()
    assert [header.seq for header in headers] == list(range(1, len(headers) + 1))
    assert all(one.epoch <= other.epoch for one, other in pairwise(headers))
    assert {header.subject for header in headers if header.kind == Kind.ASKED} >= {"before", "after"}
    assert not {"apart", "stood-down"} & {header.subject for header in headers}


def test_each_machine_replays_the_ledger_to_the_same_decisions(site: Site) -> None:
    said = [json.loads(host.done("ledger", "replay", "--url", site.ledger, "--json")) for host in site.hosts]
    assert all(one["identical"] and one["decisions"] > 0 for one in said), said


def test_who_stands_by_takes_over_when_the_head_goes_in_order(site: Site) -> None:
    first, second, _ = site.hosts
    second.done("down")
    until(lambda: first.ready() and decides(first, "handed-over"))
    until(lambda: "host3" in heard(first))


def test_the_head_hands_over_when_it_is_started_anew(site: Site) -> None:
    first, second, _ = site.hosts
    second.done("up", "--head", "--name", second.name, "--detach")  # it has the token of the cluster by now
    until(lambda: {"host2", "host3"} <= heard(first))
    if runs(first, "moves"):
        assert "is not restarted now" in first.elias("restart", "host1").stderr
    enough(site).touch()
    until(lambda: first.elias("restart", "host1").returncode == 0)
    until(lambda: second.ready() and decides(second, "handed-over-anew"))
    until(lambda: heard(second) == {"host1", "host2", "host3"})
    assert "which its head serves" in first.elias("status").stderr


def test_a_machine_that_stands_by_can_leave(site: Site) -> None:
    first, second, _ = site.hosts
    assert "stands by already" in first.elias("up", "--head").stderr
    assert "has left the cluster" in first.elias("leave").stderr
    until(lambda: "host1" not in second.nodes())
