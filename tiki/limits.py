"""What is no plain text, or too much of it, is refused before anything reads it."""

import re

from tiki.diagnostics import Place, Report, Source, Span

LARGEST = 2**20
"""Characters of a file."""
LONGEST_LINE = 4096
"""Characters of a line, the longest that a bullet may be."""

_STRANGE = re.compile(  # with what some programs end lines by and others do not, and what turns text around
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffd]|\r(?!\n)"
)
_CURES = {
    "\r": "end every line with a line feed, with or without a carriage return before it",
    "\ufeff": "save the file without a byte order mark",
}


def lines_of(source: Source, report: Report) -> list[str] | None:
    """The lines of a file, without their ends; None where it is too large, or holds what is no plain text. Reports that
    with its place, without an excerpt: nothing is gained from printing it."""
    path, text = source.path, source.text
    if len(text) > LARGEST:
        report.error("TIKI-101", f"the file is larger than {LARGEST // 2**20} MiB", Place(path, Span(1, 1, 1, 1), ""))
        return None
    lines = text.replace("\r\n", "\n").split("\n")
    if max(map(len, lines)) > LONGEST_LINE:
        line, length = next((n, len(one)) for n, one in enumerate(lines, 1) if len(one) > LONGEST_LINE)
        place = Place(path, Span(line, LONGEST_LINE + 1, line, length + 1), "")
        report.error("TIKI-101", f"a line is longer than {LONGEST_LINE} characters", place)
        return None
    if "".join(lines).isprintable() and "\ufffd" not in text:
        return lines  # as nearly every text: ten times as fast as the search
    strange = _STRANGE.search(text)
    if strange is None:
        return lines
    before = text.count("\n", 0, strange.start())
    column = strange.start() - text.rfind("\n", 0, strange.start())
    report.error(
        "TIKI-101",
        f"the file is not plain UTF-8 text: it holds the character U+{ord(strange[0]):04X}",
        Place(path, Span(before + 1, column, before + 1, column + 1), ""),
        help=_CURES.get(strange[0], ""),
    )
    return None
