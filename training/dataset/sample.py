"""Some decisions of a data set as a page for a person to judge, and what the marks on it say.

What came of a decision is not on the page: whoever knows it judges the luck and not the choice.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.records import Candidate
from tiki.schema import Point, Type
from tiki.values import ABSENT, UNKNOWN, show
from training.dataset.example import Logged

_HEAD = """# Decisions to judge

Put an x into the brackets of each decision that you are sure of: `[x] right` where it is what you would have chosen, or
as good; `[x] wrong` where another candidate is better. Leave the others open. Then:
`elias train dataset --marks THIS_FILE`
"""
_MARK = re.compile(r"^- \[(?P<mark>[ xX])\] (?P<word>right|wrong)\s*$", re.MULTILINE)
_DECISION = re.compile(r"^## (?P<point>\S+) (?P<decision>[0-9a-f]{32,64})\s*$", re.MULTILINE)
_Z = 1.959964  # of a 95 % interval


class Marks(msgspec.Struct, frozen=True):
    """What a person marked. low, high: the 95 % interval of the share that is right (Wilson 1927)."""

    right: int
    wrong: int
    open: int

    @property
    def share(self) -> float:
        return self.right / (self.right + self.wrong)

    @property
    def interval(self) -> tuple[float, float]:
        count, z = self.right + self.wrong, _Z**2
        middle = (self.right + z / 2) / (count + z)
        half = _Z * sqrt(self.right * self.wrong / count + z / 4) / (count + z)
        return middle - half, middle + half


def drawn(examples: Iterable[Logged], count: int) -> list[Logged]:
    """By chance, the same on every machine: a decision's name is a digest."""
    return sorted(examples, key=lambda one: (one.decision, one.attempt))[:count]


def page(schemas: Mapping[str, Point], examples: Sequence[Logged]) -> str:
    """Markdown."""
    return "\n".join((_HEAD, *(_decision(schemas[one.point], one) for one in examples)))


def read(text: str) -> Marks:
    """Raises Refused where there is no mark, and where a decision is marked right and wrong."""
    right = wrong = empty = 0
    starts = [found.start() for found in _DECISION.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        marked = {found["word"] for found in _MARK.finditer(text, start, end) if found["mark"] != " "}
        if len(marked) == 2:
            line = text.count("\n", 0, start) + 1
            raise Refused(
                "dataset.marks", "one decision is marked right and wrong", place=f"line {line}", cure="clear one"
            )
        right, wrong, empty = right + (marked == {"right"}), wrong + (marked == {"wrong"}), empty + (not marked)
    if not right + wrong:
        cure = "`elias train dataset --sample 50` writes a page; put an x between the brackets"
        raise Refused("dataset.marks", "no decision is marked", cure=cure)
    return Marks(right, wrong, empty)


def _decision(schema: Point, example: Logged) -> str:
    question, time = example.question, datetime.fromtimestamp(example.at / SECOND, UTC)
    lines = [f"## {schema.name} {example.decision}", "", f"{schema.doc} Asked before {time:%Y-%m-%d %H:%M:%S} UTC.", ""]
    for declared in schema.facts:
        lines.append(f"- {declared.name}: {_shown(declared.type, question.facts.get(declared.name, UNKNOWN))}")
    lines.append("")
    for number, one in enumerate(question.candidates):
        mark = " (chosen)" if number == example.choice else ""
        lines.append(f"{number + 1}. {_candidate(schema, one)}{mark}")
    return "\n".join((*lines, "", "- [ ] right", "- [ ] wrong", ""))


def _candidate(schema: Point, candidate: Candidate) -> str:
    types = {one.name: one.type for one in schema.action(candidate.action).args}
    types |= {one.name: one.type for one in schema.attributes}
    args = ", ".join(f"{name}={_shown(types[name], value)}" for name, value in candidate.args.items())
    more = ", ".join(f"{name} {_shown(types[name], value)}" for name, value in candidate.attributes.items())
    return f"`{candidate.action}({args})`" + (f" {more}" if more else "")


def _shown(type: Type, value: Any) -> str:
    return show(type, ABSENT if value is None else tuple(value) if isinstance(value, list) else value)
