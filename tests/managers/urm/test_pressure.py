from collections.abc import Callable
from typing import Any

import pytest

import tiki
from federation.points import schemas
from federation.records import Kind
from managers.urm.points import POINTS

from .kit import GIB, Cluster, report

PRESSURE = "urm.resource_pressure"
SEED = """\
## URM Resource Allocation Spec
- memory_threshold: 80%
- cpu_threshold: 75%
- gpu_threshold: 90%
- scale_trigger: all_thresholds_exceeded
- scale_target: next_available_node
- fallback: request_claude_supervision
"""
GPU = {"name": "H200", "memory_total": 140 * GIB, "memory_free": 140 * GIB, "busy": 95.0}


def full(node: str = "a", **figures: Any) -> dict[str, Any]:
    return report(node, **{"memory": 97.0, "memory_free": 2 * GIB, **figures})


def test_every_example_of_the_shipped_specs_holds(cluster: Cluster) -> None:
    results = tiki.run_examples(cluster.bundle)
    assert [r.message for r in results if not r.passed] == []
    assert {r.example.point for r in results} >= {PRESSURE, "urm.admission"}


def test_the_first_documents_spec_sets_this_point_as_it_stands() -> None:
    bundle = tiki.build([tiki.Source("urm.tiki", SEED)], schemas({p.name: p for p in POINTS}))
    settings = bundle.programs[PRESSURE].settings
    assert {k: settings[k] for k in ("memory_threshold", "cpu_threshold", "gpu_threshold")} == {
        "memory_threshold": 80.0,
        "cpu_threshold": 75.0,
        "gpu_threshold": 90.0,
    }
    assert (settings["scale_trigger"], settings["scale_target"]) == ("all_thresholds_exceeded", "next_available_node")
    assert bundle.programs[PRESSURE].fallback.tier == "advisor"


def test_memory_that_stays_full_sheds_the_job_of_lowest_priority_once(cluster: Cluster) -> None:
    cluster.report(report("a"))
    for job, priority in (("high", 9), ("low", 1), ("middle", 5)):
        cluster.submit(job, cpus=1, priority=priority)
    cluster.pass_time(60, report("a"))
    cluster.pass_time(120, full())
    cases, answers = cluster.asked(PRESSURE), cluster.records(Kind.ANSWERED, PRESSURE)
    (shed,) = [body for _, body in answers if body.action == "shed_load"]
    assert (shed.args["job"], shed.mode) == ("low", "observe")
    assert [asked for asked in cases if asked.waits] == []
    assert cluster.released("shed_load") == []


