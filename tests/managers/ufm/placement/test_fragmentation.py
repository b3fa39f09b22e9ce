import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from managers.ufm.placement import Fleet, Node, Proposer, Request, Typical
from managers.ufm.placement.fragmentation import Fragmentation

MODELS = ("T4", "A10")


def lost(cpu: int, gpus: list[int], model: str, typical: list[Typical]) -> int:
    """The definition: GPU-milli that each typical request cannot use here, times its weight."""
    total = 0
    for known in typical:
        request = known.request
        serving = [free for free in gpus if free >= request.gpu_milli]
        fits = (
            request.gpus > 0
            and len(serving) >= request.gpus
            and cpu >= request.cpu_milli
            and (not request.models or model in request.models)
        )
        total += known.weight * (sum(gpus) - (sum(serving) if fits else 0))
    return total


def score(before: int, after: int, weight: int) -> int:
    return int(100 / (1 + math.exp((after - before) / 1000 / weight)))


CPUS = st.integers(0, 16).map(lambda cores: 500 * cores)
ASKED = st.one_of(
    st.builds(Request, CPUS, st.just(0), st.integers(0, 3), models=st.sampled_from([(), ("T4",)])),
    st.builds(Request, CPUS, st.just(0), st.just(1), st.integers(1, 999), models=st.sampled_from([(), ("A10",)])),
)
TYPICAL = st.lists(st.builds(Typical, ASKED, st.integers(1, 100)), min_size=1, max_size=8)
NODES = st.lists(
    st.tuples(CPUS, st.lists(st.integers(0, 1000), max_size=4), st.sampled_from(MODELS)), min_size=1, max_size=5
)


@settings(max_examples=300)
@given(NODES, TYPICAL, ASKED)
def test_the_score_is_that_of_the_definition_and_the_gpu_the_first_best(
    nodes: list[tuple[int, list[int], str]], typical: list[Typical], request: Request
) -> None:
    fleet = Fleet()
    for number, (cpu, gpus, model) in enumerate(nodes):
        fleet.put(Node(f"n{number}", cpu, 0, len(gpus), model))
        for gpu, free in enumerate(gpus):
            if free < 1000:
                fleet.reserve(f"{number}/{gpu}", f"n{number}", Request(0, 0, 1, 1000 - free), [gpu])
    slots = np.flatnonzero(fleet.fits(request, np.arange(len(nodes))))
    if not len(slots):
        return
    scores, chosen = Fragmentation(typical).score(fleet, request, slots)
    weight = sum(known.weight for known in typical)
    for slot, got, gpu in zip(slots.tolist(), scores.tolist(), chosen.tolist(), strict=True):
        cpu, gpus, model = nodes[slot]
        before = lost(cpu, gpus, model, typical)
        options = []
        if request.shares:
            for index, free in enumerate(gpus):
                if free >= request.gpu_milli:
                    left = [*gpus[:index], free - request.gpu_milli, *gpus[index + 1 :]]
                    options.append((score(before, lost(cpu - request.cpu_milli, left, model, typical), weight), index))
        else:
            taken = [index for index, free in enumerate(gpus) if free == 1000][: request.gpus]
            left = [0 if index in taken else free for index, free in enumerate(gpus)]
            options.append((score(before, lost(cpu - request.cpu_milli, left, model, typical), weight), -1))
        best = max(points for points, _ in options)
        assert (got, gpu) == (best, next(index for points, index in options if points == best))


@pytest.mark.parametrize(
    ("typical", "goes_to"),
    [
        ([Typical(Request(0, 0, gpus=1), 1)], "partly_used"),  # keep the whole GPU whole
        ([Typical(Request(0, 0, gpus=1, gpu_milli=600), 1)], "whole"),  # keep the 600 that such shares need
    ],
)
def test_a_share_goes_where_what_is_usually_asked_for_loses_least(typical: list[Typical], goes_to: str) -> None:
    fleet = Fleet()
    fleet.put(Node("partly_used", 8000, 0, gpus=1))
    fleet.put(Node("whole", 8000, 0, gpus=1))
    fleet.reserve("job", "partly_used", Request(0, 0, gpus=1, gpu_milli=400))
    proposals = Proposer(fleet, typical).propose(Request(0, 0, gpus=1, gpu_milli=300), "fgd")
    assert proposals[0].node == goes_to


def test_without_typical_requests_every_node_scores_alike() -> None:
    fleet = Fleet()
    fleet.put(Node("b", 8000, 0, gpus=2))
    fleet.put(Node("a", 4000, 0, gpus=1))
    assert [p.node for p in Proposer(fleet).propose(Request(0, 0, gpus=1), "fgd")] == ["a", "b"]
