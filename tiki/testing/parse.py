"""From the text of one bullet to a line of a scenario."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn, TypeVar

from tiki.diagnostics import Place, Report, Span
from tiki.syntax import Name
from tiki.testing.syntax import (
    At,
    Choice,
    Decides,
    Expected,
    Fires,
    Given,
    Guarded,
    Item,
    Line,
    Load,
    NothingNew,
    Restart,
    Series,
    Setting,
    Time,
)
from tiki.values import closest

T = TypeVar("T")

LONGEST = 100_000
"""Values of one series: a month of reports every half minute."""

_TOKEN = re.compile(r'"[^"\n]*"|[,:()\[\]=]|[^\s,:()\[\]="]+|"')
_MARKS = frozenset(",:()[]=")
_NUMBER = re.compile(r"(-?\d[0-9A-Za-z_.%]*?)([+-]\d[0-9A-Za-z_.%]*?)?(?:x(\d{1,9}))?", re.ASCII)
_GAP = re.compile(r"_(?:x(\d{1,9}))?", re.ASCII)
_TIMES = re.compile(r"x(\d{1,9})", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|min|m|h|d)", re.ASCII)
_NANOSECONDS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_KEYWORDS = ("decides", "given", "load", "at", "from", "restart")

_HELP = (
    "a line is `load 30s: FACT SERIES`, `given: FACT VALUE`, `at 2m: ACTION`, `from 0s to 2m: ACTION`, "
    "`restart at 2m`, `decides: POINT` or `SETTING: VALUE`"
)


class _Stop(Exception):
    """The line makes no sense from here on; the report knows why."""


def parse_line(text: str, path: str, first: int, lines: tuple[str, ...], report: Report) -> Line | None:
    """The line in `text`, which begins on line `first` of the file; None, with a diagnostic, where there is none.

    `text` has the bullet's marker and comments blanked out, so its columns are those of the file; `lines` are the
    lines as they stand.
    """
    try:
        return _Parser(text, path, first, lines, report).line()
    except _Stop:
        return None


def time_of(text: str) -> int | None:
    """`2m30s` in nanoseconds; None where it is no time."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return round(sum(Fraction(part[1]) * _NANOSECONDS[part[2]] for part in parts))


