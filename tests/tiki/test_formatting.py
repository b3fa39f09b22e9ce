import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import kept
from test_kleene import conditions, written

import tiki
from tiki import Source, format_text
from tiki.editor.layout import layout, layout_of
from tiki.editor.text import Text

names = st.sampled_from(["memory", "gpu", "mine", "lowest_priority"])
values = st.sampled_from(["80%", "30s", "8GiB", "3_consecutive", "[a, b]", "some_name", '"a  text"', "true"])
prose = st.one_of(
    st.sampled_from(
        [
            "",
            "\n",
            "Some text, with - a dash.  ",
            "> quoted",
            "| a | b |",
            "<!-- a\n\n   comment -->",
            "```\n- code: 1\n\n\n```",
            "~~~text\n## LAB Pressure Spec\n~~~",
            "---",
            "\tindented \U0001f600",
            "Title\n=====",
            "- a list\n  - under it",
        ]
    ),
    st.text("ab #|-\n\t<>`*é\U0001f600", max_size=12),
)
bullets = st.one_of(
    st.builds(lambda name, value: f"- {name}:   {value}", names, values),
    st.builds(
        lambda c, tail: f"*  when {written(c)}{tail}: shed_load( newest )",
        conditions,
        st.sampled_from(["", " for  5m"]),
    ),
    st.builds(
        lambda c: f"- hot :  when {written(c)}, cooldown 5m,\n   clear at 5% : consult [ hold,migrate ]", conditions
    ),
    st.builds(lambda c: f"- never migrate   when {written(c)} <!-- why\n  not -->", conditions),
    st.just("+ otherwise:hold"),
    st.just("- <!-- nothing but a comment -->"),
)
headings = st.sampled_from(
    [
        "## LAB Pressure Spec",
        "## ",
        "### Notes ##",
        "# Title",
        "## Words",
        "### Examples\n\n| a | decides |\n|--|:-:|\n|  5 | hold|",
        "### Examples\nwords\n  |a|\n|-|\n||\n| \U0001f600 |",
    ]
)
parts = st.lists(st.one_of(headings, bullets.map(lambda b: b + "\n"), prose.map(lambda p: p + "\n")), max_size=12)
fronts = st.sampled_from(["", "", "---\ntiki: 1  # the first\n---\n", "---\n# why\n{tiki: 1}\n---\n"])
ends = st.sampled_from(["\n", "\r\n"])
texts = st.builds(
    lambda front, parts, end: (front + "## LAB Pressure Spec\n" + "\n".join(parts)).replace("\n", end),
    fronts,
    parts,
    ends,
)
pages = st.builds(lambda before, inside, end: f"{before}\n```tiki\n{inside}\n```\n{end}", prose, texts, prose)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.tuples(texts, st.just("a.tiki")), st.tuples(pages, st.just("a.md"))))
def test_the_printed_form_keeps_every_word_reads_as_the_same_tree_and_prints_the_same(drawn: tuple[str, str]) -> None:
    text, path = drawn
    document = tiki.read(Source(path, text))
    if document.diagnostics:
        with pytest.raises(tiki.Invalid):
            format_text(text, path)
        return
    printed = format_text(text, path)
    again = tiki.read(Source(path, printed))
    assert again.specs == document.specs
    assert kept(again) == kept(document)
    assert format_text(printed, path) == printed
    if "\r" not in text or text.count("\r\n") == text.count("\n"):
        assert printed.count("\r\n") == (printed.count("\n") if "\r" in text else 0)


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(1, 60), st.integers(0, 20))
def test_formatting_a_range_edits_what_touches_it_and_keeps_the_tree(text: str, first: int, count: int) -> None:
    before = tiki.read(Source("a.tiki", text))
    edits = layout_of(text, "a.tiki", first, first + count)
    if before.diagnostics:
        assert edits == []
        return
    assert all(edit.span.line <= first + count and edit.span.end_line >= first for edit in edits)
    after = Text(text).edited(edits)
    assert tiki.read(Source("a.tiki", after)).specs == before.specs
    assert Text(text).edited(layout(text, "a.tiki")) == format_text(text, "a.tiki")


def test_a_range_is_formatted_alone() -> None:
    text = lab.spec("memory_threshold:   80%", "when busy:   hold", "otherwise:   hold")
    [edit] = layout_of(text, "a.tiki", 3, 3)
    assert (edit.span.line, edit.text) == (3, "- when busy: hold\n")


@pytest.mark.parametrize(
    "text",
    [
        lab.spec("when " + " or ".join(["busy"] * 600) + ":hold") + f"  <!-- {'x' * 1000} -->",
        lab.spec("otherwise: hold", "### Examples", "|memory|decides|", "|-|-|", f"|5%|{'x' * 3900}|", "|5%|hold|"),
        lab.spec("when " + "\n  ".join(["busy<true or"] * 330) + " busy: hold"),
        lab.spec("otherwise: hold", "### Examples", *["|" * 1500] * 2, "|-" * 1499 + "|", *["|" * 1500] * 200),
    ],
)
def test_what_would_be_too_large_to_be_read_again_stays_as_it_is_or_is_printed_smaller(text: str) -> None:
    try:
        printed = format_text(text, "a.tiki")
    except tiki.Invalid:
        return
    assert tiki.read(Source("a.tiki", printed)).specs == tiki.read(Source("a.tiki", text)).specs


KEPT = """\
---
tiki: 1
---

# Why

Some *prose*.

```sh


echo 1
```

## LAB Pressure Spec
<!-- about it -->
"""


def test_prose_comments_and_fences_are_kept() -> None:
    text = KEPT + "*  memory_threshold:80% <!-- the\n  limit -->\n\nWords.\n"
    assert format_text(text, "a.tiki") == KEPT + "- memory_threshold: 80% <!-- the limit -->\n\nWords.\n"


def test_a_long_clause_is_printed_with_no_more_parentheses_than_it_needs() -> None:
    clause = "- hot: when ((busy or (queue > 3)) and (not (state == lost))): shed_load(newest)"
    assert format_text(f"## LAB Pressure Spec\n{clause}\n", "a.tiki").splitlines()[1] == (
        "- hot: when (busy or queue > 3) and not state == lost: shed_load(newest)"
    )


def test_in_a_markdown_page_only_the_fences_are_touched() -> None:
    page = "# Page\n*  left alone\n\n```tiki\n## LAB Pressure Spec\n*  memory_threshold:  80%\n```\n*  left alone\n"
    assert format_text(page, "page.md") == page.replace("*  memory_threshold:  80%", "- memory_threshold: 80%")


def test_examples_are_aligned() -> None:
    text = lab.spec("otherwise: hold", "### Examples", "|memory|decides|", "|-|-|", "|5%|hold|")
    assert format_text(text, "a.tiki").splitlines()[-3:] == [
        "| memory | decides |",
        "| ------ | ------- |",
        "| 5%     | hold    |",
    ]


def test_what_cannot_be_read_is_not_printed() -> None:
    with pytest.raises(tiki.Invalid, match="TIKI-201"):
        format_text(lab.spec("whn memory > 5%: hold"), "a.tiki")
