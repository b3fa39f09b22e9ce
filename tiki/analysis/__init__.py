"""What can be proved about rules, for all inputs at once, with z3 behind it.

    analyse(plan, timeout=10.0)                        -> Analysis: every question of a point, with its answer
    compare(old, new, timeout=10.0)                    -> Comparison: what two plans of a point decide differently
    solver = Solver(plan, timeout=10.0)                # or Solver(old, new): two plans of one point
    solver.find(*claims, prefer=())                    -> Answer(possible: True | False | None, input: Input | None)
    solver.equivalent(formula, other, action="")       -> Answer; possible is False where they always have one truth
    solver.reason(*claims)                             -> positions of claims that exclude one another, none to spare

A claim is data: `Is(formula, truth, action)`, `rule_is(plan, index, truth)`, `decides(plan, index)`,
`stops(plan, index)`, `Reaches(plan, index)`, `forbids(guard)`, `passes(plan, action)`, `Sure(actions)`, joined by
`All`, `Some` and `Not`. An index of `len(plan.rules)` is the end of the page: `otherwise` or the fallback. A formula
about a guard's candidate carries its action. `possible` None is "not settled": out of time, or z3 could not tell.

An `Input` was confirmed by the compiled rules before it is given out; `input.text(plan)` is TIKI
(`memory=97% gpu=absent`). What is assumed is written in docs/tiki/analysis.md. z3 is imported when the first Solver is
made.
"""

from tiki.analysis.claims import (
    All,
    Claim,
    Is,
    Not,
    Over,
    Reaches,
    Some,
    Sure,
    decides,
    forbids,
    passes,
    rule_is,
    stops,
)
from tiki.analysis.compare import Comparison, Difference, GuardChange, SettingChange, compare
from tiki.analysis.inputs import Input
from tiki.analysis.questions import Analysis, Outcome, Question, Result, alike, analyse, choice
from tiki.analysis.solver import Answer, Solver

__all__ = [
    "All",
    "Analysis",
    "Answer",
    "Claim",
    "Comparison",
    "Difference",
    "GuardChange",
    "Input",
    "Is",
    "Not",
    "Outcome",
    "Over",
    "Question",
    "Reaches",
    "Result",
    "SettingChange",
    "Solver",
    "Some",
    "Sure",
    "alike",
    "analyse",
    "choice",
    "compare",
    "decides",
    "forbids",
    "passes",
    "rule_is",
    "stops",
]
