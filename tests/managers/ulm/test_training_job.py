"""A training is a job like any other: submitted once, followed to its end, found again after a restart."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from federation.clock import VirtualClock
from federation.effects import Order
from federation.errors import Bug
from federation.ledger.appender import Appender, Batch
from federation.ledger.store import Store
from federation.records import Answered, Asked, Effect, Entry, Event, Kind, Outcome, encode
from federation.replies import Rejected, Reply
from federation.settings import Settings, load
from managers.ulm.trainer import TRIES, Train, cards, job_of
from managers.urm.jobs import next_run

DECISION = "d" * 32
JOB = job_of(DECISION)
PAYLOAD = {"from": "a" * 64, "method": "full", "objective": "grpo", "cpus": 2, "memory": 4 << 30, "seconds": 3600.0}
ORDER = Order(DECISION, "ulm.base_model", "a" * 12, "train", {"base": "current"}, "ulm.training", 1, 1, 1, PAYLOAD)


class Cluster:
    """The ledger of a cluster whose jobs end as `then` says, a while after they are looked at first."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(state=folder / "state", notice="a test")
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.clock = VirtualClock()
        self.appender = Appender(self.store, self.clock, "tests")
        self.appender.open(force=True)
        self.incarnation = self.appender.register("ufm", {})
        self.submitted: list[Event] = []
        self.refuses: Rejected | None = None
        self.then: list[list[Entry]] = []
        self._number = 0
        self.train = Train(self.settings, self.store, self.clock, self.submit, self.sleep)

    def write(self, *entries: Entry) -> None:
        (receipt,) = self.appender.commit([Batch("ufm", self.incarnation, self._number, list(entries))])
        if isinstance(receipt, Exception):
            raise receipt
        self._number += 1

    async def submit(self, event: Event) -> list[Reply] | Rejected:
        self.submitted.append(event)
        if self.refuses is not None:
            return self.refuses
        asked = Asked(event, {}, [], None, None, [], "", 1, 1)
        decision = hashlib.sha256(event.subject.encode()).hexdigest()[:32]
        with suppress(Bug):  # the same event again
            self.write(Entry(Kind.ASKED, "urm.admission", event.subject, decision, encode(asked)))
        return []

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds if self.then else 3600)
        if self.then:
            self.write(*self.then.pop(0))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.store.close()


def ended(how: str, detail: str = "", job: str = JOB, /, **data: Any) -> list[Entry]:
    """data: what its node tells of the process."""
    decision = hashlib.sha256(f"{job} placed".encode()).hexdigest()[:32]
    effect = Effect("released", "place", {"node": "n1"}, "job.start", "n1", "act", 60.0)
    return [
        Entry(Kind.EFFECT, "ufm.placement", job, decision, encode(effect)),
        Entry(Kind.OUTCOME, "ufm.placement", job, decision, encode(Outcome(how, detail, data))),
    ]


def stopped(job: str = JOB) -> list[Entry]:
    return ended("failed", "STOPPED", job, status="STOPPED", exit_code=None)


def admission(action: str, job: str = JOB) -> list[Entry]:
    answered = Answered(None, action, {}, "rule", "full", "no room", "")
    return [Entry(Kind.ANSWERED, "urm.admission", job, f"{action:a<32}", encode(answered))]


def done(cluster: Cluster) -> Outcome:
    return asyncio.run(cluster.train.do(ORDER))


def test_the_job_is_the_command_that_a_person_would_run_with_its_limits(cluster: Cluster) -> None:
    cluster.then = [ended("done")]
    done(cluster)
    (event,) = cluster.submitted
    data: dict[str, Any] = event.data
    words = " ".join(data["command"])
    assert (event.type, event.subject) == ("elias.job.submitted", JOB)
    assert words.startswith("timeout --kill-after=60 3600 ")
    assert f"train again --objective grpo --method full --base current --policy {'a' * 64} --out " in words
    assert (data["cpus"], data["memory"], data["gpus"], data["restartable"]) == (2, 4 << 30, 0, True)


def test_the_job_learns_of_a_point_whose_world_has_changed_only_what_was_decided_since(cluster: Cluster) -> None:
    cluster.then = [ended("done")]
    order = replace(ORDER, payload={**PAYLOAD, "changed": {"uam.restart": 1_700_000_000_700_000_000}})
    asyncio.run(cluster.train.do(order))
    (event,) = cluster.submitted
    assert "--changed uam.restart=2023-11-14T22:13:20+00:00 --out" in " ".join(event.data["command"])


def test_the_job_finds_the_settings_of_this_installation_that_nobody_else_may_read(cluster: Cluster) -> None:
    cluster.then = [ended("done")]
    done(cluster)
    path = cluster.settings.state / "trainings" / DECISION / "elias.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == cluster.settings


@pytest.mark.parametrize(
    ("then", "status", "said"),
    [
        ([admission("admit"), ended("done")], "done", "done"),
        ([ended("done", "", "another"), ended("failed", "exit 3", exit_code=3)], "failed", "exit 3"),
        ([ended("unknown", "its node is silent"), ended("done")], "done", "done"),
        ([admission("wait"), admission("hold")], "failed", "not admitted: no room"),
    ],
    ids=["done", "failed", "placed anew", "not admitted"],
)
def test_what_comes_of_the_training_is_what_comes_of_its_job(
    cluster: Cluster, then: list[list[Entry]], status: str, said: str
) -> None:
    cluster.then = then
    outcome = done(cluster)
    assert (outcome.status, outcome.reward) == (status, float(status == "done"))
    assert said in outcome.detail


