"""What takes longer than a keystroke may: the findings that need a solver, and the examples.

    python -m tiki.editor.slow

A process of its own, so that a proof can be ended at any moment and never holds up the editor. One line of JSON asks,
one line answers, until its input ends.
"""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from tiki.bundle import build, check, run_examples
from tiki.diagnostics import Diagnostic, Invalid, Source, errors
from tiki.schema import Point


class Question(msgspec.Struct, frozen=True):
    """points: declarations as JSON; sources and overlays: path and text. budget: seconds for proofs."""

    points: list[dict[str, object]]
    sources: list[tuple[str, str]]
    overlays: list[tuple[str, str]]
    budget: float


class Ran(msgspec.Struct, frozen=True):
    """An example that was run. message: where it failed, what was decided instead and why."""

    path: str
    line: int
    passed: bool
    message: str


class Answer(msgspec.Struct, frozen=True):
    """examples are empty where the specs have errors."""

    found: list[Diagnostic]
    examples: list[Ran]


def question(
    points: Mapping[str, Point], sources: Sequence[Source], overlays: Sequence[Source], budget: float
) -> bytes:
    declared = [point.model_dump(mode="json") for point in points.values()]
    return msgspec.json.encode(Question(declared, list(map(_plain, sources)), list(map(_plain, overlays)), budget))


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
        results = run_examples(build(sources, points, overlays))
    except Invalid:
        return Answer(found, [])
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
