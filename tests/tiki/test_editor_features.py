"""What the editor says about a place, asked of the functions themselves. `^` marks the cursor."""

import re
from contextlib import suppress

import lab
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import is_inside
from test_any_document import DOCUMENTS, broken, junk, neat, written

import tiki
from tiki import Source
from tiki.diagnostics import Span
from tiki.editor import navigate
from tiki.editor.complete import complete
from tiki.editor.engine import Analysis, Engine
from tiki.editor.fixes import quick_fixes
from tiki.editor.hints import hints
from tiki.editor.hover import hover
from tiki.editor.layout import layout
from tiki.editor.names import Mark, mark_at
from tiki.editor.outline import folds, outline
from tiki.editor.text import Text
from tiki.editor.tokens import tokens

BASE = """\
## LAB Pressure Spec
- limit: 80%
- fallback: request_operator
- hot: when memory > limit or gpu > memory_threshold for 30s: shed_load(newest)
- roomy: never migrate when target.gpu_free < job.gpu
- otherwise: hold

### Examples
| memory | limit | decides |
| --- | --- | --- |
| 95% | 60% | shed_load |
"""
OVERLAY = "## LAB Pressure Spec\n- limit: 70%\n- hot: when memory > limit: scale_out\n"


def analysed(text: str = BASE, overlay: str | None = None) -> Analysis:
    overlays = [] if overlay is None else [Source("overlays/prod/o.tiki", overlay)]
    return Engine(lab.POINTS).check([Source("a.tiki", text)], overlays)


def cursor(marked: str) -> tuple[str, int, int]:
    before = marked[: marked.index("^")]
    return marked.replace("^", "", 1), before.count("\n") + 1, len(before) - before.rfind("\n")


def proposed(bullet: str) -> list[str]:
    """What is proposed in a file whose last bullet is this."""
    text, line, column = cursor(BASE.replace("- otherwise: hold\n", bullet + "\n") if "^" in bullet else bullet)
    found = complete(analysed(text), "a.tiki", text.split("\n"), line, column)
    return [] if found is None else [item.label for item in found.items]


PROPOSALS = {
    "- ^": (["when", "never", "otherwise:", "decides", "memory_threshold", "on_timeout"], ["memory", "fallback"]),
    "- mem^": (["memory_threshold"], ["memory"]),
    "- decides: ^": (["lab.pressure"], ["hold"]),
    "- on_timeout: ^": (["hold", "migrate"], ["request_operator"]),
    "- memory_threshold: ^": (["80%"], ["hold"]),
    "- timeout: 5^": (["5s", "5m", "5h"], ["5%"]),
    "- warm: ^": (["when", "never", "otherwise"], ["memory"]),
    "- when ^": (["memory", "busy", "limit", "memory_threshold", "not"], ["hold", "target.gpu_free", "timeout"]),
    "- when memory ^": ([">", "<=", "==", "in", "is absent"], ["and", "memory"]),
    "- when busy ^": (["and", ":", "=="], [">"]),
    "- when state ^": (["==", "!=", "in"], [">"]),
    "- when memory > ^": (["limit", "memory_threshold", "80%", "gpu"], ["busy", "memory", "queue", "wait"]),
    "- when wait > 3^": (["3s", "3m"], ["3%"]),
    "- when free < 8^": (["8GiB", "8GB"], []),
    "- when failures > 5^": (["5_per_minute"], []),
    "- when state == ^": (["ready", "draining", "lost"], ["hold"]),
    "- when state in ^": (["zones", "labels", "["], ["ready"]),
    "- when state in [ready, ^": (["draining", "lost"], ["zones"]),
    "- when memory is ^": (["absent"], ["and"]),
    "- when memory > 80% ^": (["and", "or", "for", ":"], ["memory"]),
    "- when memory > 80% and (not ^": (["gpu"], ["for"]),
    "- when memory > 80% for ^": (["30s"], ["80%"]),
    "- when memory > 80% for 30s^ ": ([], ["80%"]),
    "- when memory > 80%, ^": (["clear at", "cooldown"], ["for"]),
    "- when memory > 80%, clear ^": (["at"], []),
    "- when memory > 80%, clear at ^": (["limit", "80%"], ["30s"]),
    "- when memory > 80%, cooldown ^": (["5m"], []),
    "- when memory > 80%: ^": (["shed_load", "consult", "hold"], ["memory"]),
    "- when memory > 80%: shed_load(^": (["lowest_priority", "newest"], ["30s"]),
    "- when memory > 80%: shed_load(newest, ^": (["30s"], ["newest"]),
    "- when memory > 80%: consult ^": (["["], []),
    "- when memory > 80%: consult [hold, ^": (["scale_out"], ["hold"]),
    "- never ^": (["migrate", "scale_out"], ["hold"]),
    "- never migrate ^": (["when"], []),
    "- never migrate when ^": (["target.gpu_free", "job.gpu", "memory"], []),
    "- never scale_out when ^": (["memory"], ["target.gpu_free"]),
    "- never migrate when target.^": (["target.gpu_free"], []),
    "- when busy\n  and mem^": (["memory"], []),
    "- otherwise: ^": (["hold", "consult"], ["memory"]),
    "words ^": ([], ["memory"]),
    "- when busy <!-- ^": ([], ["memory"]),
}


