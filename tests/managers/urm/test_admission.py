from typing import Any

import pytest

from federation.desk import Desk
from federation.records import Entry, Event, Kind, Outcome, encode
from federation.replies import Rejected
from federation.settings import shipped_specs
from managers.urm.manager import Urm

from .kit import GIB, Cluster, report

ADMISSION = "urm.admission"
GPU = {"name": "H200", "memory_total": 140 * GIB, "memory_free": 140 * GIB, "busy": 0.0}


def test_a_job_that_fits_is_admitted_at_once(cluster: Cluster) -> None:
    cluster.report(report("a"))
    (reply,) = cluster.submit("train", cpus=4, memory="8GB", priority=1)
    assert (reply.action, reply.tier) == ("admit", "rule")


def test_before_any_node_has_reported_a_job_waits(cluster: Cluster) -> None:
    (reply,) = cluster.submit("early")
    assert reply.action == "wait"


def test_a_job_that_waited_for_the_first_report_starts_by_itself(cluster: Cluster) -> None:
    cluster.submit("early", cpus=1)
    cluster.pass_time(40, report("a"))
    assert cluster.answers(ADMISSION, "early") == ["wait", "admit"]


@pytest.mark.parametrize(
    "request_",
    [{"cpus": 9}, {"memory": "65GiB"}, {"gpus": 1}, {"gpu_share": 0.5}, {"gpus": 1, "models": ["B200"]}],
    ids=["cores", "memory", "gpus", "share", "model"],
)
def test_a_job_that_no_node_could_ever_hold_goes_to_supervision(cluster: Cluster, request_: dict[str, Any]) -> None:
    cluster.pass_time(60, report("a"), report("b", gpus=[GPU] if "models" in request_ else []))
    (reply,) = cluster.submit("giant", **request_)
    assert (reply.status, reply.clause) == ("waiting", "fallback")


def test_supervision_cannot_admit_what_no_node_can_hold(cluster: Cluster) -> None:
    cluster.pass_time(60, report("a"))
    cluster.submit("giant", gpus=8)
    offered = {c.action: c.forbidden for c in cluster.asked(ADMISSION)[-1].candidates}
    assert offered == {"admit": "room", "wait": None, "hold": None}


def test_a_supervision_case_that_nobody_answers_ends_in_hold(cluster: Cluster) -> None:
    cluster.pass_time(60, report("a"))
    cluster.submit("giant", gpus=8)
    cluster.clock.advance(86_401)
    cluster.federation.tick()
    assert cluster.answers(ADMISSION, "giant") == ["hold"]
    assert cluster.urm.view(cluster.clock.now())["asked"] == []


