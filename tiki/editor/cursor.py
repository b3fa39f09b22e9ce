"""What may be written at a place of a line that is still being typed.

The bullet up to the cursor is read as tokens, not by the grammar: what is half written has no tree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tiki.read import BULLET

_TOKEN = re.compile(
    r'"[^"\n]*"?|==|!=|<=|>=|[<>:,()\[\]|]|-?\d[0-9A-Za-z_.%]*|[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]*)*|\S'
)
_WORD = re.compile(r'"[^"\n]*|-?[A-Za-z0-9_.%]*')
_COMMENT = re.compile(r"<!--.*?-->")
_FARTHEST = 50
"""Lines above the cursor in which the bullet's start is looked for."""
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in")
_OPENERS = ("when", "never", "otherwise")


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a spec."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the examples; `row` has the header's cells up to it and beyond."""

    columns: tuple[str, ...]
    index: int
    header: bool


@dataclass(frozen=True, slots=True)
class Start:
    """The first word of a bullet. named: behind `NAME:`, which then may also be the value of that setting."""

    named: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A value of a setting. before: the values that stand already."""

    setting: str
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """The beginning of a test. guarded: the action of the guard."""

    guarded: str | None


@dataclass(frozen=True, slots=True)
class Compare:
    """What goes on behind the first operand of a test."""

    left: str
    guarded: str | None


@dataclass(frozen=True, slots=True)
class Right:
    """What `left` is compared with. listed: in the brackets of a list, or what stands for a list."""

    left: str
    guarded: str | None
    listed: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """Behind a whole test."""

    guard: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """Behind `for D` or a comma: another option of the rule, or its choice."""

    comma: bool


@dataclass(frozen=True, slots=True)
class Duration:
    """Behind `for` or `cooldown`."""


@dataclass(frozen=True, slots=True)
class Words:
    """Nothing but these."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rule does."""


@dataclass(frozen=True, slots=True)
class ActionName:
    """An action. listed: those that stand in its list already; guard: the one that a guard forbids."""

    listed: tuple[str, ...] = ()
    guard: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    action: str
    index: int


PlaceOf = (
    Heading
    | Cell
    | Start
    | Given
    | Left
    | Compare
    | Right
    | Joined
    | Timing
    | Duration
    | Words
    | Choice
    | ActionName
    | Argument
)


def word_at(line: str, column: int) -> tuple[int, str]:
    """The column (from 1) at which the word before the cursor starts, and that word. `column` is the cursor's."""
    before = line[: column - 1]
    quote = before.rfind('"')
    if quote >= 0 and before.count('"') % 2:
        return quote + 1, before[quote:]
    start = len(before)
    while start and (before[start - 1].isalnum() or before[start - 1] in "_.%"):
        start -= 1
    return start + 1, before[start:]


def place_of(lines: Sequence[str], line: int, column: int) -> PlaceOf | None:
    """What may stand at a place (from 1) of a spec; None where there is nothing but prose."""
    if not 1 <= line <= len(lines):
        return None
    current = lines[line - 1]
    start, _ = word_at(current, column)
    before = current[: start - 1]
    if re.match(r"#{1,2}[ \t]", current) and column > 2:
        return Heading()
    if current.lstrip().startswith("|"):
        return _cell(lines, line - 1, before)
    first = _bullet_start(lines, line - 1)
    if first is None:
        return None
    found = BULLET.match(lines[first])
    head = lines[first] if first < line - 1 else before
    if found is None:
        marker = re.fullmatch(r"[ \t]*[-*+][ \t]*", before)
        return Start() if marker and before.endswith((" ", "\t")) else None
    if first == line - 1 and len(before) < found.end():
        return Start() if len(before) >= found.end(2) + 1 else None
    whole = "\n".join((head[found.end() :], *lines[first + 1 : line - 1], *([before] if first < line - 1 else [])))
    if "<!--" in (stripped := _COMMENT.sub(" ", whole)):
        return None
    return _bullet([token for token in _TOKEN.findall(stripped) if token.strip()])


