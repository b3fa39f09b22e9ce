"""A machine is told to start its ELIAS anew: by the API and the command, by its agent, and by what keeps it."""

import asyncio
import getpass
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

import tiki
from federation.effects import Order
from federation.errors import Refused
from federation.runtime.root import Member
from federation.settings import shipped_specs
from managers.uim import membership, restarting, rolling
from managers.uim.launch import AGENT, LEAVE
from managers.uim.restarting import ORDERED, TAKEN, Restart, Wanted
from managers.uim.rolling import Rolling

from . import conftest
from .conftest import NODE, House, event
from .test_cli import Elias, elias

__all__ = ["elias"]


# -- on the machine ----------------------------------------------------------------------------------------------------


def order(decision: str = "d1", patience: float = 60.0) -> Order:
    return Order(decision, "uim.restart", "n1", "restart", {}, "node.restart", 1, 1, 10**18, {"patience": patience})


async def keeps(folder: Path) -> Wanted:
    """What keeps the machine takes the order."""
    while (wanted := restarting.take(folder)) is None:
        await asyncio.sleep(0)
    return wanted


async def test_the_agent_hands_the_order_on_and_it_is_taken_once(tmp_path: Path) -> None:
    outcome, wanted = await asyncio.gather(Restart(tmp_path).do(order()), keeps(tmp_path))
    assert (outcome.status, wanted) == ("done", Wanted("d1", 60.0))
    assert restarting.take(tmp_path) is None
    assert (await Restart(tmp_path).probe(order())).status == "done"
    assert (await Restart(tmp_path).probe(order("d2"))).status == "unknown"


async def test_where_nobody_takes_it_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarting, "TAKES", 0.0)
    (tmp_path / TAKEN).write_bytes(b"not an order")
    assert (await Restart(tmp_path).do(order())).status == "failed"
    assert not (tmp_path / ORDERED).exists()


