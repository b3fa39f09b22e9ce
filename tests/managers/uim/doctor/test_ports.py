"""Ports: who holds them, and what that means."""

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from federation.runtime import credentials
from federation.runtime.certificates import Authority
from federation.runtime.session import Session
from federation.settings import Listen, Settings
from managers.uim.doctor import ports
from managers.uim.doctor.here import Here
from managers.uim.doctor.ports import Port
from tests.ports import free_port

AT = Port("listen.port", "127.0.0.1", 8600)


@pytest.mark.parametrize(
    ("seen", "runs", "code"),
    [
        (AT, False, "ports.free"),
        (AT, True, "ports.closed"),
        (AT._replace(holder="nginx (pid 7)"), False, "ports.taken"),
        (AT._replace(holder="nginx (pid 7)"), True, "ports.taken"),
        (AT._replace(holder="ray::Uim (pid 7)", ours=True), True, "ports.ours"),
        (AT._replace(problem=errno.EADDRNOTAVAIL), False, "ports.address"),
        (AT._replace(problem=errno.EACCES), False, "ports.forbidden"),
        (AT._replace(problem=errno.EADDRINUSE), False, "ports.taken"),
    ],
)
def test_what_is_seen_of_a_port(seen: Port, runs: bool, code: str) -> None:
    assert ports.judge(seen, runs=runs).code == code


def _head(listen: Listen) -> Here:
    return Here(Settings(listen=listen), None, False, None, "head")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_is_held_is_taken_and_its_holder_is_named(host: str) -> None:
    with socket.socket() as held:
        held.bind((host, 0))
        held.listen()
        port = held.getsockname()[1]
        (found,) = ports.check(_head(Listen(port=port)))
        assert (found.code, str(os.getpid()) in found.seen) == ("ports.taken", True)
        seen = ports.observe("listen.port", "127.0.0.1", port, frozenset({os.getpid()}))
        assert ports.judge(seen, runs=True).code == "ports.ours"


def test_a_port_that_nobody_holds_is_free() -> None:
    assert [one.code for one in ports.check(_head(Listen(port=free_port())))] == ["ports.free"]


def test_an_address_of_another_machine_is_none_of_ours() -> None:
    found = [one.code for one in ports.check(_head(Listen(host="192.0.2.1", tls=True)))]
    assert found == ["ports.address"]


def test_to_be_reached_without_tls_is_an_error() -> None:
    found = [one.code for one in ports.check(_head(Listen(host="0.0.0.0", port=free_port())))]
    assert found == ["ports.plain", "ports.free"]


def test_a_head_that_does_not_take_our_certificate_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:

        def turn_away() -> None:
            line, _ = head.accept()
            line.close()

        threading.Thread(target=turn_away, daemon=True).start()
        address = f"127.0.0.1:{head.getsockname()[1]}"
        credentials.join(tmp_path, "127.0.0.1", "token", Authority.made())
        here = Here(Settings(state=tmp_path), Session(address, "", 1, 1.0, "m", "t", head=False), True, 1, "node")
        assert [one.code for one in ports.check(here)] == ["ports.head_refuses"]
    assert [one.code for one in ports.check(here)] == ["ports.no_head"]


def test_a_node_looks_for_its_head(tmp_path: Path) -> None:
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        address = f"127.0.0.1:{head.getsockname()[1]}"
        session = Session(address, "", 1, 1.0, "m", "/nowhere", head=False)
        here = Here(Settings(state=tmp_path), session, True, 1, "node")
        assert [one.code for one in ports.check(here)] == ["ports.head"]
        standby = Here(Settings(state=tmp_path, listen=Listen(port=free_port())), session, True, 1, "standby")
        assert [one.code for one in ports.check(standby)] == ["ports.head", "ports.free"]
    assert [one.code for one in ports.check(here)] == ["ports.no_head"]
    assert [one.code for one in ports.check(Here(Settings(), None, False, 1, "node"))] == ["ports.no_head"]
