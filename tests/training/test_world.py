"""The simulated cluster: the same seed gives the same world, and what is done to it has consequences."""

import copy
from typing import Any

import pytest

from federation.effects import Order
from federation.records import Event, Outcome
from federation.runtime.roster import resolve
from federation.settings import Settings
from managers.roster import MANAGERS
from training.scenarios.catalogue import WORLDS
from training.scenarios.generate import scenario
from training.world import hindsight
from training.world.chances import DEMO, NEVER, Chances
from training.world.fleet import GIB, Task
from training.world.mail import OK
from training.world.matters import Matter, data_of
from training.world.world import World

QUIET = Chances(
    crash=NEVER,
    hang=NEVER,
    rack=NEVER,
    disk=NEVER,
    job=NEVER,
    exit=NEVER,
    stall=NEVER,
    release=NEVER,
    outage=NEVER,
    message=NEVER,
    deaf=NEVER,
    package=NEVER,
    rollout=NEVER,
    storm=NEVER,
    workflow=NEVER,
    dispatch=NEVER,
    profile=NEVER,
)
"""A world in which nothing happens by itself."""


@pytest.fixture
def world() -> World:
    return World(1, 5, QUIET)


def order(executor: str, subject: str, action: str = "", **more: Any) -> Order:
    args = more.pop("args", {})
    return Order(more.pop("decision", f"d {subject}"), "p", subject, action, args, executor, 1, 1, 1 << 62, **more)


def start(world: World, job: str, node: str, task: Task) -> None:
    world.fleet.tasks[job] = task
    assert world.perform(order("job.start", job, "place", args={"node": node, "gpus": [0]})) is None


def task(**how: Any) -> Task:
    data = {"memory": 100 * GIB, "cpus": 4.0, "restartable": True}
    return Task(data, **{"work": 600.0, "plateau": 0.5, **how})


def launched(world: World, key: str, node: str) -> Outcome:
    app, _, number = key.partition("/")
    payload = {"app": app, "instance": int(number), "digest": "x"}
    done = world.perform(order("process.start", key, "start", args={"node": node}, payload=payload))
    assert done is not None
    return done


def status(world: World, key: str) -> dict[str, Any]:
    app, _, number = key.partition("/")
    processes = (p for report in world.reports() for p in report["processes"])
    return next(p for p in processes if (p["app"], p["instance"]) == (app, int(number)))


def lived(seed: int, seconds: float) -> tuple[list[Event], list[dict[str, Any]]]:
    world = World(seed, 20, DEMO)
    world.advance(seconds)
    return world.take_asks(), list(world.reports())


def test_the_same_seed_gives_the_same_world() -> None:
    assert lived(3, 300) == lived(3, 300)
    assert lived(3, 300) != lived(4, 300)


def test_a_copy_lives_on_by_itself_and_leaves_the_world_alone() -> None:
    world = World(1, 20, DEMO)
    world.advance(60)
    before, asked = world.troubles.all[:], len(world.take_asks())
    ahead = copy.deepcopy(world)
    ahead.advance(600)
    assert ahead.troubles.all[: len(before)] == before
    assert asked
    assert ahead.take_asks()
    assert (world.troubles.all, world.take_asks(), world.now) == (before, [], 60)
    world.advance(600)
    assert world.troubles.all == ahead.troubles.all


def test_a_job_takes_memory_while_it_runs_and_ends_well(world: World) -> None:
    start(world, "train", "n01", task())
    world.advance(120)
    assert world.fleet.memory()["n01"] == pytest.approx(6 + 100 * 50 / 512)
    world.advance(600)
    ((decision, outcome),) = world.take_ended()
    assert (decision, outcome.status, outcome.reward) == ("d train", "done", 1.0)
    assert world.fleet.memory()["n01"] == 6


def test_what_leaks_until_memory_is_full_is_ended_by_the_kernel_and_stopping_it_prevents_that(world: World) -> None:
    start(world, "leak", "n01", task(work=9000.0, leak=GIB, leaks_from=60.0))
    world.advance(420)
    assert 80 < world.fleet.memory()["n01"] < 99
    saved = copy.deepcopy(world)
    world.advance(120)
    ((_, outcome),) = world.take_ended()
    assert "out of memory" in outcome.detail
    assert [t.kind for t in world.troubles.all] == ["pressure", "job"]
    stopped = saved.perform(order("job.stop", "n01", "shed_load", args={"job": "leak"}))
    assert stopped is not None
    assert stopped.status == "done"
    assert saved.fleet.memory()["n01"] == 6
    saved.advance(600)
    assert not any(t.kind == "job" for t in saved.troubles.all)


def test_a_cordoned_node_takes_no_job_until_the_cordon_is_lifted(world: World) -> None:
    world.perform(order("node.cordon", "n02", "drain"))
    refused = world.perform(order("job.start", "a", args={"node": "n02"}))
    assert refused is not None
    assert refused.status == "refused"
    world.perform(order("node.uncordon", "n02", "readmit"))
    assert world.perform(order("job.start", "a", args={"node": "n02"})) is None


