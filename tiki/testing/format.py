"""Prints a file of scenarios the one way it is written. Prose and comments stay."""

import re
from textwrap import wrap

from tiki.diagnostics import Invalid, Source, errors
from tiki.format import as_file
from tiki.testing.read import Block, Bullet, Heading, Prose, read
from tiki.testing.syntax import print_line

WIDTH = 120
"""Characters of a line before it is continued."""


def format_scenarios(text: str, path: str) -> str:
    """The text in its printed form, with the ends of lines that it has. Raises Invalid where it cannot be read."""
    file = read(Source(path, text))
    if errors(file.diagnostics):
        raise Invalid(file.diagnostics)
    lines: list[str] = []
    before: Block | None = None
    for block in file.blocks:
        printed = list(_printed(block))
        if _apart(before, block) and lines and lines[-1] and printed[0]:
            lines.append("")
        lines += printed
        before = block
    return as_file(lines, text, path)


def _apart(before: Block | None, block: Block) -> bool:
    """A heading of a scenario stands apart from the bullets above it; prose brings its own blank lines."""
    return isinstance(block, Heading) and isinstance(before, Bullet)


def _printed(block: Block) -> tuple[str, ...]:
    match block:
        case Prose():
            return block.lines
        case Heading():
            return (f"## Scenario: {block.title}" if block.title else block.text,)
        case Bullet():
            assert block.line is not None
            comments = "".join(f" {' '.join(comment.split())}" for comment in block.comments)
            return _wrapped(f"- {print_line(block.line)}{comments}")


def _wrapped(text: str) -> tuple[str, ...]:
    """A long line goes on below, indented, behind a comma or before `is`. One with a text in quotes stays whole, for a
    text does not go over lines."""
    if '"' in text or len(text) <= WIDTH:
        return (text,)
    held = text.replace(" ", "\0").replace(",\0", ", ").replace("\0is\0", " is\0")
    held = re.sub(r" (?=[-*+]\0)", "\0", held)  # at the start of a line it would be a bullet
    lines = wrap(held, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return tuple(line.replace("\0", " ") for line in lines)