def test_what_somebody_says_came_of_a_placement_without_an_effect_is_no_end(cluster: Cluster) -> None:
    held = Entry(Kind.OUTCOME, "ufm.placement", JOB, "h" * 32, encode(Outcome("done", "it was calm", {"by": "ada"}, 1)))
    cluster.then = [[held], ended("failed", "exit 3", exit_code=3)]
    outcome = done(cluster)
    assert (outcome.status, outcome.reward) == ("failed", 0.0)


@pytest.mark.parametrize(
    "then",
    [
        [stopped(), admission("admit", next_run(JOB)), ended("done", "", next_run(JOB))],
        [stopped(), stopped(next_run(JOB)), ended("done", "", next_run(next_run(JOB)))],
        [[*admission("admit", next_run(JOB)), *stopped()], ended("done", "", next_run(JOB))],
        [ended("done", "", next_run(JOB)), stopped()],
    ],
    ids=["once", "twice", "submitted again before it was gone", "done before that was told"],
)
def test_a_training_that_is_stopped_to_relieve_its_node_is_followed_and_not_begun_beside_it(
    cluster: Cluster, then: list[list[Entry]]
) -> None:
    cluster.then = then
    outcome = done(cluster)
    assert (outcome.status, outcome.reward) == ("done", 1.0)
    assert [event.subject for event in cluster.submitted] == [JOB]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ([stopped(), admission("hold", next_run(JOB))], f"{next_run(JOB)} was not admitted: no room"),
        ([[*admission("hold", next_run(JOB)), *stopped()]], f"{next_run(JOB)} was not admitted: no room"),
        ([stopped()], f"stopped and to go on as {next_run(JOB)}, did not end in time"),
    ],
    ids=["not admitted", "not admitted before it was gone", "never submitted"],
)
def test_a_training_that_is_stopped_and_does_not_run_again_failed(
    cluster: Cluster, then: list[list[Entry]], said: str
) -> None:
    cluster.then = then
    outcome = done(cluster)
    assert (outcome.status, said in outcome.detail) == ("failed", True)
    assert [event.subject for event in cluster.submitted] == [JOB]


def test_what_is_killed_after_it_was_stopped_goes_on(cluster: Cluster) -> None:
    killed = ended("failed", "killed", next_run(JOB), exit_code=-9)
    cluster.then = [stopped(), killed, ended("done", "", f"{JOB}-2")]
    assert done(cluster).status == "done"
    assert [event.subject for event in cluster.submitted] == [JOB, f"{JOB}-2"]


@pytest.mark.parametrize(
    "data",
    [{"exit_code": -9}, {"exit_code": 137}, {}],
    ids=["SIGKILL", "of a child", "ELIAS was started anew"],
)
def test_a_training_that_is_killed_goes_on_as_another_job_in_its_folder(cluster: Cluster, data: dict[str, Any]) -> None:
    cluster.then = [ended("failed", "killed", **data), ended("done", "", f"{JOB}-2")]
    assert done(cluster).status == "done"
    first, second = cluster.submitted
    assert (first.subject, second.subject) == (JOB, f"{JOB}-2")
    assert first.data == second.data


def test_what_is_killed_every_time_is_given_up(cluster: Cluster) -> None:
    jobs = [job_of(DECISION, number) for number in range(1, TRIES + 1)]
    cluster.then = [ended("failed", "out of memory", job, exit_code=-9) for job in jobs]
    outcome = done(cluster)
    assert (outcome.status, "out of memory" in outcome.detail) == ("failed", True)
    assert [event.subject for event in cluster.submitted] == jobs


def test_a_job_that_is_refused_is_a_training_that_failed(cluster: Cluster) -> None:
    cluster.refuses = Rejected(422, "bad-job", "no such GPU")
    assert (done(cluster).status, "no such GPU" in done(cluster).detail) == ("failed", True)


def test_a_job_that_never_ends_is_given_up(cluster: Cluster) -> None:
    outcome = done(cluster)
    assert (outcome.status, "did not end in time" in outcome.detail) == ("failed", True)


def test_after_a_restart_the_same_job_is_followed_and_no_second_one_begun(cluster: Cluster) -> None:
    cluster.then = [ended("failed", exit_code=-9), ended("done", "", f"{JOB}-2")]
    done(cluster)
    assert asyncio.run(cluster.train.probe(ORDER)).status == "done"
    assert {event.subject for event in cluster.submitted} == {JOB, f"{JOB}-2"}
    assert len({event.id for event in cluster.submitted}) == 2, "the same event again is no second job"


def test_what_was_interrupted_before_it_was_submitted_failed(cluster: Cluster) -> None:
    assert asyncio.run(cluster.train.probe(ORDER)).status == "failed"


@pytest.mark.parametrize(
    ("base", "method", "gpus"),
    [("current", "full", 0), ("deepseek-coder-6.7b", "qlora", 1), ("deepseek-coder-6.7b", "lora", 2)],
)
def test_a_large_model_asks_for_the_cards_that_its_preset_is_made_for(base: str, method: str, gpus: int) -> None:
    assert cards(base, method) == gpus
