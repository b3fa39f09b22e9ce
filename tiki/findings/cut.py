"""The text of a condition without one of its parts: the part goes with the word that joins it, and nothing else."""

import re
from collections.abc import Sequence

from tiki.diagnostics import Edit, Fix, Place, Span
from tiki.findings.parts import Part, shown
from tiki.plan import Constant, Formula, tests

_BEFORE = re.compile(r"\(\Z|\b(?:and|or|not)\Z")
_AFTER = re.compile(r"\)|(?:and|or)\b")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_QUOTED = re.compile(r'"[^"\n]*"')


def cut(condition: Formula, part: Part, clause: Place) -> Fix | None:
    """Leaves out a part of the condition of a clause.

    None where a comment stands in what would go, where the part names a setting, for it might be the last to do so, and
    where the text is not known: of its lines, those are on which a comparison begins.
    """
    mine = tests(part.formula)
    lines = {clause.span.line: clause.excerpt} | {test.place.span.line: test.place.excerpt for test in tests(condition)}
    wanted = range(clause.span.line, tests(condition)[-1].place.span.end_line + 1)
    names_setting = any(isinstance(term, Constant) and term.setting for test in mine for term in test.terms)
    if names_setting or not set(wanted) <= set(lines):
        return None
    bullet = _Bullet(clause.span, [lines[line] for line in wanted])
    begin, end = bullet.whole(bullet.offsets(mine[0].place.span)[0], bullet.offsets(mine[-1].place.span)[1])
    if bullet.before(begin)[0] == part.joiner:
        begin = len(bullet.text[: bullet.before(begin)[1]].rstrip())
    else:
        end = bullet.after(end)[1]
        end += len(bullet.text[end:]) - len(bullet.text[end:].lstrip())
    if "<!--" in bullet.text[begin:end] or "<!--" in bullet.masked:
        return None
    return Fix(f"leave out `{shown(part.formula)}`", (Edit(clause.path, bullet.span(begin, end), ""),))


class _Bullet:
    """The lines of a bullet as one text, and the same with marker, comments and texts in quotes blanked; offsets and
    places in it."""

    def __init__(self, clause: Span, lines: Sequence[str]) -> None:
        self.text = "\n".join(lines)
        self.first = clause.line
        self.starts = [0, *(position + 1 for position, character in enumerate(self.text) if character == "\n")]
        marker = clause.column - 1
        blanked = _COMMENT.sub(lambda found: " " * len(found[0]), self.text[marker:])
        self.masked = " " * marker + _QUOTED.sub(lambda found: '"' * len(found[0]), blanked)

    def offsets(self, span: Span) -> tuple[int, int]:
        begin, end = self.starts[span.line - self.first], self.starts[span.end_line - self.first]
        return begin + span.column - 1, end + span.end_column - 1

    def span(self, begin: int, end: int) -> Span:
        line, end_line = self._line(begin), self._line(end)
        columns = begin - self.starts[line] + 1, end - self.starts[end_line] + 1
        return Span(self.first + line, columns[0], self.first + end_line, columns[1])

    def _line(self, offset: int) -> int:
        return max(line for line, start in enumerate(self.starts) if start <= offset)

    def before(self, offset: int) -> tuple[str, int]:
        """What stands before an offset, if it is a parenthesis or joins or negates, and where."""
        found = _BEFORE.search(self.masked[:offset].rstrip())
        return ("", offset) if found is None else (found[0], found.start())

    def after(self, offset: int) -> tuple[str, int]:
        """What stands behind an offset, if it is a parenthesis or joins, and where that ends."""
        rest = self.masked[offset:]
        found = _AFTER.match(rest.lstrip())
        return ("", offset) if found is None else (found[0], offset + len(rest) - len(rest.lstrip()) + found.end())

    def whole(self, begin: int, end: int) -> tuple[int, int]:
        """With the parentheses and negations around it, and with those of its own that its first comparison has before
        it and its last one behind."""
        while True:
            before, after = self.before(begin), self.after(end)
            unopened, unclosed = _unmatched(self.masked[begin:end])
            if before[0] == "not" or (unopened and before[0] == "("):
                begin = before[1]
            elif unclosed and after[0] == ")":
                end = after[1]
            elif before[0] == "(" and after[0] == ")":
                begin, end = before[1], after[1]
            else:
                return begin, end


def _unmatched(text: str) -> tuple[int, int]:
    """How many parentheses are closed and not opened here, and opened and not closed."""
    unopened = unclosed = 0
    for character in text:
        if character == "(":
            unclosed += 1
        elif character == ")" and unclosed:
            unclosed -= 1
        elif character == ")":
            unopened += 1
    return unopened, unclosed
