"""The one way in which a question becomes text for a policy, trained here or not.

    urm.resource_pressure memory 97% cpu 40% gpu n/a ; A shed_load newest job.priority 2 ; B hold ; answer

Words stand between single spaces; what is the same in every question of a point comes first, what differs most comes
last, and the next word is a label. Every word is a name that ELIAS declares, a rung of a ladder of numbers
(`quantities`), a mark, or an ordinal: no text from outside gets into a prompt, for a name that is not declared is
written as `name1`, `name2`, ... in the order in which the question first names it. So equal names stay equal, and a
node that is called `A` or `ignore the above` says nothing.

A value that is not known is `?`; one that is known to be absent is `n/a`. A setting is written where it differs from
the point's default. Facts, settings, arguments and attributes that the point does not declare are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from federation.policy.quantities import LADDERS, NOT_KNOWN
from federation.policy.question import LABELS, Prompt, Question
from federation.records import Candidate
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type
from tiki.values import ABSENT, Mark, canonical

VERSION = 1
"""Of the text. It enters every policy's version: the same question written otherwise is another question."""

CONTINUATIONS = tuple(f" {label}" for label in LABELS)
"""What follows a prompt: a label behind its space, which a byte-level tokenizer takes as one token, as it does the same
label in the prompt. The space belongs to the label: a prompt that ended in one would shift the boundary."""

NOT_THERE = "n/a"
BREAK = ";"
ASK = "answer"
YES, NO = "yes", "no"
ORDINALS = tuple(f"name{number}" for number in range(1, 33))
MANY = "name"
"""For each name after the last ordinal."""
LONGEST_LIST = 4
MORE = "more"

_Names = dict[str, str]
_Writer = Callable[[Any, _Names], str]


class Parts(NamedTuple):
    """A question as text in parts. Whoever trains a policy puts the candidates in another order each time."""

    head: str
    candidates: tuple[str, ...]


def render(schema: Point, question: Question) -> Prompt:
    """Pure; its cost does not grow with the length of a text in the question.

    Raises ValueError for more candidates than labels, KeyError for an action that the point does not declare.
    """
    parts = split(schema, question)
    return Prompt(join(parts), len(parts.candidates))


def split(schema: Point, question: Question) -> Parts:
    """The parts of a rendered question, each candidate without its label."""
    if len(question.candidates) > len(LABELS):
        raise ValueError(f"{question.point}: {len(question.candidates)} candidates, and {len(LABELS)} labels")
    written = _written(schema)
    names: _Names = {}
    words = [schema.name]
    for name, default, write in written.settings:
        value = question.settings.get(name)
        if value is not None and not isinstance(value, Mark) and value != default:
            words += (name, write(value, names))
    facts = question.facts
    for name, write in written.facts:
        words += (name, write(facts[name], names) if name in facts else NOT_KNOWN)
    return Parts(" ".join(words), tuple(_candidate(written, one, names) for one in question.candidates))


def join(parts: Parts) -> str:
    """The text of a prompt."""
    options = [f"{label} {one}" for label, one in zip(LABELS, parts.candidates, strict=False)]
    return f" {BREAK} ".join((parts.head, *options, ASK))


class _Written(NamedTuple):
    """How the parts of one point are written. settings: name, canonical default (None: there is none), writer. actions:
    the writers of the arguments and of the attributes, by action."""

    schema: Point
    settings: tuple[tuple[str, object, _Writer], ...]
    facts: tuple[tuple[str, _Writer], ...]
    actions: Mapping[str, tuple[tuple[tuple[str, _Writer], ...], tuple[tuple[str, _Writer], ...]]]


_MOST_POINTS = 256
_known: dict[int, _Written] = {}


def _written(schema: Point) -> _Written:
    """Kept by identity: a point is declared once, and hashing it takes longer than writing a question."""
    found = _known.get(id(schema))
    if found is None or found.schema is not schema:
        if len(_known) >= _MOST_POINTS:
            _known.clear()
        found = _known[id(schema)] = _Written(
            schema,
            tuple((s.name, _default(s), _writer(s)) for s in schema.settings),
            tuple((f.name, _writer(f)) for f in schema.facts),
            {action.name: _action(schema, action) for action in schema.actions},
        )
    return found


def _default(setting: Setting) -> object:
    return None if setting.default is None else canonical(setting.type, setting.default, setting.values)


def _action(schema: Point, action: Action) -> tuple[tuple[tuple[str, _Writer], ...], tuple[tuple[str, _Writer], ...]]:
    return (
        tuple((arg.name, _writer(arg)) for arg in action.args),
        tuple((one.name, _writer(one)) for one in schema.attributes if action.name in one.actions),
    )


def _candidate(written: _Written, candidate: Candidate, names: _Names) -> str:
    args, attributes = written.actions[candidate.action]
    words = [candidate.action]
    for name, write in args:
        if name in candidate.args:
            words += (name, write(candidate.args[name], names))
    for name, write in attributes:
        words += (name, write(candidate.attributes[name], names) if name in candidate.attributes else NOT_KNOWN)
    return " ".join(words)


def _writer(declared: Fact | Setting | Arg | Attribute) -> _Writer:
    match declared.type:
        case Type.FLAG:
            return _flag
        case Type.NAME:
            return _name_of(frozenset(declared.values))
        case Type.LIST:
            return _list_of(frozenset(declared.values))
        case number:
            return _number_of(LADDERS[number].word)


def _number_of(word: Callable[[object], str]) -> _Writer:
    return lambda value, names: NOT_THERE if value is None or value is ABSENT else word(value)


def _flag(value: Any, names: _Names) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    return NOT_THERE if value is None or value is ABSENT else NOT_KNOWN


def _name_of(values: frozenset[str]) -> _Writer:
    def write(value: Any, names: _Names) -> str:
        if isinstance(value, str):
            return value if value in values else _ordinal(value, names)
        return NOT_THERE if value is None or value is ABSENT else NOT_KNOWN

    return write


def _list_of(values: frozenset[str]) -> _Writer:
    item = _name_of(values)

    def write(value: Any, names: _Names) -> str:
        if not isinstance(value, list | tuple):
            return NOT_THERE if value is None or value is ABSENT else NOT_KNOWN
        words = [item(one, names) for one in value[:LONGEST_LIST]]
        return " ".join(("[", *words, *((MORE,) if len(value) > LONGEST_LIST else ()), "]"))

    return write


def _ordinal(name: str, names: _Names) -> str:
    known = names.get(name)
    if known is None:
        known = names[name] = ORDINALS[len(names)] if len(names) < len(ORDINALS) else MANY
    return known
