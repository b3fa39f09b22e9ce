"""Two clusters over real TLS on loopback: who is let in, what is answered, and what is known where no answer comes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from federation.errors import EliasError, Refused, Temporary
from federation.peers import identity
from federation.peers.messages import CAPACITY, LARGEST, LOOK, Capacity, Look, Room, Standing
from federation.peers.sealing import Door, Seal
from federation.peers.settings import Peer
from federation.peers.window import Window
from federation.runtime.listening import listening
from managers.ufm.peers import serving
from managers.ufm.peers.line import Line, Unsent
from tests.ports import free_port

ROOM = Room(1000, 1 << 30, 2, 1000, "A100", ("big",))


class Cluster:
    """One of two, of which each has the card of the other. Answers `look` with what it was told."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.port = folder / name, name, free_port()
        self.mine = identity.ours(self.folder, name)
        (folder / f"{name}.card").write_text(identity.card(self.folder, name))
        self.asked: list[tuple[Seal, str]] = []
        self.problem: EliasError | None = None

    def meets(self, other: "Cluster") -> None:
        path = self.folder.parent / f"{other.name}.card"
        known = identity.read_card(path)
        self.door = Door(self.name, {other.name: known}, Window(0))
        peer = Peer(url=f"https://127.0.0.1:{other.port}", card=path)
        self.line = Line(other.name, peer, known, self.mine, self.door)

    async def answer(self, seal: Seal, path: str, body: bytes, now: int) -> msgspec.Struct:
        self.asked.append((seal, path))
        if self.problem:
            raise self.problem
        return Capacity((ROOM,)) if path == CAPACITY else Standing("here")

    @asynccontextmanager
    async def listens(self) -> AsyncIterator[None]:
        server = serving.server(self.mine, self.door, self.answer)
        task = asyncio.create_task(server.serve([listening("127.0.0.1", self.port, "peers")]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    east, west = Cluster(tmp_path, "east"), Cluster(tmp_path, "west")
    east.meets(west)
    west.meets(east)
    yield east, west
    await east.line.close()
    await west.line.close()


LOOKS = Look("ab" * 16, "train")


async def test_each_hears_what_the_other_has_free(two: tuple[Cluster, Cluster]) -> None:
    east, west = two
    async with west.listens():
        told = await east.line.ask(CAPACITY, Capacity(), Capacity)
    assert told.rooms == (ROOM,)
    ((seal, path),) = west.asked
    assert (seal.sender, seal.recipient, seal.hops, path) == ("east", "west", ("east",), CAPACITY)


async def test_a_job_says_by_which_clusters_it_comes(two: tuple[Cluster, Cluster]) -> None:
    east, west = two
    async with west.listens():
        await east.line.ask(LOOK, LOOKS, Standing, ("north",))
        with pytest.raises(Temporary, match="in a circle: west > east > west"):
            await east.line.ask(LOOK, LOOKS, Standing, ("west",))
    assert [seal.hops for seal, _ in west.asked] == [("north", "east")]


async def test_a_refusal_and_a_problem_are_not_the_same(two: tuple[Cluster, Cluster]) -> None:
    east, west = two
    async with west.listens():
        west.problem = Refused("peer-limit", "two of its jobs are here", cure="wait")
        with pytest.raises(Refused, match="two of its jobs are here") as error:
            await east.line.ask(LOOK, LOOKS, Standing)
        assert error.value.code == "peer-limit"
        west.problem = Temporary("urm is being restarted")
        with pytest.raises(Temporary, match="urm is being restarted"):
            await east.line.ask(LOOK, LOOKS, Standing)


async def test_nobody_there_means_that_nothing_was_heard(two: tuple[Cluster, Cluster]) -> None:
    with pytest.raises(Unsent):
        await two[0].line.ask(LOOK, LOOKS, Standing)


async def test_who_shows_another_certificate_is_not_heard(two: tuple[Cluster, Cluster], tmp_path: Path) -> None:
    """Neither a stranger who asks, nor a stranger who answers at the peer's address."""
    east, west = two
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "west.card").write_text((tmp_path / "west.card").read_text())
    stranger = Cluster(tmp_path / "elsewhere", "east")
    stranger.meets(west)
    async with west.listens():
        with pytest.raises(Temporary):
            await stranger.line.ask(LOOK, LOOKS, Standing)
    assert west.asked == []
    stranger.port = west.port
    async with stranger.listens():
        with pytest.raises(Unsent, match=r"(?i)certificate"):
            await east.line.ask(LOOK, LOOKS, Standing)
    await stranger.line.close()
    assert stranger.asked == []


async def test_a_certificate_alone_does_nothing(two: tuple[Cluster, Cluster]) -> None:
    east, west = two
    known = identity.read_card(east.folder.parent / "west.card")
    context = identity.context(east.mine, ssl.Purpose.SERVER_AUTH, [known])
    async with west.listens(), httpx.AsyncClient(verify=context, trust_env=False) as client:
        url = f"https://127.0.0.1:{west.port}{LOOK}"
        for body in (b"", b"{}", b"x" * (LARGEST + 1)):
            assert (await client.post(url, content=body)).status_code == 403
        assert (await client.get(url)).status_code == 403
    assert west.asked == []


async def test_who_speaks_no_tls_gets_nothing(two: tuple[Cluster, Cluster]) -> None:
    west = two[1]
    async with west.listens(), httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://127.0.0.1:{west.port}{LOOK}")
    assert west.asked == []