class _Parser:
    """A cursor over the words of one bullet."""

    def __init__(self, text: str, path: str, first: int, lines: tuple[str, ...], report: Report) -> None:
        self.path, self.first, self.lines, self.report = path, first, lines, report
        self.words = [
            Name(found[0], self._place(row, found.start() + 1, found.end() + 1))
            for row, line in enumerate(text.split("\n"))
            for found in _TOKEN.finditer(line)
        ]
        self.at = 0
        self.whole = self._span(self.words[0], self.words[-1])

    def line(self) -> Line:
        head = self.words[0].text
        if len(self.words) > 1 and self.words[1].text == ":" and head != "given":
            return self._setting()
        self.at = 1
        match head:
            case "given":
                subjects = self._subjects()
                return Given(subjects, self._series(), self.whole)
            case "load":
                every = self._time()
                start = self._time() if self._take("from") else None
                return Load(every, start, self._subjects(), self._series(), self.whole)
            case "at":
                return At(self._several(self._time), False, self._subjects(), self._expected(), self.whole)
            case "from":
                begin = self._time()
                self._want("to")
                return At((begin, self._time()), True, self._subjects(), self._expected(), self.whole)
            case "restart":
                self._want("at")
                restart = Restart(self._time(), self.whole)
                self._end()
                return restart
        self._stop(f"`{head[:40]}` begins no line of a scenario", self.words[0], closest(head, _KEYWORDS))

    def _setting(self) -> Line:
        name = self.words[0]
        self.at = 2
        if name.text == "decides":
            decides = Decides(self._word("a decision point"), self.whole)
            self._end()
            return decides
        value = self._value(f"the value of `{name.text}`")
        self._end()
        return Setting(name, value, self.whole)

    def _subjects(self) -> tuple[Name, ...]:
        return self._several(lambda: self._word("a subject")) if self._take("on") else ()

    def _several(self, one: Callable[[], T]) -> tuple[T, ...]:
        found = [one()]
        while self._take(","):
            found.append(one())
        return tuple(found)

    # -- series ------------------------------------------------------------------------------------------------------

    def _series(self) -> tuple[Series, ...]:
        self._want(":")
        found = self._several(lambda: Series(self._word("a fact"), self._items()))
        self._end()
        return found

    def _items(self) -> tuple[Item, ...]:
        items: list[Item] = []
        while self._more() and self._next().text != ",":
            start = self._next()
            if items and (found := _TIMES.fullmatch(start.text)) and not items[-1].times:
                self.at += 1
                items[-1] = Item(items[-1].value, items[-1].step, self._times(found[1], start), items[-1].place)
            else:
                items.append(self._item(start))
        if not items:
            self._stop("a series of values is expected", self._next() if self._more() else self.words[-1])
        for item in items:
            if item.step and not item.times:
                self._stop(
                    "how many steps?", Name("", item.place), help=f"for example `{item.value}{item.step}x6`: six steps"
                )
        return tuple(items)

    def _item(self, start: Name) -> Item:
        if gap := _GAP.fullmatch(start.text):
            self.at += 1
            return Item("_", "", self._times(gap[1] or "0", start), start.place)
        if number := _NUMBER.fullmatch(start.text):
            self.at += 1
            return Item(number[1], number[2] or "", self._times(number[3] or "0", start), start.place)
        value = self._value("a value")
        return Item(value, "", 0, self._span(start, self.words[self.at - 1]))

    def _times(self, digits: str, where: Name) -> int:
        if int(digits) >= LONGEST:
            self.report.error("TIKI-627", f"a series has at most {LONGEST} values", where.place)
            raise _Stop
        return int(digits)

    def _value(self, what: str) -> str:
        """A word, a text in quotes or a list in brackets, as it is written in standard form."""
        if self._take("["):
            items = self._listed("]")
            return f"[{', '.join(item.text for item in items)}]"
        return self._word(what).text

    def _listed(self, closing: str) -> tuple[Name, ...]:
        if self._take(closing):
            return ()
        items = self._several(lambda: self._word("a value"))
        self._want(closing)
        return items

    # -- expectations ------------------------------------------------------------------------------------------------

    def _expected(self) -> Expected:
        self._want(":")
        if self._take("nothing"):
            self._want("new")
            return NothingNew(self._by())
        still = self._take("still")
        word = self._word("what must be decided")
        if not still and self._more() and self._next().text in ("with", "is"):
            return self._guarded(word)
        items = None
        opening, closing = ("[", "]") if word.text == "consult" else ("(", ")")
        if self._take(opening):
            items = tuple(item.text for item in self._listed(closing))
        choice = Choice(word, items, self._span(word, self.words[self.at - 1]))
        return Fires(choice, still, self._by())

    def _guarded(self, action: Name) -> Guarded:
        attributes: list[tuple[Name, str]] = []
        if self._take("with"):
            while True:
                name = self._word("an attribute of the candidate")
                self._want("=")
                attributes.append((name, self._value(f"the value of `{name.text}`")))
                if not self._take(",") and not self._take("and"):
                    break
        self._want("is")
        word = self._word("`forbidden` or `allowed`")
        if word.text not in ("forbidden", "allowed"):
            near = closest(word.text, ("forbidden", "allowed"))
            self._stop(f"`{word.text[:40]}` stands where `forbidden` or `allowed` is expected", word, near)
        if word.text == "allowed":
            self._end()
        return Guarded(action, tuple(attributes), word.text == "forbidden", self._by())

    def _by(self) -> Name | None:
        """The clause after `by`, in as many words as its name has, to the end of the bullet."""
        if not self._take("by"):
            self._end()
            return None
        words = [self._word("the name of a clause")]
        while self._more():
            words.append(self._word("the name of a clause"))
        return Name(" ".join(word.text for word in words), self._span(words[0], words[-1]))

    # -- words -------------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        return self.at < len(self.words)

    def _next(self) -> Name:
        return self.words[self.at]

    def _take(self, text: str) -> bool:
        if self._more() and self._next().text == text:
            self.at += 1
            return True
        return False

    def _want(self, text: str) -> None:
        if not self._take(text):
            self._expect(f"`{text}`", closest(self._next().text, [text]) if self._more() and text.isalpha() else None)

    def _word(self, what: str) -> Name:
        if not self._more() or self._next().text in _MARKS or self._next().text == '"':
            self._expect(what)
        self.at += 1
        return self.words[self.at - 1]

    def _time(self) -> Time:
        word = self._word("a time")
        at = time_of(word.text)
        if at is None:
            self._stop(f"`{word.text[:40]}` is no time", word, help="write it as `30s`, `2m30s` or `1h`")
        return Time(word.text, at, word.place)

    def _end(self) -> None:
        if self._more():
            self._expect("the end of the line")

    def _expect(self, what: str, suggestion: str | None = None) -> NoReturn:
        found = f"`{self._next().text[:40]}` stands" if self._more() else "the line ends"
        where = self._next() if self._more() else Name("", self.whole)
        self._stop(f"{found} where {what} is expected", where, suggestion)

    def _stop(self, message: str, where: Name, suggestion: str | None = None, help: str = _HELP) -> NoReturn:
        self.report.error("TIKI-621", message, where.place, suggestion=suggestion, help=help)
        raise _Stop

    def _place(self, row: int, column: int, end_column: int) -> Place:
        line = self.first + row
        return Place(self.path, Span(line, column, line, end_column), self.lines[row])

    def _span(self, start: Name, end: Name) -> Place:
        first, last = start.place.span, end.place.span
        span = Span(first.line, first.column, last.end_line, last.end_column)
        return Place(self.path, span, start.place.excerpt)
