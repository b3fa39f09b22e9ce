"""What nodes have left, and how often it is counted."""

from random import Random

import pytest

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
