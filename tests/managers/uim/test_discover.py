"""`elias join --discover`: which head a machine joins, and how a head lets itself be found."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from federation.errors import Refused, Temporary
from federation.runtime import credentials, discovery
from federation.runtime.cluster import Cluster
from federation.runtime.invitation import Invitation
from federation.runtime.settings import RaySettings
from federation.settings import Settings
from managers.uim import membership, succession

from .test_cli import Elias, elias

__all__ = ["elias"]

HERE, TOKEN = "127.0.0.1", "a" * 64
INVITATION = Invitation("10.0.0.9:6380", TOKEN)
HEADS = ("10.0.0.1:6380", "10.0.0.2:6380")


@pytest.fixture(autouse=True)
def loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that every machine has, at a port that nobody else uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        monkeypatch.setattr(discovery, "PORT", probe.getsockname()[1])
    monkeypatch.setattr(discovery, "ASKS", 1)
    monkeypatch.setattr(membership, "_addresses", lambda: [HERE])


def discovered(*heads: str) -> Invitation:
    with ExitStack() as stack:
        for head in heads:
            stack.enter_context(discovery.answering(TOKEN, HERE, head))
        return membership.discovered(Settings(), INVITATION)


def test_the_head_that_answers_is_joined() -> None:
    assert discovered(HEADS[0]) == INVITATION.at(HEADS[0])


def test_where_none_or_several_answer_a_person_says_which() -> None:
    with pytest.raises(Temporary, match="no head of this cluster answers"):
        discovered()
    with pytest.raises(Refused, match=r"10\.0\.0\.1:6380, 10\.0\.0\.2:6380"):
        discovered(*HEADS)


@pytest.mark.parametrize("given", [(), ("10.0.0.1", "--discover")], ids=["neither", "both"])
def test_an_address_or_a_search_is_wanted(elias: Elias, given: tuple[str, ...]) -> None:
    elias("join", *given, "--token-file", "cluster.join")
    assert (elias.code, "one of the two" in elias.err) == (1, True)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_head_is_found_where_its_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(RaySettings, "loopback", False)
    credentials.token_file(tmp_path).write_text(TOKEN)
    settings = Settings(state=tmp_path, ray=RaySettings(discoverable=wanted, address=HERE))
    with succession._findable(settings, Cluster(tmp_path, HEADS[0], "", 1), pytest.fail):
        assert discovery.find(TOKEN, [HERE]) == ([HEADS[0]] if wanted else [])


def test_a_head_that_cannot_be_found_is_up_all_the_same(tmp_path: Path) -> None:
    said = list[str]()
    credentials.token_file(tmp_path).write_text(TOKEN)
    settings = Settings(state=tmp_path, ray=RaySettings(discoverable=True, address="192.0.2.1"))
    with succession._findable(settings, Cluster(tmp_path, HEADS[0], "", 1), said.append):
        assert "does not find this head" in said[0]
