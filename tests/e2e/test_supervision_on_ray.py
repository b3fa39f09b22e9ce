"""The supervision tree on a real Ray on this machine: processes are killed, stopped and made to fail for real."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from federation.errors import Refused
from federation.runtime.cluster import Cluster
from federation.runtime.processes import ActorSpec
from federation.runtime.root import Heartbeat, Member, launch
from federation.runtime.settings import RaySettings
from federation.supervision import Backoff, Child, Supervisor

PATIENCE = 120.0
SETTINGS = RaySettings(cpus=2, gpus=0)


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return seen


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        cluster = Cluster.up(state, SETTINGS, roster="supervised")
        cluster.connect()
        yield cluster
        ray.shutdown()
        cluster.down()


class Federation:
    """A root with children, as an operator sees it."""

    def __init__(self, diary: Path, strategy: str = "one_for_one", intensity: int = 20, **more: Any) -> None:
        self.diary = diary
        names = ("a", "b", "c")
        below: tuple[Child | Supervisor, ...] = tuple(Child(n) for n in names)
        group = Supervisor("group", strategy, intensity, 60, below, Backoff(0.05, 2, 0.2), False)  # type: ignore[arg-type]
        agents = Supervisor("agent", "one_for_one", 3, 60, ())
        spec = Supervisor("top", "one_for_one", 3, 60, (Child("hook"), group, agents))
        actors = [ActorSpec(n, "supervised:Failing", {"name": n, "diary": diary}) for n in names]
        actors.append(ActorSpec("hook", "supervised:Hook"))
        actors.append(ActorSpec("agent", "supervised:Steady", {"diary": diary}, per_node=True))
        self.root = launch(spec, tuple(actors), Heartbeat(**{"every": 0.3, "hung_after": 1.5, **more}), hook="hook")

    def members(self) -> dict[str, Member]:
        return {m.name: m for m in ray.get(self.root.tree.remote(), timeout=PATIENCE)}

    def settled(self) -> dict[str, Member]:
        """The members once every child runs, the agent of this node too."""

        def look() -> dict[str, Member] | None:
            members = self.members()
            served = all(m.status == "running" for m in members.values())
            return members if served and any(name.startswith("agent.") for name in members) else None

        return eventually(look)  # type: ignore[no-any-return]

    def replaced(self, name: str, pid: int) -> dict[str, Member]:
        eventually(lambda: self.members()[name].pid not in (0, pid))
        return self.settled()

    def events(self, event: str = "start") -> list[str]:
        lines = [line.split() for line in self.diary.read_text().splitlines()]
        return [name for what, name, _ in lines if what == event and "." not in name]

    def end(self) -> None:
        ray.get(self.root.stop.remote(), timeout=PATIENCE)
        ray.kill(self.root, no_restart=True)
        eventually(lambda: not named("root"))


def named(name: str) -> bool:
    try:
        ray.get_actor(f"elias.{name}", "elias")
    except ValueError:
        return False
    return True


@pytest.fixture
def federation(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Federation]:
    federation = Federation(tmp_path / "diary", **getattr(request, "param", {}))
    federation.settled()
    yield federation
    federation.end()


def test_a_killed_child_is_replaced_and_the_others_run_on(federation: Federation) -> None:
    before = federation.members()
    os.kill(before["b"].pid, signal.SIGKILL)
    after = federation.replaced("b", before["b"].pid)
    assert after["b"].restarts == 1
    assert (after["a"].pid, after["c"].pid) == (before["a"].pid, before["c"].pid)
    handle = ray.get_actor("elias.b", "elias")
    assert ray.get(handle.ping.remote(), timeout=PATIENCE)["pid"] == after["b"].pid


def test_a_child_that_hangs_is_ended_before_it_is_replaced(federation: Federation) -> None:
    before = federation.members()
    os.kill(before["b"].pid, signal.SIGSTOP)
    federation.replaced("b", before["b"].pid)
    assert not psutil.pid_exists(before["b"].pid)


@pytest.mark.parametrize("federation", [{"strategy": "rest_for_one"}], indirect=True)
def test_rest_for_one_replaces_the_child_and_those_after_it_in_order(federation: Federation) -> None:
    before = federation.members()
    os.kill(before["b"].pid, signal.SIGKILL)
    after = federation.replaced("b", before["b"].pid)
    assert after["a"].pid == before["a"].pid
    assert federation.events() == ["a", "b", "c", "b", "c"]
    assert not psutil.pid_exists(before["c"].pid)


@pytest.mark.parametrize("federation", [{"intensity": 2}], indirect=True)
def test_a_child_that_fails_too_often_stays_down_until_a_person_resumes_it(federation: Federation) -> None:
    broken = federation.diary.with_suffix(".broken")
    broken.touch()
    os.kill(federation.members()["b"].pid, signal.SIGKILL)
    eventually(lambda: federation.members()["group"].status == "gave up")
    hook = ray.get_actor("elias.hook", "elias")
    told = eventually(lambda: ray.get(hook.all.remote(), timeout=PATIENCE))
    assert told == [{"supervisor": "group", "child": "b", "restarts": 2, "window": 60}]
    assert not any(named(name) for name in "abc")
    assert named("hook"), "what did not fail runs on"

    broken.unlink()
    ray.get(federation.root.resume.remote("group"), timeout=PATIENCE)
    federation.settled()


def test_a_killed_root_comes_back_and_adopts_its_children(federation: Federation) -> None:
    before = federation.members()
    os.kill(ray.get(federation.root.ping.remote(), timeout=PATIENCE)["pid"], signal.SIGKILL)
    after = federation.settled()
    assert {n: m.pid for n, m in after.items()} == {n: m.pid for n, m in before.items()}
    assert federation.events() == ["a", "b", "c"]
    os.kill(after["a"].pid, signal.SIGKILL)
    federation.replaced("a", after["a"].pid)


@pytest.mark.parametrize("federation", [{"intensity": 0}], indirect=True)
def test_a_root_made_anew_does_not_start_what_had_given_up(federation: Federation) -> None:
    os.kill(federation.members()["b"].pid, signal.SIGKILL)
    eventually(lambda: federation.members()["group"].status == "gave up")
    os.kill(ray.get(federation.root.ping.remote(), timeout=PATIENCE)["pid"], signal.SIGKILL)
    eventually(lambda: federation.members()["hook"].status == "running")
    assert federation.members()["group"].status == "gave up"
    ray.get(federation.root.resume.remote("group"), timeout=PATIENCE)
    federation.settled()


def test_stopping_drains_the_children_in_reverse_order(cluster: Cluster, tmp_path: Path) -> None:
    federation = Federation(tmp_path / "diary")
    pids = [m.pid for m in federation.settled().values() if m.pid]
    federation.end()
    assert federation.events("drain") == ["c", "b", "a"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_each_node_has_its_agent_and_a_node_that_leaves_takes_it_along(
    cluster: Cluster, federation: Federation
) -> None:
    def agents() -> list[str]:
        running = [m for m in federation.members().values() if m.status == "running" and m.pid]
        return [m.name for m in running if m.name.startswith("agent.")]

    assert len(agents()) == 1
    node = join(cluster)
    try:
        eventually(lambda: len(agents()) == 2)
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()
    eventually(lambda: len(agents()) == 1)
    assert "gave up" not in {m.status for m in federation.members().values()}


def join(cluster: Cluster) -> "subprocess.Popen[bytes]":
    """A second node on this machine, under another address of the loopback network."""
    flags = ["--block", "--node-ip-address=127.0.0.3", "--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000"]
    ports = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
    env = {**os.environ, **cluster.environment()}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={cluster.address}", *flags, *ports]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, start_new_session=True)


def test_up_twice_attaches_to_the_first(cluster: Cluster) -> None:
    again = Cluster.up(cluster.state_dir, SETTINGS)
    assert (again.address, again.pid, again.owner) == (cluster.address, cluster.pid, False)


def own(state: Path, ready: Any) -> None:
    cluster = Cluster.up(state, SETTINGS)
    ready.put((os.getpid(), cluster.pid, cluster.owner))
    signal.pause()


def test_two_starts_at_once_make_one_cluster_and_nothing_outlives_its_owner(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Queue()
    starters = [spawn.Process(target=own, args=(tmp_path, ready)) for _ in range(2)]
    for starter in starters:
        starter.start()
    seen = [ready.get(timeout=60) for _ in starters]
    assert len({pid for _, pid, _ in seen}) == 1
    assert sorted(owner for *_, owner in seen) == [False, True]

    cluster = Cluster.attach(tmp_path)
    assert cluster is not None
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    for starter in starters:
        starter.kill()
        starter.join()
    eventually(lambda: Cluster.attach(tmp_path) is None)

    second = Cluster.up(tmp_path, SETTINGS)
    assert second.owner
    assert second.pid != cluster.pid
    processes = second.processes()
    assert len(processes) > 5
    second.down()
    assert [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert Cluster.attach(tmp_path) is None
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_port_in_use_is_refused_with_a_cure(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        with pytest.raises(Refused, match="another port") as refused:
            Cluster.up(tmp_path, RaySettings(port=taken.getsockname()[1]))
    assert refused.value.code == "port-in-use"


def test_an_address_file_of_a_dead_cluster_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "ray.json").write_text(
        '{"address":"127.0.0.2:1","dashboard":"","pid":1,"started":0.0,"mark":"m","temp_dir":"/nowhere"}'
    )
    assert Cluster.attach(tmp_path) is None
    (tmp_path / "ray.json").write_text("half a fi")
    assert Cluster.attach(tmp_path) is None
