"""Specs and scenarios: whatever a file holds is answered, in place; what can be read can be printed and run."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

import tiki
from tests.tiki import lab
from tests.tiki.places import assert_inside, kept
from tiki import Invalid, Point, Source, testing
from tiki.diagnostics import errors
from tiki.fix import fix
from tiki.testing.read import read as read_scenarios

T = TypeVar("T")
_POINTS = Path(lab.__file__).parent / "corpus" / "points.json"
RULES = lab.spec(
    "fallback: request_operator",
    "limit: 90%",
    "hot: when memory > limit for 30s, clear at 70%, cooldown 5m: shed_load(newest)",
    "odd: when state == lost or not busy: consult [scale_out, migrate]",
    "room: never migrate when target.gpu_free < job.gpu",
    "otherwise: hold",
)
"""What scenarios are about."""


@cache
def points() -> dict[str, Point]:
    declared = TypeAdapter(list[Point]).validate_json(_POINTS.read_bytes())
    return {point.name: point for point in (lab.POINT, *declared)}


@cache
def rules() -> tiki.Bundle:
    return tiki.build([Source(lab.PATH, RULES)], lab.POINTS)


def text_of(raw: bytes) -> str:
    """Most of what a fuzzer makes is hardly UTF-8, and a file that is none is refused at its first byte: what there is
    of it is taken. Lone surrogates, which no decoder gives, an editor may still send."""
    return raw.decode("utf-8", "ignore")


def attempt(work: Callable[[], T]) -> T | Invalid:
    try:
        return work()
    except Invalid as refused:
        return refused


def spec(raw: bytes) -> None:
    text = text_of(raw)
    _spec(Source("a.tiki", text))
    if "```" in text or "~~~" in text:
        _spec(Source("a.md", text))


def _spec(source: Source) -> None:
    found = tiki.check([source], points(), budget=0)
    assert_inside(found, {source.path: source.text})
    built = attempt(lambda: tiki.build([source], points()))
    if isinstance(built, Invalid):
        assert set(built.diagnostics) == set(errors(found)), built
    else:
        assert not errors(found), found
        tiki.run_examples(built)
        if any(one.fix is not None for one in found):
            _fixed(source)
    _printed(source)


def _fixed(source: Source) -> None:
    fixed = fix([source], points(), budget=0)
    assert not errors(fixed.left), fixed
    assert all(one.fix is None for one in fixed.left), fixed


def _printed(source: Source) -> None:
    document = tiki.read(source)
    wrong = errors(document.diagnostics)
    printed = attempt(lambda: tiki.format_text(source.text, source.path))
    if isinstance(printed, Invalid):
        assert printed.diagnostics == wrong != (), printed
    else:
        assert not wrong, wrong
        again = tiki.read(Source(source.path, printed))
        assert again.specs == document.specs, printed
        assert kept(again) == kept(document), printed
        assert tiki.format_text(printed, source.path) == printed, printed


def scenarios(raw: bytes) -> None:
    source = Source("a_test.tiki", text_of(raw))
    found = testing.check([source], rules())
    assert_inside(found, {source.path: source.text})
    suite = attempt(lambda: testing.suite(rules(), [source], examples=False))
    if isinstance(suite, Invalid):
        assert set(suite.diagnostics) == set(errors(found)), suite
    else:
        assert not errors(found), found
        for plot in suite.scenarios:
            testing.run(plot)
    _printed_scenarios(source)


def _printed_scenarios(source: Source) -> None:
    file = read_scenarios(source)
    wrong = errors(file.diagnostics)
    printed = attempt(lambda: testing.format_scenarios(source.text, source.path))
    if isinstance(printed, Invalid):
        assert printed.diagnostics == wrong != (), printed
    else:
        assert not wrong, wrong
        assert read_scenarios(Source(source.path, printed)).scenarios == file.scenarios, printed
        assert testing.format_scenarios(printed, source.path) == printed, printed