class Kept:
    """A node that is up, and the clock by which it is kept so."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.now, self.said = folder, 0.0, list[str]()
        monkeypatch.setattr(membership.time, "monotonic", lambda: self.now)
        self.restart = membership._Restart(folder, 10.0, self.said.append)
        (folder / AGENT).touch()

    def told(self, patience: float) -> bool:
        (self.folder / ORDERED).write_bytes(b'{"decision": "d1", "patience": %d}' % patience)
        return self.restart.due()

    @property
    def leaving(self) -> bool:
        return (self.folder / LEAVE).exists()

    def leaves(self) -> None:
        (self.folder / AGENT).unlink()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(tmp_path, monkeypatch)


def test_a_node_is_started_anew_once_it_has_left_for_that(kept: Kept) -> None:
    assert not kept.restart.due()
    assert (kept.told(60), kept.leaving) == (False, True)
    kept.leaves()
    assert kept.restart.due()


def test_a_node_whose_jobs_take_too_long_stays(kept: Kept) -> None:
    kept.told(60)
    kept.now = 69.0  # to say goodbye takes 10 s of its own
    assert (kept.restart.due(), kept.leaving) == (False, True)
    kept.now = 71.0
    assert (kept.restart.due(), kept.leaving) == (False, False)
    assert "takes work as before" in kept.said[-1]
    assert (kept.told(60), kept.leaving) == (False, True)  # and may be told again


def test_a_node_that_was_just_leaving_when_it_was_called_off_is_started_all_the_same(kept: Kept) -> None:
    kept.told(60)
    kept.now = 71.0
    kept.restart.due()
    kept.leaves()
    assert kept.restart.due()


def test_a_cluster_that_is_lost_meanwhile_is_no_goodbye(kept: Kept) -> None:
    kept.told(60)
    kept.restart.forget()
    kept.leaves()
    (kept.folder / LEAVE).unlink()
    assert not kept.restart.due()


def test_who_leaves_for_good_after_a_restart_was_called_off_is_not_started(kept: Kept) -> None:
    kept.told(60)
    kept.now = 71.0
    kept.restart.due()
    (kept.folder / LEAVE).touch()
    kept.leaves()
    assert not kept.restart.due()


# -- the order of the machines -----------------------------------------------------------------------------------------


def node(name: str, actor: str = "", status: str = "up", **more: Any) -> dict[str, Any]:
    base = {"name": name, "status": status, "silence": 1.0, "elias": "2", "head": False}
    return base | {"report": {"actor": actor or f"elias.agent.{name}"}} | more


HEAD = node("a", head=True)


def test_the_head_comes_last() -> None:
    slurm = {"name": "slurm/x", "status": "up", "report": {}}
    assert list(rolling.begin([HEAD, slurm, node("c"), node("b")], [], "2").left) == ["b", "c", "a"]
    assert list(rolling.begin([HEAD, node("c"), node("b")], ["c", "a"], "2").left) == ["c", "a"]


@pytest.mark.parametrize(
    ("nodes", "wanted", "said"),
    [
        ([HEAD, node("b")], ["d"], "no node `d`"),
        ([HEAD, node("b", status="leaving")], [], "silent: b"),
        ([HEAD, node("b", silence=60.0)], [], "silent: b"),
        ([HEAD, node("b", silence=None)], ["b"], "silent: b"),
    ],
    ids=["unknown", "leaving", "silent", "never heard"],
)
def test_it_does_not_begin_where_something_is_wrong(nodes: list[Any], wanted: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        rolling.begin(nodes, wanted, "2")


def test_a_node_that_is_ill_is_in_nobodys_way_who_names_others() -> None:
    assert list(rolling.begin([HEAD, node("b", silence=60.0), node("c")], ["c"], "2").left) == ["c"]


def test_who_goes_on_leaves_out_what_was_done_before_it_could_be_noted(tmp_path: Path) -> None:
    Rolling({"b": "elias.agent.b", "c": "elias.agent.c", "d": "elias.agent.d"}, "2").save(tmp_path, 1e9)
    left = Rolling.of(tmp_path, "2")
    assert left is not None
    assert Rolling.of(tmp_path, "3") is None  # of another upgrade
    found = [node("b", "elias.agent.new"), node("c", "elias.agent.new", elias="1"), node("d")]
    assert rolling.done(left, found) == ["b"]
    assert list(left.without("b").left) == ["c", "d"]
    left.without("b").without("c").without("d").save(tmp_path, 1e9)
    assert Rolling.of(tmp_path, "2") is None


def test_a_restart_grows_old_from_the_last_machine_that_came_back(tmp_path: Path) -> None:
    def kept() -> Rolling:
        found = Rolling.of(tmp_path, "2")
        assert found is not None
        return found

    Rolling({"b": "elias.agent.b", "c": "elias.agent.c"}, "2").save(tmp_path, 1e9)
    assert [kept().stale(1e9 + seconds) for seconds in (0, 172_800, 172_801)] == [False, False, True]
    kept().save(tmp_path, 1e9 + 172_800)  # gone on with in vain
    assert kept().stale(1e9 + 172_801)
    kept().without("b").save(tmp_path, 1e9 + 172_800)
    assert not kept().stale(1e9 + 172_801)


def test_a_restart_that_an_older_elias_noted_is_old(tmp_path: Path) -> None:
    (tmp_path / rolling.FILE).write_text('{"left": {"b": "elias.agent.b"}, "elias": "2"}')
    left = Rolling.of(tmp_path, "2")
    assert left is not None
    assert left.stale(1e9)


def test_of_a_machine_that_has_gone_is_said_how_the_others_are_restarted() -> None:
    assert "`elias restart c a`" in rolling.gone("b", ["b", "c", "a"]).cure
    assert "nothing else is left" in rolling.gone("b", ["b"]).cure


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (None, "has left, and comes back"),
        (node("b", "elias.agent.new", silence=60.0), "has left, and comes back"),
        (node("b"), rolling.CALLED_OFF),
        (node("b", status="leaving"), "ends its jobs"),
        (node("b", status="leaving", report={"actor": "elias.agent.b", "jobs": [{"id": "j1"}]}), "ends its jobs: j1"),
    ],
    ids=["gone", "not heard yet", "up", "leaving", "with a job"],
)
def test_what_is_said_of_a_machine_that_is_not_back(now: dict[str, Any] | None, said: str) -> None:
    assert rolling.words(now, node("b")) == said


# -- the order ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Whose node has an agent, is the head, and runs one job; with the rules that ship."""
    shipped = shipped_specs() / "uim" / "restart.tiki"
    rules = [*conftest.sources(), tiki.Source("uim/restart.tiki", shipped.read_text())]
    monkeypatch.setattr(conftest, "sources", lambda: rules)
    made = House(tmp_path)
    tree = made.link.on_tree
    processes = [Member(name, "elias", "running", 0, 0, 7, "there", "2") for name in ("uim", "agent.0a1b2c3d")]
    report = {"actor": "elias.agent.0a1b2c3d"}
    jobs = {"running": [{"id": "j1", "node": "gpu-1"}]}
    view = {"nodes": [{**NODE, "silence": 1.0, "report": report}], "jobs": jobs}
    monkeypatch.setattr(made.link, "on_tree", lambda child: [*tree(child), *processes])
    monkeypatch.setattr(made.link, "on_view", lambda child: view)
    made.jobs = jobs["running"]  # type: ignore[attr-defined]
    yield made
    made.close()


