"""Where z3 fails, a question is not settled: nothing else goes wrong."""

from collections.abc import Callable
from itertools import count
from typing import Any

import lab
import pytest
import z3

import tiki
from tiki.analysis import Outcome, analyse, compare
from tiki.analysis.encode import Space

RULES = (
    "fallback: hold",
    "hot: when memory > 80% and (gpu > 90% or busy) for 30s: shed_load",
    "hotter: when memory > 90% and gpu > 95% for 30s: scale_out",
    "never migrate when target.gpu_free < job.gpu",
    "otherwise: consult [migrate, hold]",
)
OTHER = (*RULES[:2], "hotter: when memory > 95%: scale_out", *RULES[3:])


@pytest.fixture
def fails_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Makes z3 raise at a call of one of its functions, and at none before."""

    def from_call(function: str, number: int) -> None:
        calls, real = count(1), getattr(z3.Solver, function)

        def call(*arguments: Any) -> Any:
            if next(calls) >= number:
                raise z3.Z3Exception("Overflow encountered when expanding vector")
            return real(*arguments)

        monkeypatch.setattr(z3.Solver, function, call)

    return from_call


@pytest.mark.parametrize("function", ["check", "add", "model", "unsat_core"])
@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_question_at_which_z3_fails_is_not_settled(
    fails_at: Callable[[str, int], None], function: str, number: int
) -> None:
    plan, other = lab.program(*RULES).plan, lab.program(*OTHER).plan
    whole, edit = analyse(plan), compare(plan, other)
    fails_at(function, number)
    proved, differ = {Outcome.PROVED, Outcome.UNSETTLED}, {Outcome.REFUTED, Outcome.UNSETTLED}
    truth = {(result.question, result.clauses): result.outcome for result in whole.results}
    for result in analyse(plan).results:
        known = truth.get((result.question, result.clauses), Outcome.UNSETTLED)
        assert result.outcome in (proved if known is Outcome.PROVED else differ)
    assert edit.equivalent is Outcome.REFUTED
    assert compare(plan, other).equivalent in differ


def test_a_check_goes_on_where_z3_fails_and_names_what_is_open(fails_at: Callable[[str, int], None]) -> None:
    hidden = lab.spec("fallback: hold", "when memory > gpu: shed_load", "when memory > gpu and busy: scale_out")
    sources, open_ = [tiki.Source(lab.PATH, hidden)], list[str]()
    assert [one.code for one in tiki.check(sources, lab.POINTS, unsettled=open_.append)] == ["TIKI-702"]
    assert open_ == []
    fails_at("check", 1)
    warm = tiki.Source(lab.PATH, hidden.replace("scale_out", "migrate"))
    assert tiki.check([warm], lab.POINTS, unsettled=open_.append) == []
    assert open_ == ["lab.pressure"]


def test_what_is_joined_lives_until_it_is() -> None:
    """z3 frees an expression with the last Python object that stands for it."""
    context = z3.Context()
    number = z3.Int("number", context)
    joined = Space(z3, context, lambda bound: None).any(number == value for value in range(1000))
    assert [part.arg(1).as_long() for part in joined.children()] == list(range(1000))
