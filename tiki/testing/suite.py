"""All tests of a bundle: its examples, and scenarios; run together and reported alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tiki.bundle import Bundle
from tiki.diagnostics import Invalid, Place, Report, Source, errors
from tiki.examples import Example, ExampleResult, run_example
from tiki.testing.coverage import Coverage, coverage
from tiki.testing.run import Plot, ScenarioResult, plots, run
from tiki.values import ABSENT, show


@dataclass(frozen=True, slots=True)
class Suite:
    bundle: Bundle
    examples: tuple[Example, ...]
    scenarios: tuple[Plot, ...]

    @property
    def size(self) -> int:
        return len(self.examples) + len(self.scenarios)


@dataclass(frozen=True, slots=True)
class Case:
    """One test that was run. message: what went wrong, of several lines; empty where it passed. seconds: of wall
    time."""

    kind: Literal["example", "scenario"]
    point: str
    name: str
    place: Place
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    cases: tuple[Case, ...]
    coverage: Coverage

    @property
    def failed(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.message)

    def count(self, kind: Literal["example", "scenario"]) -> int:
        return sum(case.kind == kind for case in self.cases)


def suite(bundle: Bundle, tests: Sequence[Source], only: str = "", *, examples: bool = True) -> Suite:
    """The examples of a bundle, if wanted, and the scenarios of these files, as far as they have the text `only` in
    their path, point or name. Raises Invalid with everything that is wrong with the files."""
    report = Report()
    found = plots(tests, bundle, report)
    if errors(report.found):
        raise Invalid(errors(report.found))
    wanted = only.casefold()
    return Suite(
        bundle,
        tuple(
            e for e in bundle.examples if examples and wanted in f"{e.place} {e.point} {_name(e, bundle)}".casefold()
        ),
        tuple(p for p in found if wanted in f"{p.scenario.place} {p.point} {p.scenario.title}".casefold()),
    )


def run_suite(suite: Suite, progress: Callable[[int, int], None] = lambda done, total: None) -> Outcome:
    """Runs every test. progress: is told how many of how many are done."""
    bundle = suite.bundle
    cases: list[Case] = []
    examples: list[ExampleResult] = []
    scenarios: list[ScenarioResult] = []
    for example in suite.examples:
        began = time.perf_counter()
        result = run_example(example, bundle.merged[example.point], bundle.programs[example.point])
        took = time.perf_counter() - began
        name = _name(example, bundle)
        cases.append(Case("example", example.point, name, example.place, result.message, took))
        examples.append(result)
        progress(len(cases), suite.size)
    for plot in suite.scenarios:
        began = time.perf_counter()
        ran = run(plot)
        took = time.perf_counter() - began
        cases.append(Case("scenario", plot.point, ran.title, ran.place, ran.message, took))
        scenarios.append(ran)
        progress(len(cases), suite.size)
    return Outcome(tuple(cases), coverage(bundle, examples, scenarios))


def _name(example: Example, bundle: Bundle) -> str:
    facts = zip(bundle.programs[example.point].point.facts, example.facts, strict=True)
    known = [f"{fact.name} {show(fact.type, value)}" for fact, value in facts if value is not ABSENT]
    return f"{', '.join(known) or 'nothing known'}: {example.decides}"