def test_the_head_is_not_restarted_while_jobs_run(house: House, elias: Elias) -> None:
    elias("restart")
    assert (elias.code, "is not restarted now" in elias.err, "elias explain" in elias.err) == (1, True, True)
    assert elias.json("restart", "--dry-run")["steps"] == [{"node": "gpu-1", "head": True, "elias": "2", "jobs": []}]


def test_a_restart_that_was_broken_off_long_ago_begins_anew(house: House, elias: Elias) -> None:
    left, state = Rolling({"gone": "elias.agent.gone"}, version("elias")), house.settings.state
    left.save(state, time.time())
    elias("restart")
    assert (elias.code, "node gone has gone" in elias.err) == (1, True)
    left.save(state, time.time() - 2 * rolling.STALE)
    steps = elias.json("restart", "--dry-run")["steps"]
    assert [step["node"] for step in steps] == ["gpu-1"]
    assert "is not gone on with" in elias.err


def test_an_order_is_on_record_with_who_gave_it_and_released(house: House, client: httpx.Client) -> None:
    house.jobs.clear()  # type: ignore[attr-defined]
    answer = client.post("/v1/nodes/gpu-1/restart", json={"patience": 5}).json()
    decision = client.get(f"/v1/decisions/{answer['decision']['id']}").json()
    assert (decision["action"], decision["mode"], decision["effect"]) == ("restart", "act", "released")
    assert decision["event"]["data"].pop("counted") > 0
    assert decision["event"]["data"] == {"head": True, "jobs": 0, "patience": 5.0, "by": getpass.getuser()}
    (wish,) = house.federation.gate.state.released.values()
    assert (wish.effect.node, wish.effect.executor, wish.effect.payload) == ("gpu-1", "node.restart", {"patience": 5.0})


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda api: api.post("/v1/nodes/gpu-2/restart", json={}), 404),
        (lambda api: api.post("/v1/nodes/gpu-1/restart", json={"patience": -1}), 422),
        (lambda api: api.post("/v1/events", json=event(type="elias.node.restart", subject="gpu-1", data={})), 422),
        (lambda api: api.post("/v1/events", json=event(type="uim.restart", subject="gpu-1", data={})), 422),
    ],
    ids=["no such node", "no patience", "as an event", "as an event of the point"],
)
def test_what_is_no_order_is_refused(
    house: House, client: httpx.Client, ask: Callable[[httpx.Client], httpx.Response], status: int
) -> None:
    assert ask(client).status_code == status
    assert not house.federation.gate.state.released