@pytest.mark.parametrize(("bullet", "names"), PROPOSALS.items(), ids=PROPOSALS)
def test_what_fits_the_place_is_proposed_and_nothing_else(bullet: str, names: tuple[list[str], list[str]]) -> None:
    found = proposed(bullet)
    assert set(names[0]) <= set(found)
    assert not set(names[1]) & set(found)
    assert len(found) == len(set(found))


def test_titles_and_cells_are_proposed() -> None:
    assert proposed("## LAB ^\n") == ["## LAB Pressure Spec"]
    assert {"shed_load", "request_operator", "consult"} <= set(proposed(BASE.replace("shed_load |", "^ |")))
    assert {"absent", "unknown"} <= set(proposed(BASE.replace("| 95%", "| ^")))
    assert "gpu" in proposed(BASE.replace("| limit |", "| ^ |"))


def test_in_a_markdown_page_only_fences_are_completed() -> None:
    page = f"# Page\n## \n```tiki\n{BASE}- \n```\n- \n"
    lines = page.split("\n")
    analysis = Engine(lab.POINTS).check([Source("a.md", page)])
    answers = [complete(analysis, "a.md", lines, line, column) for line, column in ((2, 4), (15, 3), (17, 3))]
    assert [answer is not None for answer in answers] == [False, True, False]


def test_a_proposal_replaces_the_word_before_the_cursor() -> None:
    text, line, column = cursor(BASE.replace("- otherwise: hold", "- when mem^"))
    found = complete(analysed(text), "a.tiki", text.split("\n"), line, column)
    assert found is not None
    assert found.span == Span(6, 8, 6, 11)


def mark(marked: str, overlay: str | None = None) -> tuple[Analysis, Mark]:
    text, line, column = cursor(marked)
    analysis = analysed(text, overlay)
    found = mark_at(analysis, "a.tiki", line, column)
    assert found is not None
    return analysis, found


HOVERS = {
    "> lim^it": ["setting of this spec's own, percent", "`80%`, set at a.tiki:2"],
    "> memory_thr^eshold": ["setting of `lab.pressure`, percent", "Limit.", "`80%`, by default"],
    "when mem^ory": [
        "fact of `lab.pressure`, percent",
        "Unknown when older than 10s.",
        "`memory > limit`, where limit is 80%",
    ],
    "target.gpu^_free": ["attribute of candidates, count", "Carried by candidates of `migrate`."],
    "shed^_load(": ["action of `lab.pressure`", "`victim`: Which. (one of `lowest_priority`, `newest`)"],
    "request_op^erator": ["tier operator", "A person decides"],
    "- ho^t:": ["a clause of `lab.pressure`"],
    "LAB Pre^ssure": ["**lab.pressure**, version 1"],
}


