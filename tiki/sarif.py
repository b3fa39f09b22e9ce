"""Findings in SARIF 2.1.0, which code hosts and editors read
(https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; sections are given at what follows from them)."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from tiki.diagnostics import Diagnostic, Edit, Note, Severity, Span
from tiki.findings.codes import CODES, page

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(found: Sequence[Diagnostic], locate: Callable[[str], str] = lambda path: path) -> dict[str, Any]:
    """One log with one run, to be written as JSON. locate: from the path of a source to that of its file, relative to
    the root of what is scanned, with `/` between folders.

    A rule's help is its page. There is no `helpUri`, which has to be absolute (3.49.12): where the documentation stands
    is not known here.
    """
    codes = sorted({one.code for one in found})
    log = _Log(codes, locate)
    driver = {"name": "elias tiki check", "rules": [_rule(code) for code in codes]}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [log.result(one) for one in found],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": code, "shortDescription": {"text": _sentence(CODES[code])}}
    text = page(code)
    if text is not None:
        rule["help"] = {"text": f"See docs/tiki/findings/{code}.md.", "markdown": text}
    return rule


class _Log:
    def __init__(self, codes: Sequence[str], locate: Callable[[str], str]) -> None:
        self.index = {code: index for index, code in enumerate(codes)}
        self.locate = locate

    def result(self, one: Diagnostic) -> dict[str, Any]:
        span = Span(one.line, one.column, one.end_line, one.end_column)
        result: dict[str, Any] = {
            "ruleId": one.code,
            "ruleIndex": self.index[one.code],
            "level": "error" if one.severity is Severity.ERROR else "warning",
            "message": {"text": _message(one)},
            "locations": [self.location(one.path, span)],
        }
        if one.notes:
            result["relatedLocations"] = [self.related(number, note) for number, note in enumerate(one.notes)]
        fixes = []
        if one.fix is not None:
            fixes.append(self.fix(one.fix.title, one.fix.edits))
        elif one.suggestion is not None:
            fixes.append(self.fix(f"write `{one.suggestion}`", (Edit(one.path, span, one.suggestion),)))
        if fixes:
            result["fixes"] = fixes
        return result

    def location(self, path: str, span: Span) -> dict[str, Any]:
        return {"physicalLocation": {"artifactLocation": self.artifact(path), "region": _region(span)}}

    def related(self, number: int, note: Note) -> dict[str, Any]:
        where = self.location(note.place.path, note.place.span)
        return {"id": number, "message": {"text": _sentence(note.message)}, **where}

    def fix(self, title: str, edits: Sequence[Edit]) -> dict[str, Any]:
        """Edits by file (3.55); none spans two."""
        paths = dict.fromkeys(edit.path for edit in edits)
        changes = [
            {
                "artifactLocation": self.artifact(path),
                "replacements": [
                    {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
                    for edit in edits
                    if edit.path == path
                ],
            }
            for path in paths
        ]
        return {"description": {"text": _sentence(title)}, "artifactChanges": changes}

    def artifact(self, path: str) -> dict[str, Any]:
        return {"uri": quote(self.locate(path))}


def _region(span: Span) -> dict[str, int]:
    """Lines and columns count from 1, and the end is exclusive, there as here (3.30)."""
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _message(one: Diagnostic) -> str:
    parts = [one.message, f"for example: {one.example}" if one.example else "", one.help]
    return " ".join(_sentence(part) for part in parts if part)


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name, and a full stop (3.11.4)."""
    text = text[:1].upper() + text[1:] if text[:1].isalpha() else text
    return text if text.endswith((".", "?", "!")) else f"{text}."
