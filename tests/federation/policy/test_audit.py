import random

import msgspec
import pytest
from scipy.stats import binom

from federation.policy.audit import ALPHA, Audit, resumed, step

RUNS = 500
AUDITS = 1000


def broken_after(draw: random.Random, errors: list[float], max_error: float) -> int | None:
    """The number of audits after which the promise was taken for broken. errors: probability of each to be wrong."""
    audit = Audit("policy", max_error)
    for count, error in enumerate(errors, start=1):
        audit = step(audit, draw.random() < error)
        if audit.broken:
            return count
    return None


@pytest.mark.parametrize("max_error", [0.01, 0.05])
def test_looked_at_after_every_audit_a_kept_promise_is_called_broken_in_few_of_500_worlds(max_error: float) -> None:
    """The true error is exactly the one promised, which is the hardest kept promise. The slack is what chance exceeds
    once in 1,000 such tests."""
    draw = random.Random(1)
    alarms = sum(broken_after(draw, [max_error] * AUDITS, max_error) is not None for _ in range(RUNS))
    assert alarms <= binom.ppf(0.999, RUNS, ALPHA)


@pytest.mark.parametrize(("error", "within"), [(0.1, 1200), (0.2, 200), (0.5, 50)])
def test_a_world_that_is_broken_from_the_start_trips_it(error: float, within: int) -> None:
    draw = random.Random(2)
    found = [broken_after(draw, [error] * within, 0.05) for _ in range(100)]
    assert sum(count is not None for count in found) >= 95


@pytest.mark.parametrize(("error", "within"), [(0.2, 300), (0.5, 80)])
def test_a_world_that_drifts_after_long_honesty_trips_it_too(error: float, within: int) -> None:
    draw = random.Random(3)
    found = [broken_after(draw, [0.03] * AUDITS + [error] * within, 0.05) for _ in range(100)]
    assert sum(count is not None and count > AUDITS for count in found) >= 95


def test_a_broken_promise_stays_broken_until_it_is_calibrated_anew() -> None:
    audit = Audit("policy", 0.05)
    for _ in range(20):
        audit = step(audit, wrong=True)
    assert audit.broken
    for _ in range(1000):
        audit = step(audit, wrong=False)
    assert resumed(audit, "policy", 0.05).broken
    assert not resumed(audit, "recalibrated", 0.05).broken
    assert not resumed(audit, "policy", 0.05, times=2).broken
    assert not resumed(audit, "policy", 0.1).broken


def test_how_the_test_stands_outlives_a_restart() -> None:
    audit = Audit("policy", 0.05)
    for count in range(60):
        audit = step(audit, wrong=count % 20 == 0)
    kept = msgspec.json.decode(msgspec.json.encode(audit), type=Audit)
    assert step(kept, wrong=True) == step(audit, wrong=True)
    assert (kept.checked, kept.wrong) == (60, 3)


@pytest.mark.parametrize("wrong", [True, False])
def test_evidence_survives_any_number_of_audits(wrong: bool) -> None:
    audit = Audit("policy", 0.05)
    for _ in range(20_000):
        audit = step(audit, wrong)
    assert audit.broken == wrong
    assert 0 < audit.evidence() < float("inf")


@pytest.mark.parametrize("max_error", [0.0, 1.0])
def test_promises_that_cannot_break_do_not(max_error: float) -> None:
    audit = Audit("policy", max_error)
    for _ in range(100):
        audit = step(audit, wrong=True)
    assert not audit.broken


@pytest.mark.parametrize("error", [0.3, 0.6])
def test_a_broken_promise_says_when_it_most_likely_began_to_be(error: float) -> None:
    draw, misses = random.Random(4), []
    for _ in range(100):
        audit, at = Audit("policy", 0.05), 0
        while not audit.broken:
            at += 1
            audit = step(audit, draw.random() < (0.02 if at <= 300 else error), at)
        if at > 300:
            misses.append(abs(audit.since - 301))
    assert len(misses) >= 95
    assert sorted(misses)[80] <= 10


def test_one_wrong_answer_before_the_change_does_not_date_it_too_early() -> None:
    audit = Audit("policy", 0.05)
    checks = (*[False] * 10, True, *[False] * 8, *[True, True, False] * 10)
    for at, wrong in enumerate(checks, start=1):
        audit = step(audit, wrong, at)
    assert audit.broken
    assert audit.since == 20