def test_a_short_peak_of_memory_sheds_nothing(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("train")
    cluster.pass_time(60, report("a"))
    cluster.pass_time(20, full())
    cluster.pass_time(60, report("a"))
    assert cluster.answers(PRESSURE) == ["hold"]  # the first look


def test_pressure_that_comes_back_is_answered_again(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("train")
    for _ in range(2):
        cluster.pass_time(60, report("a"))
        cluster.pass_time(60, full())
    assert cluster.answers(PRESSURE).count("shed_load") == 2


def test_memory_between_the_limit_and_clear_at_changes_nothing(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("train")
    cluster.pass_time(60, report("a"))
    for memory in (97.0, 90.0, 97.0):
        cluster.pass_time(60, full(memory=memory))
    assert cluster.answers(PRESSURE).count("shed_load") == 1


def test_with_nothing_to_shed_a_person_is_asked(cluster: Cluster) -> None:
    cluster.pass_time(60, report("a"))
    cluster.pass_time(60, full())
    (case,) = cluster.federation.desks["urm"].state.cases.values()
    assert "no candidate for shed_load" in case.reason


def test_a_machine_without_gpu_is_judged_by_the_rest(cluster: Cluster) -> None:
    cluster.pass_time(60, report("a"), report("b"))
    cluster.pass_time(60, report("a", memory=85.0, cpu=90.0), report("b"))
    *_, answered = [body for _, body in cluster.records(Kind.ANSWERED, PRESSURE)]
    assert (answered.action, answered.args["to"], answered.clause) == ("scale_out", "b", "all_busy")


def test_a_machine_with_all_of_it_in_use_gets_no_new_work_and_nobody_has_to_be_asked(cluster: Cluster) -> None:
    busy = report("a", memory=85.0, cpu=90.0, gpu=95.0, gpus=[GPU])
    cluster.pass_time(60, report("a", gpus=[GPU]), report("b"))
    cluster.pass_time(60, busy, report("b"))
    *_, answered = [body for _, body in cluster.records(Kind.ANSWERED, PRESSURE)]
    assert (answered.action, answered.args["to"], answered.clause) == ("scale_out", "b", "all_busy")


def test_an_idle_gpu_keeps_all_thresholds_from_being_exceeded(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.pass_time(60, report("a", memory=85.0, cpu=90.0, gpu=10.0, gpus=[GPU]), report("b"))
    assert cluster.answers(PRESSURE, "a") == ["hold"]


def test_figures_older_than_half_a_minute_are_unknown(cluster: Cluster) -> None:
    cluster.report(report("a", memory=50.0))
    cluster.clock.advance(31)
    cluster.post("elias.resource.sample", "a")
    assert set(cluster.asked(PRESSURE)[-1].facts) == {"jobs", "stopped", "cordoned"}


def test_a_posted_sample_is_decided_with_what_the_node_reported(cluster: Cluster) -> None:
    cluster.report(report("a", cpu=12.0))
    (reply,) = cluster.post("elias.resource.sample", "a", memory="50%")
    asked = cluster.asked(PRESSURE)[-1]
    assert (reply.action, asked.facts["memory"], asked.facts["cpu"], asked.facts["gpu"]) == ("hold", 50.0, 12.0, None)


@pytest.mark.parametrize("data", [{"memory": "50s"}, {"memry": "50%"}])
def test_a_sample_with_a_wrong_fact_is_refused(cluster: Cluster, data: dict[str, Any]) -> None:
    assert cluster.post("elias.resource.sample", "a", **data).code == "bad-facts"


def test_a_sample_without_a_node_is_refused(cluster: Cluster) -> None:
    assert cluster.post("elias.resource.sample", "", memory="50%").code == "no-subject"


@pytest.mark.parametrize(
    ("target", "chosen"), [("next_available_node", "b"), ("least_loaded_node", "c")], ids=["next", "least loaded"]
)
def test_new_work_goes_where_the_spec_says(make_cluster: Callable[..., Cluster], target: str, chosen: str) -> None:
    cluster = make_cluster(resource_allocation=SEED.replace("next_available_node", target))
    others = report("aa", memory=85.0), report("b", memory=60.0), report("c", memory=30.0)
    cluster.pass_time(60, report("a"), *others)
    cluster.pass_time(60, report("a", memory=85.0, cpu=90.0), *others)
    _, answered = [body for header, body in cluster.records(Kind.ANSWERED, PRESSURE) if header.subject == "a"]
    assert answered.args["to"] == chosen


def test_a_node_that_scaled_out_takes_no_work_until_it_is_calm_again(cluster: Cluster) -> None:
    cluster.act(f"{PRESSURE}/scale_out")
    cluster.act(f"{PRESSURE}/scale_in")
    busy = report("a", memory=85.0, cpu=90.0)
    cluster.pass_time(60, report("a"), report("b"))
    cluster.pass_time(60, busy, report("b"))
    cluster.ends("scale_out", "a", cordoned=True)
    assert cluster.urm.view(cluster.clock.now())["cordoned"] == ["a"]
    assert list(cluster.urm.view(cluster.clock.now())["nodes"]) == ["b"]
    cluster.pass_time(400, report("a"), report("b"))
    cluster.ends("scale_in", "a", cordoned=False)
    assert list(cluster.urm.view(cluster.clock.now())["nodes"]) == ["a", "b"]


def test_a_job_that_was_shed_is_submitted_again_when_the_node_is_calm(cluster: Cluster) -> None:
    cluster.act(f"{PRESSURE}/shed_load")
    cluster.report(report("a"))
    cluster.submit("train", cpus=2)
    cluster.pass_time(60, report("a"))
    cluster.pass_time(60, full())
    cluster.ends("shed_load", "a")
    cluster.ends("place", "train", status="failed")
    assert cluster.urm.view(0)["stopped"] == [{"id": "train", "node": "a", "again": "train-r2"}]
    cluster.pass_time(400, report("a"))
    view = cluster.urm.view(0)
    assert [job["id"] for job in view["running"]] == ["train-r2"]
    assert view["stopped"] == []


def test_a_job_whose_stop_failed_is_not_submitted_again(cluster: Cluster) -> None:
    cluster.act(f"{PRESSURE}/shed_load")
    cluster.report(report("a"))
    cluster.submit("train", cpus=2)
    cluster.pass_time(60, report("a"))
    cluster.pass_time(60, full())
    cluster.ends("shed_load", "a", status="failed")
    assert cluster.urm.view(0)["stopped"] == []


def crowded(cluster: Cluster, other: dict[str, Any], **job: Any) -> Any:
    """A node with a full GPU and memory, a job on it, and another node; the case that it makes."""
    cluster.report(report("a", gpus=[GPU], gpu=95.0))
    cluster.submit("train", gpus=1, memory="8GB", **job)
    cluster.pass_time(60, report("a", gpus=[GPU], gpu=50.0), other)
    cluster.pass_time(5, report("a", gpus=[GPU], gpu=95.0, memory=85.0, memory_free=9 * GIB), other)
    (case,) = cluster.federation.desks["urm"].state.cases.values()
    return case


def test_a_restartable_job_is_moved_where_a_person_confirms_it(cluster: Cluster) -> None:
    cluster.act(f"{PRESSURE}/migrate")
    case = crowded(cluster, report("b", gpus=[GPU], gpu=5.0), restartable=True)
    cluster.federation.answer("urm", case.decision, "migrate")
    cluster.ends("migrate", "a")
    asked = cluster.asked("urm.admission")[-1]
    assert (asked.event.subject, asked.event.data["node"]) == ("train-r2", "b")


def test_a_job_is_not_moved_to_a_node_without_room_for_it(cluster: Cluster) -> None:
    crowded(cluster, report("b"), restartable=True)
    (move,) = [c for c in cluster.asked(PRESSURE)[-1].candidates if c.action == "migrate"]
    assert (move.attributes["target.gpu_free"], move.forbidden) == (0.0, "room")


def test_a_job_that_may_not_be_restarted_is_not_moved(cluster: Cluster) -> None:
    crowded(cluster, report("b", gpus=[GPU], gpu=5.0))
    assert "migrate" not in {c.action for c in cluster.asked(PRESSURE)[-1].candidates}


def test_a_sample_tells_how_fast_memory_grows_and_how_many_jobs_wait(cluster: Cluster) -> None:
    for memory in range(50, 57):
        cluster.pass_time(5, report("a", memory=float(memory)))
    cluster.submit("first", cpus=8)
    cluster.submit("second", cpus=8)
    cluster.pass_time(10, report("a", memory=58.0))
    cluster.post("elias.resource.sample", "a")
    facts = cluster.asked(PRESSURE)[-1].facts
    assert (facts["memory_trend"], facts["waiting"]) == (pytest.approx(12.0, abs=2.0), 1)
