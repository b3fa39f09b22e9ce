"""What nodes have left, and how often it is counted."""

from random import Random

import pytest

from federation.clock import SECOND
from managers.job import JobRequest
from managers.urm.capacity import Capacity, Node

from .kit import GIB, Cluster, report

MODELS = ("H200", "B200")


def some_report(random: Random) -> dict[str, object]:
    gpus = [{"name": random.choice(MODELS)} for _ in range(random.randrange(5))]
    return report("a", gpus=gpus, memory_free=random.randrange(64) * GIB)


def some_request(random: Random) -> JobRequest:
    return JobRequest(
        cpus=random.choice((0.0, 1.5, 8.0)),
        memory=random.randrange(40) * GIB,
        gpus=(gpus := random.randrange(4)),
        gpu_share=0.0 if gpus else random.choice((0.0, 0.3, 0.5)),
        models=random.choice(((), ("B200",))),
    )


def test_a_job_fits_where_memory_and_cores_suffice_and_gpus_can_be_chosen() -> None:
    random, capacity, found = Random(3), Capacity(), set[bool]()
    for number in range(500):
        node = capacity.report(some_report(random), number)
        for job in range(3):
            request = some_request(random)
            fits = request.memory <= node.memory_free and request.cpus <= node.cpus_free + 1e-9
            assert node.fits(request) is (fits and node.choose(request) is not None)
            assert node.room[:6] == (
                *(node.memory_free, node.memory_total, node.cpus_free, node.cpus_total),
                *(node.gpus_free, len(node.models)),
            )
            found.add(node.fits(request))
            if node.fits(request):
                capacity.reserve(f"j{job}", request, "a")
            else:
                capacity.release(f"j{job}")
    assert found == {True, False}


def test_who_takes_work_hangs_on_the_moment_alone_though_time_goes_back() -> None:
    """A tick has the time of the ledger, which may be ahead of the clock of this process."""
    random, capacity, now, seen = Random(4), Capacity(), 1_000 * SECOND, set[int]()
    for _ in range(2_000):
        now += random.choice((-60, -20, 1, 2, 5, 5, 40)) * SECOND
        name = f"n{random.randrange(12)}"
        if random.random() < 0.7:
            capacity.report(report(name), now)
        else:
            capacity.close(name, random.random() < 0.5)
        usable = [node.name for node in capacity.usable(now)]
        assert usable == sorted(n.name for n in capacity.nodes.values() if n.fresh(now) and not n.closed)
        seen.add(len(usable))
    assert len(seen) > 5


def test_an_admission_counts_again_only_what_has_changed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, gpus_free = list[str](), Node.gpus_free.fget

    def counting(node: Node) -> float:
        counted.append(node.name)
        return gpus_free(node)  # type: ignore[misc]

    monkeypatch.setattr(Node, "gpus_free", property(counting))
    cluster.report(*(report(f"n{number:03}") for number in range(200)))
    cluster.submit("first", cpus=1)
    counted.clear()
    cluster.submit("second", cpus=1)
    assert set(counted) <= {"a", "n000"}  # where the first one was expected, and where it was placed