@pytest.mark.parametrize(("marked", "lines"), HOVERS.items(), ids=HOVERS)
def test_hovering_tells_type_purpose_and_the_value_in_force(marked: str, lines: list[str]) -> None:
    text, line, column = cursor(BASE.replace(marked.replace("^", ""), marked, 1))
    found = hover(analysed(text), "a.tiki", line, column)
    assert found is not None
    for part in lines:
        assert part in found[0]


def test_hovering_tells_what_an_overlay_sets() -> None:
    text, line, column = cursor(BASE.replace("> limit", "> li^mit"))
    found = hover(analysed(text, OVERLAY), "a.tiki", line, column)
    assert found is not None
    assert "`70%`, set at overlays/prod/o.tiki:2" in found[0]


def test_a_setting_and_a_clause_are_found_in_base_and_overlay() -> None:
    analysis, limit = mark(BASE.replace("> limit", "> li^mit"), OVERLAY)
    assert list(map(str, navigate.definitions(analysis, limit))) == ["a.tiki:2", "overlays/prod/o.tiki:2"]
    used = sorted(map(str, navigate.references(analysis, limit, declarations=False)))
    assert used == ["a.tiki:4", "a.tiki:9", "overlays/prod/o.tiki:3"]
    analysis, hot = mark(BASE.replace("- hot", "- h^ot"), OVERLAY)
    assert list(map(str, navigate.definitions(analysis, hot))) == ["a.tiki:4", "overlays/prod/o.tiki:3"]


@pytest.mark.parametrize(("marked", "old"), [("> li^mit", "limit"), ("- ho^t", "hot")])
def test_a_name_is_given_everywhere(marked: str, old: str) -> None:
    analysis, found = mark(BASE.replace(marked.replace("^", ""), marked), OVERLAY)
    edits = navigate.rename(analysis, found, "other")
    for path, text in (("a.tiki", BASE), ("overlays/prod/o.tiki", OVERLAY)):
        edited = Text(text).edited(edit for edit in edits if edit.path == path)
        assert edited == re.sub(rf"\b{old}\b", "other", text)


@pytest.mark.parametrize(
    ("marked", "name", "why"),
    [
        ("when mem^ory", "other", "`memory` is a fact"),
        ("shed^_load(", "other", "`shed_load` is an action"),
        ("target.gpu^_free", "other", "is an attribute"),
        ("> memory_thr^eshold", "other", "a setting that lab.pressure declares"),
        ("fall^back", "other", "a setting of the language"),
        ("> li^mit", "newest", "stands for something else"),
        ("> li^mit", "gpu", "stands for something else"),
        ("> li^mit", "Not a name", "is not a name"),
        ("> li^mit", "when", "is not a name"),
        ("- ho^t", "roomy", "stands for something else"),
        ("- ho^t", "otherwise", "is not a name"),
    ],
)
def test_what_cannot_be_renamed_is_refused_with_the_reason(marked: str, name: str, why: str) -> None:
    analysis, found = mark(BASE.replace(marked.replace("^", ""), marked, 1))
    with pytest.raises(navigate.CannotRename, match=why):
        navigate.rename(analysis, found, name)


def test_a_suggestion_becomes_a_quick_fix_that_cures_it() -> None:
    text = BASE.replace("when memory", "when memry")
    [found] = analysed(text).found
    [fix] = quick_fixes([found], Span(4, 1, 4, 20))
    assert (fix.title, fix.safe) == ("Write `memory`", False)
    assert Text(text).edited(fix.edits) == BASE
    assert list(quick_fixes([found], Span(1, 1, 1, 5))) == []


