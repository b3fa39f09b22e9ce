"""What takes longer than a keystroke may: the findings that need a solver, the examples, and what is wrong in files of
scenarios.

    python -m tiki.editor.slow

A process of its own, so that a proof can be ended at any moment and never holds up the editor. One line of JSON asks,
one line answers, until its input ends.
"""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from tiki import testing
from tiki.bundle import build, check, run_examples
from tiki.diagnostics import Diagnostic, Invalid, Source, errors
from tiki.schema import Point


class Question(msgspec.Struct, frozen=True):
    """points: declarations as JSON; sources, overlays and tests: path and text. budget: seconds for proofs."""

    points: list[dict[str, object]]
    sources: list[tuple[str, str]]
    overlays: list[tuple[str, str]]
    tests: list[tuple[str, str]]
    budget: float


class Ran(msgspec.Struct, frozen=True):
    """An example that was run. message: where it failed, what was decided instead and why."""

    path: str
    line: int
    passed: bool
    message: str


class Answer(msgspec.Struct, frozen=True):
    """Where the specs have errors, examples are empty and nothing is found in tests."""

    found: list[Diagnostic]
    examples: list[Ran]


def question(
    points: Mapping[str, Point],
    sources: Sequence[Source],
    overlays: Sequence[Source],
    tests: Mapping[str, str],
    budget: float,
) -> bytes:
    """tests: by path, the texts of files of scenarios."""
    declared = [point.model_dump(mode="json") for point in points.values()]
    scenarios = [Source(path, text) for path, text in tests.items()]
    base, over, beside = (list(map(_plain, some)) for some in (sources, overlays, scenarios))
    return msgspec.json.encode(Question(declared, base, over, beside, budget))


def answer(line: bytes) -> Answer:
    return msgspec.json.decode(line, type=Answer)


def work(asked: Question) -> Answer:
    points = {point.name: point for point in map(Point.model_validate, asked.points)}
    sources = [Source(path, text) for path, text in asked.sources]
    overlays = [Source(path, text) for path, text in asked.overlays]
    found = check(sources, points, overlays, budget=asked.budget)
    if errors(found):
        return Answer(found, [])
    try:
        bundle = build(sources, points, overlays)
    except Invalid:
        return Answer(found, [])
    found += testing.check([Source(path, text) for path, text in asked.tests], bundle)
    results = run_examples(bundle)
    ran = [Ran(one.example.place.path, one.example.place.span.line, one.passed, one.message) for one in results]
    return Answer(found, ran)


def _plain(source: Source) -> tuple[str, str]:
    """Lone surrogates have no UTF-8; what takes their place is no plain text either."""
    return source.path, source.text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def main() -> None:
    for line in sys.stdin.buffer:
        reply = msgspec.json.encode(work(msgspec.json.decode(line, type=Question)))
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
