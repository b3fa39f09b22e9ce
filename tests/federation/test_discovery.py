"""The head of a cluster is found by who holds its token, over real sockets, and by nobody else."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from federation.runtime import discovery
from federation.runtime.discovery import GROUP, PORT, answer, answering, find, heard, question

HERE = "127.0.0.1"
TOKEN, OTHER = "a" * 64, "b" * 64
NONCE = bytes(range(16))
HEAD = "10.0.0.1:6380"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers does so at once, and a port of our own keeps other runs on this machine out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        monkeypatch.setattr(discovery, "PORT", probe.getsockname()[1])


def test_a_head_is_found_by_its_own_cluster() -> None:
    with answering(TOKEN, HERE, HEAD):
        assert find(TOKEN, [HERE]) == [HEAD]


def test_of_several_clusters_on_one_network_each_finds_its_own() -> None:
    with answering(TOKEN, HERE, HEAD), answering(OTHER, HERE, "10.0.0.2:6380"):
        assert find(OTHER, [HERE]) == ["10.0.0.2:6380"]
        assert find(TOKEN, [HERE]) == [HEAD]


def test_nobody_answers_who_has_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASKS", 1)
    with answering(TOKEN, HERE, HEAD):
        assert find(OTHER, [HERE]) == []
    assert find(TOKEN, [HERE]) == []  # by then nobody is there


def test_a_head_is_found_though_rubbish_comes_in_between() -> None:
    with answering(TOKEN, HERE, HEAD), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
        for rubbish in (b"", b"\0" * 2000, question(OTHER, NONCE, HERE), question(TOKEN, NONCE, "10.0.0.9")):
            line.sendto(rubbish, (GROUP, discovery.PORT))
        assert find(TOKEN, [HERE]) == [HEAD]


ASKED = question(TOKEN, NONCE, HERE)
SAID = answer(TOKEN, ASKED, HERE, HEAD)


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        (question(OTHER, NONCE, HERE), HERE),
        (ASKED, "10.0.0.9"),
        (ASKED[:-1], HERE),
        (ASKED + b"\0", HERE),
        (b"E" + ASKED[1:], HERE),
        (ASKED[:12] + bytes(16) + ASKED[28:], HERE),
        (SAID, HERE),
        (b"", HERE),
    ],
    ids=["token", "repeated elsewhere", "short", "long", "kind", "nonce", "an answer", "nothing"],
)
def test_to_a_question_without_proof_nothing_is_said(asked: bytes, source: str) -> None:
    assert answer(TOKEN, asked, source, HEAD) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: answer(OTHER, question(OTHER, NONCE, HERE), HERE, HEAD),
        lambda said: answer(TOKEN, question(TOKEN, bytes(16), HERE), HERE, HEAD),
        lambda said: said.replace(b"10.0.0.1", b"10.0.0.6"),
        lambda said: said[:60],
        lambda said: said + b"0" * 100,
        lambda said: ASKED,
        lambda said: b"",
    ],
    ids=["token", "of another question", "address", "no address", "long", "a question", "nothing"],
)
def test_an_answer_without_proof_is_not_heard(spoil: Callable[[bytes], bytes]) -> None:
    assert SAID is not None
    assert heard(TOKEN, SAID, NONCE) == HEAD
    assert heard(TOKEN, spoil(SAID), NONCE) is None


def test_an_answer_is_no_longer_than_its_question() -> None:
    longest = answer(TOKEN, ASKED, HERE, "255.255.255.255:65535")
    assert longest is not None
    assert len(longest) <= len(ASKED)


def test_a_head_whose_address_is_not_of_this_machine_says_so() -> None:
    with pytest.raises(OSError, match="No such device"), answering(TOKEN, "192.0.2.1", HEAD):
        pass


def test_more_than_one_head_is_told_as_that() -> None:
    with ExitStack() as stack:
        for head in (HEAD, "10.0.0.3:6380"):
            stack.enter_context(answering(TOKEN, HERE, head))
        assert find(TOKEN, [HERE]) == [HEAD, "10.0.0.3:6380"]


def test_the_port_is_not_that_of_ray() -> None:
    assert PORT not in (6379, 6380)