def test_a_safe_fix_is_offered_as_one_and_cures_it() -> None:
    text = "## LAB Pressure Spec\n- hot: when memory > 5%: scale_out\n"
    found = analysed(text).found
    [fix] = quick_fixes(found, Span(1, 1, 1, 5))
    assert fix.safe
    assert "TIKI-505" not in {one.code for one in analysed(Text(text).edited(fix.edits)).found}


def test_the_value_of_a_setting_is_shown_where_it_is_used() -> None:
    assert list(hints(analysed(overlay=OVERLAY), "a.tiki", 4, 4)) == [(4, 27, " 70%"), (4, 53, " 80%")]


def test_words_are_coloured_by_what_they_mean() -> None:
    found = {
        (one.line, BASE.split("\n")[one.line - 1][one.column - 1 : one.end_column - 1]): one
        for one in tokens(analysed(), "a.tiki")
    }
    kinds = {word: found[line, word].type for line, word in found if line in (4, 5)}
    assert kinds == {
        "hot": "event", "when": "keyword", "memory": "variable", ">": "operator", "limit": "property", "or": "keyword",
        "gpu": "variable", "memory_threshold": "property", "for": "keyword", "30s": "number", "shed_load": "function",
        "newest": "enumMember", "roomy": "event", "never": "keyword", "migrate": "function",
        "target.gpu_free": "parameter", "<": "operator", "job.gpu": "parameter",
    }  # fmt: skip
    assert found[2, "limit"].declares


def test_the_outline_has_specs_with_their_bullets_and_folds_them() -> None:
    [spec] = outline(analysed("# Why\n\nWords.\n\n" + BASE).documents["a.tiki"])[0].parts
    assert (spec.kind, spec.title) == ("spec", "LAB Pressure")
    assert [(part.kind, part.title) for part in spec.parts] == [
        ("setting", "limit"), ("setting", "fallback"), ("rule", "hot"), ("guard", "roomy"), ("otherwise", "otherwise"),
        ("section", "Examples"),
    ]  # fmt: skip
    assert list(folds(analysed().documents["a.tiki"])) == [(1, 11), (8, 11), (9, 11)]


@pytest.mark.timeout(300 + DOCUMENTS // 10)
@settings(max_examples=DOCUMENTS // 10, deadline=None, suppress_health_check=list(HealthCheck))
@given(neat | written | broken | junk, st.integers(1, 60), st.integers(1, 90))
def test_every_question_about_any_text_is_answered_with_places_inside_it(text: str, line: int, column: int) -> None:
    analysis = analysed(text)
    whole = Text(text)
    spans = [Span(one.line, one.column, one.end_line, one.end_column) for one in analysis.found]
    found = mark_at(analysis, "a.tiki", line, column)
    if found is not None:
        spans += [place.span for place in navigate.references(analysis, found)]
        with suppress(navigate.CannotRename):
            spans += [edit.span for edit in navigate.rename(analysis, found, "quite_another")]
    hovered = hover(analysis, "a.tiki", line, column)
    spans += [] if hovered is None else [hovered[1]]
    completed = complete(analysis, "a.tiki", whole.lines, line, column)
    spans += [] if completed is None or column > len(whole.lines[line - 1]) + 1 else [completed.span]
    spans += [token.span for token in tokens(analysis, "a.tiki")]
    spans += [edit.span for edit in layout(text, "a.tiki")]
    spans += [part.whole for part in outline(analysis.documents["a.tiki"])]
    spans += [Span(first, 1, last, 1) for first, last in folds(analysis.documents["a.tiki"])]
    spans += [Span(row, start, row, start) for row, start, _ in hints(analysis, "a.tiki", 1, 100)]
    for span in spans:
        assert is_inside(text, span), span
        start, end = whole.range(span)
        assert (0, 0) <= start <= end <= whole.position(len(text))
    assert tiki.check([Source("a.tiki", text)], lab.POINTS, budget=0) == list(analysis.found)
