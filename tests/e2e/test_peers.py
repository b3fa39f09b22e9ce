"""Two clusters on one machine: a job that finds no room at one runs at the other, once, however the line between them
fails.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from tests.e2e.asking import cli
from tests.e2e.conftest import SETTINGS
from tests.e2e.waiting import until
from tests.ports import free_port


class Relay:
    """Carries bytes to a port, as a network does, until it is cut; what is under way is then cut as well."""

    def __init__(self, to: int) -> None:
        self._to, self.port = to, free_port()
        self._lines: set[asyncio.StreamWriter] = set()
        self._whole, self._ready = True, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        self._end, self._loop = asyncio.Event(), asyncio.get_running_loop()
        server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self._ready.set()
        await self._end.wait()
        server.close()
        self._cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if self._whole:
                there = await asyncio.open_connection("127.0.0.1", self._to)
                self._lines |= {writer, there[1]}
                await asyncio.gather(_pour(reader, there[1]), _pour(there[0], writer))
        writer.close()

    def _cut(self, on: bool = True) -> None:
        self._whole = not on
        for line in self._lines if on else ():
            line.transport.abort()
        self._lines.clear()

    def cut(self, on: bool) -> None:
        self._loop.call_soon_threadsafe(self._cut, on)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)


async def _pour(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await source.read(65536):
            to.write(part)
            await to.drain()
    to.close()


class Pair:
    """East, which has no node with the label `big`, and west, whose only node has it. All that east says to west goes
    through `relay`."""

    def __init__(self, folder: Path) -> None:
        ports = {"east": free_port(), "west": free_port()}
        self.relay = Relay(ports["west"])
        reached = {"east": ports["east"], "west": self.relay.port}
        self.east, self.west = (
            self._made(folder / name, other, ports[name], reached[other])
            for name, other in (("east", "west"), ("west", "east"))
        )
        for one, other in ((self.east, self.west), (self.west, self.east)):
            card = cli(one, "peers", "card").stdout
            (other.folder / "peer.card").write_text(card)

    @staticmethod
    def _made(folder: Path, other: str, port: int, reached: int) -> Running:
        folder.mkdir()
        known = f"{other}: {{url: 'https://127.0.0.1:{reached}', card: peer.card, accepts: true}}"
        peers = f"peers: {{name: {folder.name}, host: 127.0.0.1, port: {port}, every: 1s, known: {{{known}}}}}\n"
        return Running(folder, SETTINGS + peers)

    def submit(self, job: str, script: str, **needs: Any) -> None:
        data = {"command": ["bash", "-c", script], "cpus": 0.1, "labels": ["big"], "anywhere": True} | needs
        event = {"specversion": "1.0", "id": job, "source": "test", "type": "elias.job.submitted", "subject": job}
        status, answer = self.east.request("POST", "/v1/events", event | {"data": data})
        assert status == 200, answer

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.east.get(f"/v1/jobs/{name}")[1]
        return found

    def view(self, of: Running) -> dict[str, Any]:
        (peer,) = of.get("/v1/managers/ufm")[1]["peers"]
        found: dict[str, Any] = peer
        return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("peers"))
    try:
        made.east.start()
        made.west.options = ("--label", "big")
        made.west.start()
        yield made
    finally:
        made.relay.close()
        made.east.stop()
        made.west.stop()


def ended(pair: Pair, job: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = pair.job(job)
        return found if found["state"] in ("done", "failed", "refused", "expired", "unknown", "held") else None

    found = until(look, 120)
    assert found is not None
    return found


def test_a_job_that_finds_no_room_runs_at_the_peer_and_its_end_comes_back(pair: Pair, tmp_path: Path) -> None:
    needs = ("--anywhere", "--label", "big", "--cpu", "0.1")
    script = f"echo x >> {tmp_path}/ran; exit 7"
    done = cli(pair.east, "run", "--name", "fails", *needs, "--", "bash", "-c", script, check=False)
    assert (done.returncode, "failed at west with exit code 7" in done.stderr) == (7, True), done.stderr
    job = pair.job("fails")
    assert (job["state"], job["peer"], job["exit_code"]) == ("failed", "west", 7)
    assert (tmp_path / "ran").read_text() == "x\n"
    there = pair.west.get("/v1/jobs/east.fails")[1]
    assert there["state"] == "failed"
    assert there["admission"]["event"]["source"] == "elias/peer/east"
    assert "west" in cli(pair.east, "peers", "list").stdout


def test_a_job_stays_here_unless_its_submitter_says_otherwise(pair: Pair, tmp_path: Path) -> None:
    pair.submit("stays", f"touch {tmp_path}/ran", anywhere=False)
    pair.submit("goes", "true")
    assert ended(pair, "goes")["peer"] == "west"
    assert pair.job("stays")["state"] == "waiting"
    assert not (tmp_path / "ran").exists()


def test_a_line_that_is_cut_loses_no_job_and_runs_none_twice(pair: Pair, tmp_path: Path) -> None:
    go, ran = tmp_path / "go", tmp_path / "ran"
    pair.submit("far", f"echo x >> {ran}; until [ -e {go} ]; do sleep 0.1; done; exit 3")
    until(ran.exists)
    pair.relay.cut(True)
    until(lambda: not pair.view(pair.east)["heard"] or None)
    pair.submit("here", "exit 0", labels=[])  # both go on
    assert ended(pair, "here")["peer"] == ""
    pair.submit("later", "exit 5")
    assert pair.job("later")["state"] == "waiting"
    go.touch()
    until(lambda: pair.west.get("/v1/jobs/east.far")[1]["state"] == "failed")
    assert pair.job("far")["state"] == "forwarded"
    pair.relay.cut(False)
    assert ended(pair, "far")["exit_code"] == 3
    assert ended(pair, "later")["exit_code"] == 5
    assert ran.read_text() == "x\n"


def test_a_peer_that_dies_and_comes_back_tells_what_became_of_its_jobs(pair: Pair, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    pair.submit("killed", f"echo x >> {ran}; sleep 1000")
    until(ran.exists)
    until(lambda: pair.job("killed")["state"] == "forwarded")
    pair.west.kill()
    pair.submit("meanwhile", "exit 0", labels=[])
    assert ended(pair, "meanwhile")["state"] == "done"
    pair.west.start()
    job = ended(pair, "killed")
    assert job["state"] in ("failed", "unknown"), job
    assert ran.read_text() == "x\n"