def _bullet_start(lines: Sequence[str], at: int) -> int | None:
    for line in range(at, max(-1, at - _FARTHEST), -1):
        if BULLET.match(lines[line]) or (line == at and re.match(r"[ \t]*[-*+][ \t]", lines[line])):
            return line
        if lines[line][:1] not in (" ", "\t") or not (lines[line].strip() or line == at):
            return None
    return None


def _cell(lines: Sequence[str], at: int, before: str) -> Cell:
    first = at
    while first and lines[first - 1].lstrip().startswith("|"):
        first -= 1
    header = [cell.strip() for cell in lines[first].strip().removesuffix("|")[1:].split("|")]
    return Cell(tuple(header), max(before.count("|") - 1, 0), first == at)


def _bullet(tokens: list[str]) -> PlaceOf | None:
    if not tokens:
        return Start()
    if tokens[0] not in _OPENERS:
        if len(tokens) == 1 or tokens[1] != ":":
            return Words((":",)) if len(tokens) == 1 else None
        name, rest = tokens[0], tokens[2:]
        if not rest:
            return Start(name)
        if rest[0] not in _OPENERS:
            return Given(name, tuple(rest[::2])) if rest[-1] in (",", "[") else None
        tokens = rest
    match tokens[0]:
        case "otherwise":
            return _choice(tokens[2:]) if tokens[1:2] == [":"] else Words((":",))
        case "never":
            if len(tokens) == 1:
                return ActionName(guard=True)
            return Words(("when",)) if len(tokens) == 2 else _condition(tokens[3:], tokens[1])
    return _rule(tokens[1:])


def _rule(tokens: list[str]) -> PlaceOf | None:
    if ":" in tokens:
        return _choice(tokens[tokens.index(":") + 1 :])
    if not tokens:
        return Left(None)
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if depth == 0 and token in ("for", ","):
            return _timing(tokens[:index], tokens[index:])
    return _condition(tokens, None)


def _timing(condition: list[str], options: list[str]) -> PlaceOf | None:
    match options[-1]:
        case "for" | "cooldown":
            return Duration()
        case ",":
            return Timing(comma=True)
        case "clear":
            return Words(("at",))
        case "at":
            fact = next((one for one in condition if one[:1].isalpha()), "")
            return Right(fact, None)
    return Timing(comma=False)


def _condition(tokens: list[str], guarded: str | None) -> PlaceOf | None:
    if not tokens or tokens[-1] in ("and", "or", "not", "("):
        return Left(guarded)
    opened = _open_list(tokens)
    if opened is not None:
        if tokens[-1] not in ("[", ",") or opened < 2:
            return Words((",", "]"))
        return Right(tokens[opened - 2], guarded, listed=True, inside=True)
    last = tokens[-1]
    before = tokens[-2] if len(tokens) > 1 else ""
    if last in OPERATORS:
        return Right(before, guarded, listed=last == "in")
    if last == "is":
        return Words(("absent",))
    if last in (")", "]", "absent") or before in OPERATORS:
        return Joined(guarded is not None)
    return Compare(last, guarded)


def _open_list(tokens: list[str]) -> int | None:
    for index in range(len(tokens) - 1, -1, -1):
        if tokens[index] == "]":
            return None
        if tokens[index] == "[":
            return index
    return None


def _choice(tokens: list[str]) -> PlaceOf | None:
    if not tokens:
        return Choice()
    if tokens[0] == "consult":
        if len(tokens) == 1:
            return Words(("[",))
        return ActionName(tuple(tokens[2::2])) if tokens[-1] in ("[", ",") else Words((",", "]"))
    if len(tokens) > 1 and tokens[1] == "(" and tokens[-1] in ("(", ","):
        return Argument(tokens[0], tokens[2:].count(","))
    return None
