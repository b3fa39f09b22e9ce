"""Ray's control store in Redis: it is killed while events flow, Redis itself is lost and comes back, and neither ends a
manager, a job or a decision."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.running import Running
from federation.runtime.session import Session
from tests.e2e.conftest import SETTINGS
from tests.e2e.flow import Flow, check, pid_of
from tests.e2e.waiting import until
from tests.federation.redis_server import PASSWORD, RedisServer

MEMBERS = ("appender", "gate", "ufm", "ucm", "urm", "ulm", "uam", "uim")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer.running() as server:
        yield server


@pytest.fixture(scope="module")
def elias(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("elias"), f"{SETTINGS}ray:\n{redis.lines()}") as running:
        yield running


def session(elias: Running) -> Session:
    found = Session.of(elias.state)
    assert found is not None
    return found


def control_store(elias: Running) -> int:
    """Its pid; 0: it does not run."""
    ours = {process.pid for process in session(elias).processes()}
    named = [p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == "gcs_server"]
    return next((pid for pid in named if pid in ours), 0)


def members(elias: Running) -> dict[str, int]:
    return {name: pid_of(elias, name) for name in MEMBERS}


def runs(elias: Running, seconds: int) -> psutil.Process:
    """A job that lasts so long, which is its name as well."""
    words = ["run", "--name", f"sleeps-{seconds}", "--detach", "--", "sleep", str(seconds)]
    until(lambda: [node for node in elias.get("/v1/nodes")[1]["nodes"] if node["report"]])
    ran = subprocess.run([*elias.command, *words], cwd=elias.folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = [p for p in until(lambda: _sleepers(seconds)) if p.cmdline()[:1] == ["sleep"]]
    return found[0]


def _sleepers(seconds: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", str(seconds)]]


def heals(elias: Running, name: str) -> None:
    """A manager that is killed is made anew, which takes a control store that serves."""
    before = pid_of(elias, name)
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(elias, name) not in (0, before))


def test_a_killed_control_store_is_started_again_and_everything_else_runs_on(elias: Running) -> None:
    job, before, killed = runs(elias, 7331), members(elias), control_store(elias)
    flow = Flow(elias, "control-store")
    flow.start()
    until(lambda: len(flow.acknowledged) > 20)
    os.kill(killed, signal.SIGKILL)
    until(lambda: control_store(elias) not in (0, killed))
    check(elias, flow.finish())
    heals(elias, "urm")
    assert {**members(elias), "urm": 0} == {**before, "urm": 0}
    assert job.is_running()


def test_redis_is_lost_and_comes_back_while_decisions_go_on(elias: Running, redis: RedisServer) -> None:
    job, before, waiting = runs(elias, 7332), members(elias), control_store(elias)
    redis.kill()
    os.kill(waiting, signal.SIGKILL)  # it would end by itself, a minute later
    flow = Flow(elias, "redis")
    flow.start()
    until(lambda: control_store(elias) not in (0, waiting))
    check(elias, flow.finish(100))
    redis.start()
    heals(elias, "ulm")
    assert {**members(elias), "ulm": 0} == {**before, "ulm": 0}
    assert job.is_running()


def test_nobody_sees_the_password(elias: Running) -> None:
    own = session(elias)
    seen = [p.as_dict(["name", "cmdline", "environ"]) for p in own.processes() if p.is_running()]
    assert [one["name"] for one in seen if PASSWORD in str(one["cmdline"])] == []
    assert [one["name"] for one in seen if PASSWORD in str(one["environ"])] == ["gcs_server"]
    files = [p for folder in (elias.folder, Path(own.temp_dir)) for p in folder.rglob("*") if p.is_file()]
    assert [p for p in files if PASSWORD.encode() in p.read_bytes()] == []


def test_the_end_leaves_nothing_in_redis_and_without_redis_it_starts_all_the_same(
    elias: Running, redis: RedisServer
) -> None:
    assert redis.namespaces() == {session(elias).store.namespace}  # type: ignore[union-attr]
    elias.stop()
    assert redis.namespaces() == set()
    redis.kill()
    elias.start()
    assert f"the Redis at 127.0.0.1:{redis.port} does not answer" in elias.log.read_text()
    assert session(elias).store is None
