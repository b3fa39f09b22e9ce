"""From the text of one bullet to its statement.
The grammar stands in grammar.lark; this names what is wrong in a user's words."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from tiki.diagnostics import Anchor, Diagnostic, Place, Report, Span
from tiki.schema import Type
from tiki.syntax import (
    And,
    Assignment,
    Call,
    Clause,
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
    Operator,
    Or,
    Otherwise,
    Rule,
    Statement,
)
from tiki.values import closest, is_name, parse_quantity

LONGEST = 4096
"""Characters in one clause, far above what a person reads."""
DEEPEST = 32
"""Nesting of parentheses and `not`; Python's own parser, which the compiled form goes through, stops at 200."""

WORDS = (
    "when",
    "never",
    "otherwise",
    "consult",
    "for",
    "clear",
    "at",
    "cooldown",
    "and",
    "or",
    "not",
    "in",
    "is",
    "absent",
)
"""The words of the language, which have their meaning by where they stand."""
_OPENING = ("when", "never", "otherwise")
_SPOKEN = {
    "COLON": "`:`",
    "COMMA": "`,`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "NAME": "a name",
    "LITERAL": "a value",
    "STRING": "a text",
    "OPERATOR": "a comparison (`==`, `!=`, `<`, `<=`, `>`, `>=`)",
    "$END": "the end of the bullet",
}
_INSTEAD = {"=": "==", "&": "and", "|": "or", "!": "not", "≥": ">=", "≤": "<=", "≠": "!=", "'": '"'}


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """Made when the first text of a process is read: 0.15 s of CPU, and twice that where `interegular` is installed."""
    text = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=True)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one bullet says; `statement` is None exactly where something is `found` wrong with it."""

    statement: Statement | None
    found: tuple[Diagnostic, ...]


def parse_statement(text: str, path: str, anchor: Anchor, lines: tuple[str, ...]) -> Parsed:
    """The statement in `text`, whose first line stands at `anchor`.

    `text` has the bullet's marker and comments blanked out, so its columns are those of the file; `lines` are the
    lines as they stand.
    """
    report = Report()
    statement = _statement(text, _Reader(path, anchor, lines, report))
    return Parsed(None if report.found else statement, tuple(report.found))


def _statement(text: str, reader: "_Reader") -> Statement | None:
    whole = reader.span_of(text)
    if len(text) > LONGEST:
        reader.report.error(
            "TIKI-203", f"this bullet is longer than {LONGEST} characters", whole, help="split it into several rules"
        )
        return None
    if _depth(text) > DEEPEST:
        reader.report.error(
            "TIKI-203",
            f"conditions are nested deeper than {DEEPEST}",
            whole,
            help="split the condition into several rules",
        )
        return None
    try:
        tree = grammar().parse(text)
    except UnexpectedInput as error:
        reader.explain(error, text, whole)
        return None
    return reader.statement(cast("Tree[Token]", tree.children[0]), whole)


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return deepest + len(re.findall(r"\bnot\b", text))


class _Reader:
    """Builds the tree of one bullet; knows where its text stands."""

    def __init__(self, path: str, anchor: Anchor, lines: tuple[str, ...], report: Report) -> None:
        self.path, self.anchor, self.lines, self.report = path, anchor, lines, report

    def place(self, line: int, column: int, end_line: int, end_column: int) -> Place:
        excerpt = self.lines[line - 1] if line <= len(self.lines) else ""
        return Place(self.path, Span(line, column, end_line, end_column), excerpt, self.anchor)

    def span_of(self, text: str) -> Place:
        rows = text.rstrip().split("\n")
        start = len(rows[0]) - len(rows[0].lstrip()) + 1
        return self.place(1, start, len(rows), len(rows[-1]) + 1)

    def at(self, node: Tree[Token] | Token) -> Place:
        where = node if isinstance(node, Token) else node.meta
        return self.place(where.line or 1, where.column or 1, where.end_line or 1, where.end_column or 1)

    def explain(self, error: UnexpectedInput, text: str, whole: Place) -> None:
        """Says in a user's words where the grammar stopped and what would have gone on."""
        if isinstance(error, UnexpectedCharacters):
            found = error.char
            place = self.place(error.line, error.column, error.line, error.column + 1)
            instead = _INSTEAD.get(found)
            self.report.error("TIKI-201", f"`{found}` means nothing here", place, suggestion=instead)
            return
        token = error.token if isinstance(error, UnexpectedToken) else None
        if token is None or token.type == "$END":
            place, found = whole, "the bullet ends"
        else:
            place, found = self.at(token), f"`{token[:40]}` stands"
        expected = sorted(error.expected) if isinstance(error, UnexpectedToken) else []
        words = [_SPOKEN.get(name, f"`{name.lower()}`") for name in expected]
        opening = text.split(None, 1)[0].rstrip(":") if text.strip() else ""
        suggestion = closest(opening, _OPENING) if opening not in WORDS and expected == ["COLON"] else None
        if suggestion is None and token is not None and token.type == "NAME":
            suggestion = closest(token, [word for word in WORDS if word.upper() in expected])
        self.report.error(
            "TIKI-201",
            f"{found} where {_either(words)} is expected",
            place,
            suggestion=suggestion,
            help="a setting reads `name: value`, a clause `when CONDITION: ACTION`, `never ACTION when CONDITION` "
            "or `otherwise: ACTION`",
        )

    def statement(self, tree: Tree[Token], whole: Place) -> Statement:
        parts = tree.children
        if tree.data == "assignment":
            values = tuple(self.operand(cast("Tree[Token]", value)) for value in parts[1:])
            return Assignment(self.name(cast(Token, parts[0])), values, whole)
        named = isinstance(parts[0], Token)
        name = self.name(cast(Token, parts[0])) if named else None
        return self.clause(cast("Tree[Token]", parts[-1]), name, whole)

    def clause(self, tree: Tree[Token], name: Name | None, whole: Place) -> Clause:
        parts = [part for part in tree.children if part is not None]
        if tree.data == "otherwise":
            return Otherwise(name, self.choice(cast("Tree[Token]", parts[0])), whole)
        if tree.data == "guard":
            return Guard(name, self.name(cast(Token, parts[0])), self.condition(cast("Tree[Token]", parts[1])), whole)
        condition, *options, choice = cast("list[Tree[Token]]", parts)
        given: dict[str, Operand] = {}
        for option in options:
            key = str(option.data)
            if key in given:
                self.report.error("TIKI-201", f"`{key}` stands twice in one clause", self.at(option))
            given[key] = self.operand(cast("Tree[Token]", option.children[0]))
        return Rule(
            name, self.condition(condition), given.get("duration"), given.get("clear"), given.get("cooldown"),
            self.choice(choice), whole,
        )  # fmt: skip

    def choice(self, tree: Tree[Token]) -> Call | Consult:
        parts = [part for part in tree.children if part is not None]
        if tree.data == "consult":
            return Consult(tuple(self.name(cast(Token, part)) for part in parts))
        args = tuple(self.operand(cast("Tree[Token]", part)) for part in parts[1:])
        return Call(self.name(cast(Token, parts[0])), args)

    def condition(self, tree: Tree[Token]) -> Condition:
        children = cast("list[Tree[Token]]", tree.children)
        match tree.data:
            case "any" | "all":
                items = [self.condition(child) for child in children]
                if len(items) == 1:
                    return items[0]
                return _flat_or(items) if tree.data == "any" else _flat_and(items)
            case "negate":
                return Not(self.condition(children[0]))
            case "compare":
                operator = cast(Operator, str(children[1]))
                return Comparison(self.operand(children[0]), operator, self.operand(children[2]), self.at(tree))
            case "within":
                return Comparison(self.operand(children[0]), "in", self.operand(children[1]), self.at(tree))
            case "is_absent":
                return IsAbsent(self.operand(children[0]), self.at(tree))
            case _:
                return Holds(self.operand(children[0]), self.at(tree))

    def operand(self, tree: Tree[Token]) -> Operand:
        place = self.at(tree)
        match tree.data:
            case "name":
                return self.name(cast(Token, tree.children[0]))
            case "true" | "false":
                return Literal(str(tree.data), Type.FLAG, tree.data == "true", place)
            case "string":
                text = str(tree.children[0])
                return Literal(text, Type.NAME, text[1:-1], place)
            case "listing":
                items: list[Name | Literal] = []
                for child in cast("list[Tree[Token]]", tree.children):
                    item = self.operand(child)
                    if isinstance(item, Listing):
                        self.report.error("TIKI-202", "a list holds no lists", item.place)
                    else:
                        items.append(item)
                return Listing(tuple(items), place)
        text = str(tree.children[0])
        try:
            type_, value = parse_quantity(text)
        except ValueError as error:
            self.report.error("TIKI-202", str(error), place)
            return Literal(text, Type.NUMBER, 0.0, place)
        return Literal(text, type_, value, place)

    def name(self, token: Token) -> Name:
        place = self.at(token)
        if not all(is_name(part) for part in token.split(".")):
            cure = "names are lower case letters, digits and `_`, at most 64 of them"
            self.report.error(
                "TIKI-202", f"`{token[:70]}` is not a name", place, help=cure, suggestion=token.lower()[:64]
            )
        return Name(str(token), place)


def _flat_and(items: list[Condition]) -> And:
    return And(tuple(part for item in items for part in (item.items if isinstance(item, And) else (item,))))


def _flat_or(items: list[Condition]) -> Or:
    return Or(tuple(part for item in items for part in (item.items if isinstance(item, Or) else (item,))))


def _either(words: list[str]) -> str:
    if len(words) <= 1:
        return "".join(words) or "something else"
    return f"{', '.join(words[:-1])} or {words[-1]}"
