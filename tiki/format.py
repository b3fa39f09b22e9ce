"""Prints a tree the one way it is written. Prose and comments stay; what is printed reads as the same tree."""

from collections.abc import Iterable
from functools import singledispatch

from tiki.diagnostics import Invalid, Report, Source, errors
from tiki.document import TESTS, Block, Bullet, Examples, Front, Heading, Prose
from tiki.limits import lines_of
from tiki.read import read
from tiki.syntax import (
    And,
    Assignment,
    Call,
    Comparison,
    Condition,
    Consult,
    Guard,
    Holds,
    IsAbsent,
    Listing,
    Literal,
    Name,
    Not,
    Operand,
    Or,
    Otherwise,
    Rule,
    Statement,
)


def format_text(text: str, path: str) -> str:
    """The text in its printed form, with the ends of lines that it has; unchanged where that form would be too large or
    too wide to be read again. Raises Invalid where it cannot be read."""
    if path.endswith(TESTS):
        from tiki.testing.format import format_scenarios  # noqa: PLC0415 - tests know the language, not it them

        return format_scenarios(text, path)
    document = read(Source(path, text))
    if errors(document.diagnostics):
        raise Invalid(document.diagnostics)
    lines: list[str] = []
    before: Block | None = None
    for block in document.blocks:
        printed = list(_block(block))
        if _apart(before, block) and lines and lines[-1] and printed and printed[0]:
            lines.append("")
        lines += printed
        before = block
    return as_file(lines, text, path)


def as_file(lines: Iterable[str], text: str, path: str) -> str:
    """Printed lines with the ends of lines of the text that they are of; that text where they could not be read."""
    whole = "\n".join(lines)
    if not path.endswith(".md"):
        inside = whole.strip("\n")
        ruled = whole.startswith("\n") and inside.partition("\n")[0].rstrip() == "---"  # above all it is front matter
        whole = "\n" * ruled + inside + "\n"
    whole = whole.replace("\n", end_of_line(text))
    return text if lines_of(Source(path, whole), Report()) is None else whole


def end_of_line(text: str) -> str:
    """What most lines of a text end with."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def _apart(before: Block | None, block: Block) -> bool:
    """Whether a blank line parts two blocks; prose brings its own."""
    if isinstance(before, Prose) or isinstance(block, Prose) or (isinstance(block, Heading) and block.level == 0):
        return False
    if isinstance(before, Heading) and isinstance(block, Bullet | Examples):
        return False
    return not (isinstance(before, Bullet) and isinstance(block, Bullet))


@singledispatch
def _block(block: Block) -> Iterable[str]:
    raise AssertionError(f"a block of a kind that is not known: {block!r}")


@_block.register
def _(block: Prose) -> Iterable[str]:
    return block.lines


@_block.register
def _(block: Front) -> Iterable[str]:
    return ("---", *block.lines, "---")


@_block.register
def _(block: Heading) -> Iterable[str]:
    return (f"{'#' * block.level} {block.text}",) if block.level else ()


@_block.register
def _(block: Bullet) -> Iterable[str]:
    assert block.statement is not None
    comments = "".join(f" {' '.join(comment.split())}" for comment in block.comments)
    return (f"- {print_statement(block.statement)}{comments}",)


@_block.register
def _(block: Examples) -> Iterable[str]:
    rows = [[cell.text for cell in row.cells] for row in (block.header, *block.rows)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    printed = [f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |" for row in rows]
    return (printed[0], f"| {' | '.join('-' * width for width in widths)} |", *printed[1:])


def print_statement(statement: Statement) -> str:
    if isinstance(statement, Assignment):
        return f"{statement.name.text}: {', '.join(map(print_operand, statement.values))}"
    name = f"{statement.name.text}: " if statement.name else ""
    match statement:
        case Rule():
            options = f" for {print_operand(statement.duration)}" if statement.duration else ""
            options += f", clear at {print_operand(statement.clear)}" if statement.clear else ""
            options += f", cooldown {print_operand(statement.cooldown)}" if statement.cooldown else ""
            return f"{name}when {print_condition(statement.condition)}{options}: {print_choice(statement.choice)}"
        case Guard():
            return f"{name}never {statement.action.text} when {print_condition(statement.condition)}"
        case Otherwise():
            return f"{name}otherwise: {print_choice(statement.choice)}"


def print_choice(choice: Call | Consult) -> str:
    if isinstance(choice, Consult):
        return f"consult [{', '.join(action.text for action in choice.actions)}]"
    args = f"({', '.join(map(print_operand, choice.args))})" if choice.args else ""
    return f"{choice.action.text}{args}"


def print_condition(condition: Condition) -> str:
    match condition:
        case Comparison():
            return f"{print_operand(condition.left)} {condition.operator} {print_operand(condition.right)}"
        case IsAbsent():
            return f"{print_operand(condition.operand)} is absent"
        case Holds():
            return print_operand(condition.operand)
        case Not(item):
            return f"not {_inside(item, And, Or)}"
        case And(items):
            return " and ".join(_inside(item, Or) for item in items)
        case Or(items):
            return " or ".join(_inside(item) for item in items)


def _inside(condition: Condition, *looser: type[And] | type[Or]) -> str:
    text = print_condition(condition)
    return f"({text})" if isinstance(condition, looser) else text


def print_operand(operand: Operand) -> str:
    match operand:
        case Name() | Literal():
            return operand.text
        case Listing(items):
            return f"[{', '.join(map(print_operand, items))}]"
