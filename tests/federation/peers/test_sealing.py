"""What a cluster lets in from its peers: nothing that was changed, taken before or sent in a circle. Each refusal has
its code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import Refused
from federation.peers import sealing
from federation.peers.messages import LARGEST, OFFER, Offer, Work
from federation.peers.sealing import ANSWER, SEAL, SIGNATURE, Door, Known, Seal, sign, signed_bytes
from federation.peers.window import MOST, YOUNG, Window

NOW = 1_700_000_000_000
BODY = msgspec.json.encode(Offer("ab" * 16, "train", Work(("true",))))
EAST, WEST, NORTH = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (1, 2, 3))
KEYS = {"east": EAST, "west": WEST, "north": NORTH}
KNOWN = {name: Known(key.public_key(), (name.encode(),)) for name, key in KEYS.items()}


def door(name: str = "west", since: int = NOW - 10 * YOUNG) -> Door:
    return Door(name, {peer: known for peer, known in KNOWN.items() if peer != name}, Window(since))


SEALED = Seal("east", "west", "01" * 16, NOW, ("east",))


@dataclass
class Sent:
    """An offer of east to west, of which one thing is changed."""

    seal: Seal = SEALED
    key: Ed25519PrivateKey = EAST
    signs: Mapping[str, Any] = field(default_factory=dict)
    """What is signed instead of what is sent."""
    method: str = "POST"
    path: str = OFFER
    body: bytes = BODY
    certificate: bytes = b"east"
    drop: str = ""
    now: int = NOW

    def to(self, there: Door) -> Seal:
        told = {"method": self.method, "path": self.path, "body": self.body} | dict(self.signs)
        headers = sign(self.key, self.seal, told["method"], told["path"], told["body"])
        headers.pop(self.drop, None)
        return there.check(self.method, self.path, headers, self.body, self.certificate, self.now)


def seal(**changes: Any) -> Seal:
    return msgspec.structs.replace(SEALED, **changes)


def test_a_message_of_a_peer_is_let_in_once() -> None:
    there = door()
    assert Sent().to(there) == SEALED
    with pytest.raises(Refused) as error:
        Sent().to(there)
    assert error.value.code == "peer-repeated"
    assert Sent(seal(id="02" * 16)).to(there).id == "02" * 16


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(Sent(drop=SEAL), "peer-unsigned", id="no_seal"),
        pytest.param(Sent(drop=SIGNATURE), "peer-signature", id="no_signature"),
        pytest.param(Sent(seal(v=2)), "peer-version", id="another_version"),
        pytest.param(Sent(seal(sender="south", hops=("south",))), "peer-unknown", id="nobody_knows_it"),
        pytest.param(Sent(seal(sender="West")), "peer-unsigned", id="no_name"),
        pytest.param(Sent(seal(id="1")), "peer-unsigned", id="no_id"),
        pytest.param(Sent(key=NORTH), "peer-signature", id="the_key_of_another_peer"),
        pytest.param(Sent(certificate=b"north"), "peer-certificate", id="the_certificate_of_another_peer"),
        pytest.param(Sent(certificate=b""), "peer-certificate", id="no_certificate"),
        pytest.param(Sent(signs={"body": BODY + b" "}), "peer-signature", id="another_body"),
        pytest.param(Sent(signs={"path": "/peers/v1/look"}), "peer-signature", id="another_path"),
        pytest.param(Sent(signs={"method": ANSWER}), "peer-signature", id="an_answer"),
        pytest.param(Sent(seal(recipient="north")), "peer-recipient", id="for_another"),
        pytest.param(Sent(now=NOW + YOUNG + 1), "peer-late", id="too_old"),
        pytest.param(Sent(now=NOW - YOUNG - 1), "peer-late", id="of_the_future"),
        pytest.param(Sent(seal(hops=("west", "east"))), "peer-loop", id="back_where_it_was"),
        pytest.param(Sent(seal(hops=("east", "north", "east"))), "peer-loop", id="twice_at_its_sender"),
        pytest.param(Sent(seal(hops=("a", "b", "c", "east"))), "peer-hops", id="too_many_hops"),
        pytest.param(Sent(seal(hops=("north",))), "peer-hops", id="hops_without_its_sender"),
        pytest.param(Sent(body=b" " * (LARGEST + 1)), "peer-size", id="too_large"),
    ],
)
def test_what_is_not_let_in_is_told_why_and_what_to_do(sent: Sent, code: str) -> None:
    with pytest.raises(Refused) as error:
        sent.to(door())
    assert error.value.code == code
    assert error.value.cure


def test_a_message_that_came_by_others_is_let_in() -> None:
    assert Sent(seal(hops=("north", "east"))).to(door()).hops == ("north", "east")


def test_what_was_sent_before_a_restart_is_not_taken_after_it() -> None:
    """For what was taken before it, nobody remembers."""
    with pytest.raises(Refused, match="before this process began"):
        Sent().to(door(since=NOW + 1))


def test_who_is_refused_uses_up_nothing() -> None:
    there = door()
    for _ in range(3):
        with pytest.raises(Refused, match="signature"):
            Sent(key=NORTH).to(there)
    assert Sent().to(there)


def test_a_flood_of_one_peer_leaves_the_others_alone() -> None:
    window = Window(0)
    for number in range(MOST):
        window.take("east", str(number), NOW, NOW)
    with pytest.raises(Refused) as error:
        window.take("east", "one more", NOW, NOW)
    assert error.value.code == "peer-busy"
    window.take("north", "0", NOW, NOW)
    later = NOW + 2 * YOUNG + 1
    window.take("east", "one more", later, later)  # and what is old is forgotten


@given(st.lists(st.tuples(st.integers(0, 3 * YOUNG), st.integers(0, 9), st.integers(-YOUNG, YOUNG)), max_size=60))
def test_no_message_is_ever_taken_twice(came: list[tuple[int, int, int]]) -> None:
    """came: how much later (ms), which message, and how far the clock of its sender is off. Each message keeps its
    time."""
    window, now = Window(0), NOW
    sent, taken = dict[int, int](), list[int]()
    for later, message, skew in came:
        now += later
        at = sent.setdefault(message, now + skew)
        try:
            window.take("east", str(message), at, now)
            taken.append(message)
        except Refused:
            pass
    assert len(taken) == len(set(taken))


_names = st.sampled_from(["east", "west", "north"])
_seals = st.builds(
    Seal,
    _names,
    _names,
    st.sampled_from(["01" * 16, "02" * 16]),
    st.integers(NOW, NOW + 2),
    st.lists(_names, min_size=1, max_size=3).map(tuple),
)
_said = st.tuples(_seals, st.sampled_from(["POST", "ANSWER"]), st.sampled_from(["/a", "/ab"]), st.binary(max_size=2))


@given(_said, _said)
def test_no_two_messages_have_the_same_bytes_signed(one: Any, other: Any) -> None:
    assert (signed_bytes(*one) == signed_bytes(*other)) == (one == other)


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_any_headers_are_refused_and_nothing_worse(raw: bytes, signature: bytes) -> None:
    headers = {SEAL: raw.decode("latin-1"), SIGNATURE: signature.decode("latin-1")}
    with pytest.raises(Refused):
        door().check("POST", OFFER, headers, BODY, b"east", NOW)


_anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_anything)
def test_any_seal_is_refused_and_nothing_worse(made: Any) -> None:
    headers = {SEAL: sealing._text(msgspec.json.encode(made)), SIGNATURE: ""}
    with pytest.raises(Refused):
        door().check("POST", OFFER, headers, BODY, b"east", NOW)


# -- answers -----------------------------------------------------------------------------------------------------------

ASKED = Seal("west", "east", "01" * 16, NOW, ("west",))


@pytest.mark.parametrize(
    ("answer", "key", "code"),
    [
        pytest.param(SEALED, EAST, "", id="to_what_was_asked"),
        pytest.param(seal(id="02" * 16), EAST, "peer-answer", id="to_another_message"),
        pytest.param(seal(sender="north", hops=("north",)), NORTH, "peer-answer", id="of_another_peer"),
        pytest.param(seal(recipient="north"), EAST, "peer-answer", id="for_another_peer"),
        pytest.param(seal(time=NOW - 2 * YOUNG), EAST, "peer-late", id="of_yesterday"),
        pytest.param(SEALED, NORTH, "peer-signature", id="with_another_key"),
    ],
)
def test_an_answer_is_of_whom_was_asked_to_what_was_asked(answer: Seal, key: Ed25519PrivateKey, code: str) -> None:
    headers = sign(key, answer, ANSWER, OFFER, b"{}")
    if not code:
        door().check_answer(ASKED, OFFER, headers, b"{}", NOW)
        return
    with pytest.raises(Refused) as error:
        door().check_answer(ASKED, OFFER, headers, b"{}", NOW)
    assert error.value.code == code
