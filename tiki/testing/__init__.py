"""Tests of specs: scenarios on virtual time (`*_test.tiki`), what they and the examples cover, and reports of it.

docs/tiki/testing.md is the manual.
"""

from tiki.testing.coverage import KINDS, Coverage, Goal, coverage
from tiki.testing.files import is_test, read_tests
from tiki.testing.format import format_scenarios
from tiki.testing.junit import junit
from tiki.testing.run import Plot, ScenarioResult, check, plots, run
from tiki.testing.scaffold import Scaffold, scaffold
from tiki.testing.suite import Case, Outcome, Suite, run_suite, suite

__all__ = [
    "KINDS",
    "Case",
    "Coverage",
    "Goal",
    "Outcome",
    "Plot",
    "Scaffold",
    "ScenarioResult",
    "Suite",
    "check",
    "coverage",
    "format_scenarios",
    "is_test",
    "junit",
    "plots",
    "read_tests",
    "run",
    "run_suite",
    "scaffold",
    "suite",
]
