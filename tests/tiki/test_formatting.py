import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kleene import conditions, written

import tiki
from tiki import Source, format_text

names = st.sampled_from(["memory", "gpu", "mine", "lowest_priority"])
values = st.sampled_from(["80%", "30s", "8GiB", "3_consecutive", "[a, b]", "some_name", '"a text"', "true"])
prose = st.sampled_from(
    ["", "Some text, with - a dash.", "> quoted", "| a | b |", "<!-- a comment -->", "```\n- code: 1\n```", "---"]
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
)
headings = st.sampled_from(
    ["## LAB Pressure Spec", "### Notes ##", "# Title", "### Examples\n\n| a | decides |\n|--|:-:|\n|  5 | hold|"]
)
texts = st.lists(st.one_of(headings, bullets.map(lambda b: b + "\n"), prose.map(lambda p: p + "\n")), max_size=12).map(
    lambda parts: "## LAB Pressure Spec\n" + "\n".join(parts)
)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_the_printed_form_reads_as_the_same_tree_and_prints_the_same(text: str) -> None:
    document = tiki.read(Source("a.tiki", text))
    if document.diagnostics:
        with pytest.raises(tiki.Invalid):
            format_text(text, "a.tiki")
        return
    printed = format_text(text, "a.tiki")
    assert tiki.read(Source("a.tiki", printed)).specs == document.specs
    assert format_text(printed, "a.tiki") == printed


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
