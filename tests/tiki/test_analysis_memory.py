"""z3 holds the memory of the whole process against the limit of each question, so nothing may stay behind."""

import gc
from collections.abc import Iterator

import lab
import pytest
import z3

import tiki
from tiki.analysis import analyse, compare

RULES = (
    "fallback: hold",
    "hot: when memory > 80% and (gpu > 90% or busy) for 30s: shed_load",
    "hotter: when memory > 90% and gpu > 95% for 30s: scale_out",
    "never migrate when target.gpu_free < job.gpu",
    "otherwise: consult [migrate, hold]",
)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def contexts() -> int:
    return sum(type(one) is z3.Context for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
def test_what_was_asked_leaves_no_memory_behind_though_nobody_collects() -> None:
    plan, other = lab.program(*RULES).plan, lab.program(*RULES[1:]).plan
    before = contexts()
    analyse(plan)
    compare(plan, other)
    tiki.check([tiki.Source(lab.PATH, lab.spec(*RULES))], lab.POINTS)
    assert contexts() == before