def test_a_waiting_job_is_admitted_when_a_running_one_ends(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("first", cpus=8)
    (reply,) = cluster.submit("second", cpus=8)
    assert reply.action == "wait"
    cluster.ends("place", "first")
    assert cluster.answers(ADMISSION, "second") == ["wait", "admit"]
    assert [job["id"] for job in cluster.urm.view(0)["running"]] == ["second"]


def test_waiting_jobs_start_by_priority_and_then_by_arrival(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("running", cpus=8)
    for job, priority in (("low", 0), ("early", 5), ("late", 5)):
        cluster.submit(job, cpus=8, priority=priority)
    assert [job["id"] for job in cluster.urm.view(0)["queue"]] == ["early", "late", "low"]
    started = []
    for before in ("running", "early", "late"):
        cluster.ends("place", before)
        started += [job["id"] for job in cluster.urm.view(0)["running"]]
    assert started == ["early", "late", "low"]


def test_a_small_job_does_not_overtake_a_large_one_that_waits(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("running", cpus=4)
    cluster.submit("large", cpus=8)
    (reply,) = cluster.submit("small", cpus=1)
    assert reply.action == "wait"


def test_room_for_several_jobs_is_given_to_all_of_them_at_once(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("running", cpus=8)
    for number in range(3):
        cluster.submit(f"small-{number}", cpus=3)
    cluster.ends("place", "running")
    view = cluster.urm.view(0)
    assert [job["id"] for job in view["running"]] == ["small-0", "small-1"]
    assert [job["id"] for job in view["queue"]] == ["small-2"]


def test_jobs_that_are_admitted_but_not_placed_yet_count_against_the_room(cluster: Cluster) -> None:
    cluster.report(report("a"))
    desk = cluster.federation.desks["urm"]
    events = [
        Event(f"e{n}", "test", "elias.job.submitted", f"job-{n}", None, {"command": ["true"], "cpus": 3})
        for n in range(3)
    ]
    replies = desk.handle(events, cluster.clock.now()).replies
    assert [r[0].action for r in replies if not isinstance(r, Rejected)] == ["admit", "admit", "wait"]


def test_a_new_node_lets_a_waiting_job_start_within_half_a_minute(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("first", cpus=8)
    cluster.submit("second", cpus=8)
    cluster.placer.node = "b"
    cluster.pass_time(35, report("a"), report("b"))
    assert cluster.answers(ADMISSION, "second") == ["wait", "admit"]


def test_a_silent_node_gives_no_room(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.clock.advance(31)
    (reply,) = cluster.submit("late", cpus=1)
    assert reply.action == "wait"


def test_a_drained_node_gives_no_room_until_it_is_readmitted(cluster: Cluster) -> None:
    def drained(on: bool) -> None:
        outcome = Outcome("done", data={"cordoned": on})
        cluster.urm.fold(Entry(Kind.OUTCOME, "ufm.node_health", "a", "", encode(outcome)), outcome)

    cluster.report(report("a"))
    drained(True)
    cluster.submit("train", cpus=1)
    cluster.pass_time(60, report("a"))
    assert set(cluster.answers(ADMISSION)) == {"wait"}
    drained(False)
    cluster.pass_time(35, report("a"))
    assert cluster.answers(ADMISSION)[-1] == "admit"


def test_a_share_of_a_gpu_leaves_the_rest_to_others(cluster: Cluster) -> None:
    cluster.report(report("a", gpus=[GPU], gpu=0.0))
    actions = [cluster.submit(f"share-{n}", gpu_share=0.4)[0].action for n in range(3)]
    assert actions == ["admit", "admit", "wait"]


def test_under_memory_pressure_nothing_new_starts(cluster: Cluster) -> None:
    cluster.report(report("a", memory=93.0, memory_free=4 * GIB))
    (reply,) = cluster.submit("train", memory="1GB")
    assert reply.action == "wait"


def test_the_queue_is_bounded(make_cluster: Any) -> None:
    text = (shipped_specs() / "urm" / "admission.tiki").read_text().replace("queue_limit: 1000", "queue_limit: 2")
    cluster = make_cluster(admission=text)
    actions = [cluster.submit(f"job-{n}", cpus=1)[0].action for n in range(4)]
    assert actions == ["wait", "wait", "hold", "hold"]


def test_a_job_id_in_use_is_refused_with_the_cure(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("train")
    refused = cluster.submit("train")
    assert (refused.status, refused.code, "another id" in refused.cure) == (422, "job-exists", True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"memory": "8 GBs"}, "unit"),
        ({"memory": "80%"}, "percent"),
        ({"gpus": -1}, "gpus"),
        ({"gpu_share": 1.5}, "gpu_share"),
        ({"gpu_share": 0.5, "gpus": 2}, "one GPU"),
        ({"cpus": "many"}, "cpus"),
        ({"cpus": float("inf")}, "cpus"),
        ({"priority": "high"}, "priority"),
        ({"labels": "storage"}, "labels"),
        ({"anywhere": "yes"}, "anywhere"),
        ({"hops": 5}, "hops"),
    ],
)
def test_a_malformed_job_is_refused_with_its_place(cluster: Cluster, data: dict[str, Any], said: str) -> None:
    refused = cluster.submit("train", **data)
    assert isinstance(refused, Rejected)
    assert said in refused.message
    assert refused.place.endswith("data")


@pytest.mark.parametrize("job", ["", "a b", "../x", "x" * 101])
def test_a_job_id_that_is_no_name_is_refused(cluster: Cluster, job: str) -> None:
    refused = cluster.submit(job)
    assert refused.code == "bad-job"


def test_a_restarted_manager_knows_its_queue_and_what_runs(cluster: Cluster) -> None:
    cluster.report(report("a"))
    cluster.submit("first", cpus=8)
    cluster.submit("second", cpus=8)
    again = Desk(Urm(cluster.settings), cluster.bundle, cluster.store)
    again.restore(cluster.federation.desks["urm"].snapshot())
    again.watch([report("a")], cluster.clock.now())
    view = again.manager.view(cluster.clock.now())
    assert [job["id"] for job in view["queue"]] == ["second"]
    assert view["nodes"]["a"]["cpus_free"] == 0.0
