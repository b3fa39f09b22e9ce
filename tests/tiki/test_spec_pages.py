"""The page about a bundle: every rule, guard, setting and example in words, self-contained and well-formed."""

import itertools
import re
from html.parser import HTMLParser

import lab
import pytest

import tiki
from tiki import docs, words

SPEC = """# The lab

What this page is about: `lab.pressure`.

## LAB Pressure Spec
- fallback: request_operator
- memory_threshold: 70%

Memory that runs out <b>hurts</b> & kills.

- hot: when memory > memory_threshold and (gpu > 90% or not busy) for 30s, cooldown 5m: shed_load(newest)
- full: when queue > 9, clear at 3: scale_out
- odd: when state in [lost, draining]: consult [scale_out, hold]
- never migrate when target.gpu_free < job.gpu
- otherwise: hold

The examples show it.

### Examples
| memory | gpu | busy | decides |
| --- | --- | --- | --- |
| 75% | 95% | true | shed_load |
| 75% | absent | absent | hold |

| memory | state | decides |
| --- | --- | --- |
| 5% | lost | consult |
"""
OVERLAY = "## LAB Pressure Spec\n- memory_threshold: 60%\n"


@pytest.fixture(scope="module")
def bundle() -> tiki.Bundle:
    return tiki.build([tiki.Source("lab.tiki", SPEC)], lab.POINTS, [tiki.Source("overlays/test/lab.tiki", OVERLAY)])


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("memory > 80%", "memory is above 80%"),
        ("memory <= memory_threshold", "memory is at most memory_threshold (80%)"),
        ("gpu is absent", "gpu is absent"),
        ("not gpu is absent", "gpu is not absent"),
        ("busy", "busy is true"),
        ("not busy", "busy is false"),
        ("not memory > 80%", "memory is not above 80%"),
        ("state in [lost, draining]", "state is one of lost, draining"),
        ("not state in [lost]", "state is none of lost"),
        ("spot in labels", "spot is one of labels"),
        ("memory > 80% and (gpu > 5% or busy)", "memory is above 80% and (gpu is above 5% or busy is true)"),
        ("memory > 80% or gpu > 5% and busy", "memory is above 80% or (gpu is above 5% and busy is true)"),
        ("not (busy and queue > 3)", "not (busy is true and queue is above 3)"),
    ],
)
def test_a_condition_is_put_in_words(condition: str, said: str) -> None:
    (rule,) = lab.program(f"when {condition}: shed_load", "otherwise: hold").rules
    assert words.condition(rule.condition) == said


@pytest.mark.parametrize(
    ("bullets", "said"),
    [
        (
            ["when busy: shed_load", "fallback: request_operator", "otherwise: hold"],
            [
                "Where no rule holds: hold.",
                "Where a rule that might decide cannot be told: ask a person.",
                "A case that nobody answers within 1h: hold.",
            ],
        ),
        (
            ["when busy: shed_load", "fallback: request_claude_supervision", "timeout: 5m", "on_timeout: scale_out"],
            [
                "Where a rule that might decide cannot be told, or none holds: ask an advisor, then a person.",
                "A case that nobody answers within 5m: scale_out.",
            ],
        ),
        (
            ["otherwise: consult [scale_out, hold]", "explore: 2%", "explore_budget: 1_per_hour"],
            [
                "Where no rule holds: ask which of scale_out, hold.",
                "2% of the policy's answers, at most 24 a day: another candidate than the best, one that can be taken "
                "back.",
                "A case that nobody answers within 1h: hold.",
            ],
        ),
        (["memory_threshold: 5%"], ["No spec says anything about this: hold, always."]),
    ],
)
def test_what_happens_where_no_rule_decides_is_said(bullets: list[str], said: list[str]) -> None:
    assert list(words.ending(lab.program(*bullets).plan)) == said


def test_a_point_is_told_with_everything_that_is_in_force(bundle: tiki.Bundle) -> None:
    (about,) = docs.pages(bundle)
    hot, full, odd = about.rules
    assert about.intro == "What this page is about: `lab.pressure`."
    assert about.closing == "The examples show it."
    assert hot.note == "Memory that runs out <b>hurts</b> & kills."
    assert (hot.joined, hot.conditions) == (
        "all of",
        ("memory is above memory_threshold (60%)", "gpu is above 90% or busy is false"),
    )
    assert hot.timing == ("held for 30s", "again after 5m, if it still holds")
    assert full.timing == ("stays while queue is above 3",)
    assert (hot.choice, odd.choice) == ("shed_load (victim: newest)", "ask which of scale_out, hold")
    assert [guard.condition for guard in about.guards] == ["target.gpu_free is below job.gpu"]
    (threshold,) = [one for one in about.settings if one.name == "memory_threshold"]
    assert (threshold.value, str(threshold.where)) == ("60%", "overlays/test/lab.tiki:2")
    assert threshold.where is not None
    assert threshold.where.overlay == "test"
    assert [one.where for one in about.settings if one.name == "timeout"] == [None]
    first, second = about.examples
    assert first.columns == ("memory", "gpu", "busy", "decides")
    assert [(cells, passed) for cells, passed, _ in first.rows] == [
        (("75%", "95%", "true", "shed_load"), True),
        (("75%", "absent", "absent", "hold"), False),
    ]
    assert second.columns == ("memory", "state", "decides")


class Page(HTMLParser):
    """What a browser would find wrong."""

    VOID = ("meta", "br", "wbr", "link", "img", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [given["id"]] if given.get("id") else []
        self.links += [value for name in ("href", "src") if (value := given.get(name))]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_every_link_leads_somewhere_on_it(bundle: tiki.Bundle) -> None:
    page = Page(docs.html(bundle))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "lab.tiki:11" in page.ids


def test_the_page_needs_no_network_and_no_script(bundle: tiki.Bundle) -> None:
    text = docs.html(bundle)
    assert "<script" not in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_what_a_spec_says_is_text_and_never_markup(bundle: tiki.Bundle) -> None:
    text = docs.html(bundle, "<b>title</b>")
    assert "<b>" not in text
    assert "Memory that runs out &lt;b&gt;hurts&lt;/b&gt; &amp; kills." in text


def test_the_page_can_be_read_aloud_and_by_keyboard(bundle: tiki.Bundle) -> None:
    page = Page(docs.html(bundle))
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in given for tag, given in page.tags if tag == "th")
    assert all(
        "tabindex" in given and "aria-label" in given for _, given in page.tags if given.get("class") == "scroll"
    )


def test_markdown_has_the_same_and_its_tables_are_tables(bundle: tiki.Bundle) -> None:
    text = docs.markdown(bundle, "Rules of the lab")
    assert text.startswith("# Rules of the lab\n")
    assert "| 1 | hot | memory is above memory_threshold (60%) and (gpu is above 90% or busy is false) |" in text
    assert "| FAIL | 75% | absent | absent | hold |" in text
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1 for block in blocks)
