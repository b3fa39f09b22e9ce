"""A file that is read again after an edit: what comes of it is what a first reading gives, to the last place."""

from dataclasses import fields, is_dataclass
from typing import Any

import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiki
from tiki import Document, Source
from tiki.diagnostics import Place
from tiki.document import Bullet
from tiki.pieces import Reading
from tiki.read import MOST_BULLETS, read_again

LINES = (
    "---",
    "tiki: 1",
    "tiki: 2",
    "# Page",
    "## LAB Pressure Spec",
    "## LAB Second Spec",
    "## LAB Second spec",
    "LAB Third Spec",
    "### Examples",
    "### Exampels",
    "| memory | decides |",
    "| --- | --- |",
    "| 97% | hold |",
    "| 97% |",
    "",
    "prose",
    "when busy: hold",
    "1. when busy: hold",
    "  and busy: hold",
    "<!--",
    "-->",
    "<!-- one -->",
    "```",
    "```tiki",
    "~~~~ tiki",
    "~~~~",
    "- fallback: hold",
    "- hot: when memory > 5%: hold",
    "- hot: when memory > 5% <!-- why -->",
    "- when memory > <!--",
    "- whn busy: hold",
    " - when busy: hold",
    "-when busy: hold",
    "\ufffd",
    "a\rb",
)
lines = st.sampled_from(LINES)
edits = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.lists(lines, max_size=3)), max_size=10)


def whole(item: Any) -> Any:
    """Everything of a tree, with what does not count when trees are compared: places above all."""
    if isinstance(item, Place):
        return item.path, item.span, item.excerpt
    if isinstance(item, tuple | list):
        return [whole(one) for one in item]
    if is_dataclass(item):
        return type(item), [whole(getattr(item, one.name)) for one in fields(item)]
    return item


def assert_as_at_first(document: Document) -> None:
    assert whole(document) == whole(tiki.read(document.source))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(["a.tiki", "a.md"]), st.lists(lines, max_size=25), edits)
def test_after_any_edits_a_file_is_read_as_at_first(
    path: str, text: list[str], edits: list[tuple[int, int, list[str]]]
) -> None:
    reading = None
    for at, gone, put in [(0, 0, []), *edits]:
        text[at : at + gone] = put
        reading = read_again(Source(path, "\n".join(text)), reading)
        assert_as_at_first(reading.document)


def statements(reading: Reading) -> list[object]:
    return [block.statement for block in reading.document.blocks if isinstance(block, Bullet)]


RULES = [f"rule_{number}: when memory > {number}%: hold" for number in range(40)]


@pytest.mark.parametrize("path", ["a.tiki", "a.md"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Page", "# Page\n\nA line more."),
        ("# Page\n", ""),
        ("- rule_20", "Prose.\n\n- rule_20"),
        ("- rule_20: when memory > 20%: hold\n", ""),
        ("Pressure", "Presure"),
        ("## LAB Pressure Spec", "## LAB Pressure Spe"),
        ("- rule_7:", "```\n- rule_7:"),
        ("- rule_7:", "<!--\n- rule_7:"),
        ("- rule_7:", "### Examples\n- rule_7:"),
        ("- rule_7:", "\ufffd\n- rule_7:"),
    ],
)
def test_what_an_edit_leaves_as_it_was_is_not_parsed_again_nor_what_it_puts_back(path: str, old: str, new: str) -> None:
    spec = "# Page\n" + lab.spec(*RULES)
    text = f"Before.\n\n~~~tiki\n{spec}~~~\n" if path.endswith(".md") else spec
    first = read_again(Source(path, text))
    known = {id(statement) for statement in statements(first)}
    assert len(known) == 40
    changed = read_again(Source(path, text.replace(old, new)), first)
    assert_as_at_first(changed.document)
    assert {id(statement) for statement in statements(changed)} <= known
    back = read_again(Source(path, text), changed)
    assert_as_at_first(back.document)
    assert len(known & {id(statement) for statement in statements(back)}) >= 39


def test_of_a_file_with_too_many_bullets_no_more_are_read_than_at_first() -> None:
    many = lab.spec(*[f"rule_{number}: when memory > {number}%: hold" for number in range(MOST_BULLETS - 1)])
    reading = read_again(Source("a.tiki", many))
    for text in (many + "- when busy: hold\n", many + "- when busy: hold\n" * 3, "- a\n" * 3 + many, many):
        reading = read_again(Source("a.tiki", text), reading)
        assert_as_at_first(reading.document)
    top = many.replace("- rule_1:", "- when busy: hold\n- rule_0_1: when busy: hold\n- rule_1:")
    reading = read_again(Source("a.tiki", top), reading)
    assert_as_at_first(reading.document)
    assert reading.document.diagnostics[0].code == "TIKI-108"
