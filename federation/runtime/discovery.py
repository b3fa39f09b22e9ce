"""A machine that wants to join finds the head of its cluster on the local network, and nobody else finds anything.

It asks by multicast; whoever is the head, and was told to let itself be found, answers it alone. Both prove that they
hold the cluster's token, by HMAC-SHA-256 over what they say: the question names the address that it comes from, so it
is worth nothing to who repeats it from another one, and the answer names the question, so an old one is worth nothing.
A question is as long as the longest answer: nobody makes a head shout at others. The group is of the local scope of RFC
2365, and no router carries it on.
"""

import hashlib
import hmac
import secrets
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address

GROUP, PORT = "239.255.77.63", 6381
ASKS = 3  # times, for a datagram may be lost
EVERY = 1.0  # seconds in which the answers to one question are waited for
RATE = 100.0  # questions looked at in a second; what comes beyond that stays with the kernel, which drops it
LOOK = 0.5  # seconds between two looks at whether enough was answered

_ASK, _ANSWER = b"elias ask 1\0", b"elias ans 1\0"
_NONCE = slice(12, 28)
_PROOF = slice(28, 60)
_LONGEST = 60 + len("255.255.255.255:65535")  # bytes of an answer; every question has as many


def question(token: str, nonce: bytes, source: str) -> bytes:
    """nonce: 16 bytes. source: the IPv4 address that it is sent from."""
    proof = _proof(token, _ASK, nonce, source.encode())
    return (_ASK + nonce + proof).ljust(_LONGEST, b"\0")


def answer(token: str, asked: bytes, source: str, head: str) -> bytes | None:
    """To what came from there; None: to somebody without the token. head: `host:port`."""
    if len(asked) != _LONGEST or not asked.startswith(_ASK):
        return None
    nonce = asked[_NONCE]
    if not hmac.compare_digest(asked[_PROOF], _proof(token, _ASK, nonce, source.encode())):
        return None
    return _ANSWER + nonce + _proof(token, _ANSWER, nonce, head.encode()) + head.encode()


def heard(token: str, said: bytes, nonce: bytes) -> str | None:
    """The head that answers the question with this nonce, as `host:port`; None: this is no answer of our cluster's."""
    head = said[60:]
    if not (60 < len(said) <= _LONGEST and said.startswith(_ANSWER) and hmac.compare_digest(said[_NONCE], nonce)):
        return None
    if not hmac.compare_digest(said[_PROOF], _proof(token, _ANSWER, nonce, head)):
        return None
    return head.decode()  # as one of ours wrote it


def _proof(token: str, kind: bytes, nonce: bytes, words: bytes) -> bytes:
    return hmac.digest(token.encode(), kind + nonce + words, hashlib.sha256)


@contextmanager
def answering(token: str, address: str, head: str) -> Iterator[None]:
    """Within, whoever asks on the network of this address hears where the head is. Raises OSError where the port is
    taken or the address is not of this machine."""
    enough = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _joining(address))
        line.bind((GROUP, PORT))  # not all addresses: what is sent to this machine alone does not arrive
        line.settimeout(LOOK)
        thread = threading.Thread(target=_answer, args=(line, token, head, enough), name="discovery", daemon=True)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()


def _joining(address: str) -> bytes:
    return struct.pack("4s4s", IPv4Address(GROUP).packed, IPv4Address(address).packed)


def _answer(line: socket.socket, token: str, head: str, enough: threading.Event) -> None:
    while not enough.wait(1 / RATE):
        with suppress(OSError):  # nobody asks, or the network is away
            asked, (source, port) = line.recvfrom(_LONGEST + 1)
            said = answer(token, asked, source, head)
            if said is not None:
                line.sendto(said, (source, port))


def find(token: str, addresses: Iterable[str]) -> list[str]:
    """The heads of our cluster that answer on the networks of these addresses of this machine, as `host:port`."""
    with ExitStack() as stack:
        lines = {_line(stack, address): address for address in addresses}
        for _ in range(ASKS):
            if found := _asked(token, lines):
                return sorted(found)
    return []


def _line(stack: ExitStack, address: str) -> socket.socket:
    line = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, IPv4Address(address).packed)
    line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    line.bind((address, 0))
    return line


def _asked(token: str, lines: dict[socket.socket, str]) -> set[str]:
    """What is answered to one question, within its time."""
    nonce, found, deadline = secrets.token_bytes(16), set[str](), time.monotonic() + EVERY
    for line, address in lines.items():
        with suppress(OSError):  # this network carries no multicast
            line.sendto(question(token, nonce, address), (GROUP, PORT))
    while (left := deadline - time.monotonic()) > 0:
        for line in select.select(list(lines), [], [], left)[0]:
            head = heard(token, line.recv(_LONGEST + 1), nonce)
            if head is not None:
                found.add(head)
    return found
