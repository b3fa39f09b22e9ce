"""The addresses that this machine serves at: free, ours, or somebody else's; and the head of a node."""

import errno
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

import psutil

from federation.errors import Refused
from federation.runtime import certificates
from federation.runtime.cluster import port_of_head
from federation.runtime.credentials import tls_folder
from managers.uim import tls
from managers.uim.doctor.finding import ERROR, OK, Code, Finding
from managers.uim.doctor.here import Here

FREE = Code("ports.free", OK, "the port is free for the next start")
OURS = Code("ports.ours", OK, "ELIAS holds the port")
TAKEN = Code("ports.taken", ERROR, "another program holds the port", "end that program, or set another port")
CLOSED = Code(
    "ports.closed",
    ERROR,
    "ELIAS runs, and nothing listens at its port",
    "see `uim.log` in the logs of the state folder; `elias down`, then `elias up`",
)
ADDRESS = Code("ports.address", ERROR, "this machine has no such address", "set it to an address of this machine")
FORBIDDEN = Code(
    "ports.forbidden", ERROR, "this user may not listen at the port", "take a port above 1023, with a proxy in front"
)
PLAIN = Code(
    "ports.plain",
    ERROR,
    "other machines would reach the API without TLS; `elias up` refuses it",
    "start with `elias up --tls`",
)
HEAD = Code("ports.head", OK, "the head of the cluster takes connections")
NO_HEAD = Code(
    "ports.no_head",
    ERROR,
    "the head of the cluster does not take connections",
    "see that `elias up --head` runs there, and that no firewall is in between",
)
REFUSES = Code(
    "ports.head_refuses",
    ERROR,
    "the head and this machine do not take one another's certificates",
    "make a new invitation at the head, and join again",
)

REACHED = 3.0  # seconds in which a head takes a connection


class Port(NamedTuple):
    """holder: who listens there, as `name (pid N)`; empty: nobody. problem: why nobody could; 0: somebody could."""

    setting: str
    host: str
    port: int
    holder: str = ""
    ours: bool = False
    problem: int = 0


def check(here: Here) -> Iterator[Finding]:
    if here.role != "head":
        yield from _head(here)
    if here.role == "node":
        return
    listen, ray = here.settings.listen, here.settings.ray
    try:
        tls.check(listen)
    except Refused as error:
        yield PLAIN.found(error.message, error.place, error.cure)
    wanted = [("listen.port", listen.host, listen.port)]
    if here.settings.peers.host:
        wanted.append(("peers.port", here.settings.peers.host, here.settings.peers.port))
    if not here.serves or here.role == "standby":
        host = "127.0.0.2" if ray.address == "127.0.0.1" else ray.address
        wanted.append(("ray.port", host, port_of_head(ray)))
        wanted.append(("ray.dashboard_port", "127.0.0.1", ray.dashboard_port))
    ours = here.pids()
    for setting, host, port in wanted:
        if port:
            yield judge(observe(setting, host, port, ours), runs=here.runs)


def observe(setting: str, host: str, port: int, ours: frozenset[int]) -> Port:
    """ours: pids of what runs for this state folder."""
    listening = [
        one.pid
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and _meets(one.laddr.ip, host)
    ]
    if listening:
        pid = listening[0]
        # Whose socket it is the kernel tells its owner and root alone.
        return Port(setting, host, port, _name(pid), pid in ours)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Port(setting, host, port, problem=error.errno or errno.EINVAL)
    return Port(setting, host, port)


def judge(seen: Port, *, runs: bool) -> Finding:
    """runs: ELIAS is up here."""
    at = f"{seen.host}:{seen.port}"
    if seen.holder:
        return (
            OURS.found(f"{seen.holder} listens at {at}", seen.setting)
            if seen.ours
            else TAKEN.found(f"{seen.holder} listens at {at}", seen.setting)
        )
    if runs:
        return CLOSED.found(f"nothing listens at {at}", seen.setting)
    match seen.problem:
        case 0:
            return FREE.found(f"{at} is free", seen.setting)
        case errno.EADDRNOTAVAIL | errno.EINVAL:
            return ADDRESS.found(f"{seen.host} is no address of this machine", seen.setting)
        case errno.EACCES | errno.EPERM:
            return FORBIDDEN.found(f"{at} is for root alone", seen.setting)
        case other:
            return TAKEN.found(f"{at}: {os.strerror(other)}", seen.setting)


def _meets(bound: str, host: str) -> bool:
    """Whether who listens at `bound` is in the way of who would at `host`."""
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return bound == host or bound in everywhere or host in everywhere or (host == "localhost" and _loopback(bound))


def _loopback(address: str) -> bool:
    return ip_address(address).is_loopback


def _name(pid: int | None) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else "a program of another user"
    except psutil.Error:
        return f"a program (pid {pid})"


def _head(here: Here) -> Iterator[Finding]:
    if here.session is None:
        yield NO_HEAD.found("this machine waits for its head to come back", "elias join")
        return
    host, _, port = here.session.address.rpartition(":")
    folder = tls_folder(here.settings.state, head=False)
    try:
        if folder.exists():
            certificates.check(here.session.address, folder)
        else:
            socket.create_connection((host, int(port)), REACHED).close()
    except Refused as error:
        yield REFUSES.found(error.message, here.session.address, error.cure)
    except OSError as error:
        yield NO_HEAD.found(error.strerror or str(error), here.session.address)
    else:
        yield HEAD.found("the head answers", here.session.address)