def test_a_node_that_dies_takes_everything_with_it_and_comes_back_empty(world: World) -> None:
    start(world, "train", "n01", task())
    launched(world, "gateway/0", "n01")
    machine = world.fleet.machines["n01"]
    world.fleet.darken(machine, 300, "it crashed")
    assert "n01" not in [report["node"] for report in world.reports()]
    assert [outcome.status for _, outcome in world.take_ended()] == ["unknown"]
    assert not world.heard(order("job.start", "b", args={"node": "n01"}))
    world.advance(301)
    back = next(report for report in world.reports() if report["node"] == "n01")
    assert (back["jobs"], back["processes"][0]["status"]) == ([], "exited")


def test_the_jobs_of_a_node_that_is_only_not_heard_go_on(world: World) -> None:
    start(world, "train", "n01", task(work=100.0))
    world.fleet.machines["n01"].cut = 200.0
    world.advance(150)
    assert world.take_ended() == []
    world.advance(60)
    assert [outcome.status for _, outcome in world.take_ended()] == ["done"]


def test_a_bad_release_fails_after_every_restart_until_its_owner_has_repaired_it(world: World) -> None:
    for number in range(3):
        launched(world, f"gateway/{number}", "n01")
    world.applications.names = {"gateway": 3}
    world.applications.release()
    for _ in range(3):
        assert launched(world, "gateway/0", "n01").status == "done"
        world.advance(30)
        assert status(world, "gateway/0")["status"] == "exited"
    world.advance(3 * 3600)
    asks = world.take_asks()
    assert {(ask.subject, ask.data["request"]) for ask in asks} == {(f"gateway/{n}", "start") for n in range(3)}
    launched(world, "gateway/0", "n01")
    world.advance(3600)
    assert status(world, "gateway/0")["status"] == "running"


def test_a_process_that_does_not_serve_is_told_by_its_checks_until_it_is_restarted(world: World) -> None:
    launched(world, "gateway/0", "n01")
    world.applications.stall()
    world.advance(60)
    assert status(world, "gateway/0")["failed_checks"] >= 3
    launched(world, "gateway/0", "n01")
    assert status(world, "gateway/0")["failed_checks"] == 0


def test_a_deaf_target_takes_messages_again_later_and_a_malformed_one_never(world: World) -> None:
    mail = world.mail
    mail.deaf["ci"] = (100.0, 503)
    assert [mail.receive("ci", "a"), mail.receive("pager", "a")] == [503, OK]
    world.advance(101)
    assert mail.receive("ci", "a") == OK
    mail.malformed.add("b")
    assert mail.receive("ci", "b") == 422


@pytest.mark.parametrize("point", ["urm.package", "uim.rollout", "ucm.storm", "ucm.coordination", "ufm.dispatch"])
def test_what_is_asked_is_proposed_by_its_manager_as_the_world_means_it(point: str, world: World) -> None:
    world.matters.arrive(point)
    matters: list[Matter] = list(world.matters.open.values())
    for matter in matters:
        event = Event("e", "world", WORLDS[point].point.events[0], matter.subject, None, data_of(point, matter.seen))
        manager = resolve(MANAGERS[point.partition(".")[0]])(Settings())
        manager.options = {point: scenario(point).program.settings}
        facts = manager.facts(WORLDS[point].point, event, 0)
        proposed = manager.propose(WORLDS[point].point, event, facts)
        assert [(c.action, c.args) for c in proposed] == [(c.action, c.args) for c in matter.seen.candidates]


def test_a_rollout_goes_on_from_the_share_that_it_was_given_until_it_is_taken_back(world: World) -> None:
    world.matters.arrive("uim.rollout")
    (matter,) = world.matters.open.values()
    world.take_asks()
    world.answered(matter.subject, "advance", {"share": 50.0})
    world.advance(660)
    (asked,) = world.take_asks()
    assert asked.data["share"] == 50.0
    world.answered(matter.subject, "roll_back", {})
    world.advance(3600)
    assert (world.take_asks(), world.matters.open) == ([], {})


def test_hindsight_tells_a_dead_node_from_one_that_was_only_not_heard(world: World) -> None:
    world.fleet.darken(world.fleet.machines["n01"], 600, "it crashed")
    world.fleet.machines["n02"].cut = 30.0
    assert [hindsight.trouble(world, "drain", node) for node in ("n01", "n02")] == [True, False]


def test_hindsight_calls_for_stopping_a_job_only_where_memory_would_have_run_out(world: World) -> None:
    start(world, "leak", "n01", task(work=9000.0, leak=GIB, leaks_from=0.0))
    start(world, "calm", "n02", task(work=9000.0))
    assert [hindsight.trouble(world, "shed_load", node) for node in ("n01", "n02")] == [True, False]


def test_hindsight_measures_a_choice_by_what_was_offered(world: World) -> None:
    world.matters.arrive("urm.package")
    (matter,) = world.matters.open.values()
    matter.outcomes = (1.0, *(0.4 for _ in matter.seen.candidates[1:]))
    others = set(range(1, len(matter.outcomes)))
    assert matter.right({0, *others}) == {0}
    assert matter.right(others) == others
    assert matter.right([]) == set()
