"""Keeps secrets and personal data out of a data set.

An example is made of typed values, so most is done by what is let in: the facts, settings, arguments and attributes
that the decision point declares, each with a value of its declared type. Words of people and advisors, subjects and
events have no field to stand in. Of names only those that the point declares stay; every other one is `<name 1>`,
`<name 2>`, ..., the same for the same name within one example. A policy loses nothing by it: the rendering writes no
name from outside either (`federation.policy.rendering`).

What remains of an example as text is read once more by `Reader`, the patterns of detect-secrets, which know nothing of
how it was made.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from federation.advisors.scrub import Scrubber
from federation.policy.question import Question
from federation.records import Candidate
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type
from tiki.values import canonical
from training.dataset.example import Advice, Logged

UNFIT = "it does not fit the point any more"
SECRET = "it looks as if it held a secret"  # noqa: S105 - why an example is left out

_OTHER = "a fact that is not declared"  # its name may come from outside
_MOST = 2**63  # whole numbers beyond it are not written
_HEX = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")

_Names = dict[str, str]
_Declared = Fact | Setting | Arg | Attribute


class Scrubbed(NamedTuple):
    """dropped: names of declared values that were left out of it, for they are not of the declared type; and one word
    for each fact that is not declared (any more)."""

    example: Logged
    dropped: tuple[str, ...]


class Unfit(ValueError):
    """An offered candidate is none of the point's any more."""


def scrub(schema: Point, example: Logged) -> Scrubbed:
    """Pure. The order of the candidates stays. Raises Unfit where one of them has an action that the point does not
    declare, or an argument of another type than it declares."""
    names: _Names = {}
    dropped: list[str] = []
    question = example.question
    settings = _settings(schema, question.settings, names, dropped)
    facts = _typed(schema.facts, question.facts, names, dropped)
    dropped += [_OTHER] * len(question.facts.keys() - {fact.name for fact in schema.facts})
    candidates = tuple(_candidate(schema, one, names, dropped) for one in question.candidates)
    clean = msgspec.structs.replace(
        example,
        decision=_digest(example.decision),
        bundle=_digest(example.bundle),
        policy=_digest(example.policy),
        question=Question(schema.name, settings, facts, candidates),
        advice=None if example.advice is None else _advice(example.advice),
    )
    return Scrubbed(clean, tuple(dropped))


def _settings(schema: Point, given: Mapping[str, Any], names: _Names, dropped: list[str]) -> dict[str, Any]:
    """One that stands at its default is told by that: its name is the point's."""
    found: dict[str, Any] = {}
    for one in schema.settings:
        if one.default is not None and given.get(one.name) == canonical(one.type, one.default, one.values):
            found[one.name] = given[one.name]
        else:
            found |= _typed((one,), given, names, dropped)
    return found


def _candidate(schema: Point, candidate: Candidate, names: _Names, dropped: list[str]) -> Candidate:
    action = next((one for one in schema.actions if one.name == candidate.action), None)
    if action is None:
        raise Unfit(candidate.action)
    args = _args(action, candidate.args, names)
    attributes = (one for one in schema.attributes if action.name in one.actions)
    return Candidate(action.name, args, _typed(attributes, candidate.attributes, names, dropped))


def _args(action: Action, given: Mapping[str, Any], names: _Names) -> dict[str, Any]:
    """Of another type than declared an argument cannot be left out: it would be another action."""
    wrong: list[str] = []
    found = _typed(action.args, given, names, wrong)
    if wrong:
        raise Unfit(f"{action.name}({', '.join(wrong)})")
    return found


def _typed(
    declared: Iterable[_Declared], given: Mapping[str, Any], names: _Names, dropped: list[str]
) -> dict[str, Any]:
    """What is declared, in that order. dropped: is added to."""
    found: dict[str, Any] = {}
    for one in declared:
        if one.name in given:
            try:
                found[one.name] = _value(one, given[one.name], names)
            except TypeError:
                dropped.append(one.name)
    return found


def _value(declared: _Declared, value: Any, names: _Names) -> Any:
    """Raises TypeError where it is not of the declared type. None: absent."""
    match declared.type, value:
        case _, None:
            return None
        case Type.FLAG, bool():
            return value
        case Type.NAME, str():
            return _name(declared, value, names)
        case Type.LIST, list() | tuple() if all(isinstance(one, str) for one in value):
            return type(value)(_name(declared, one, names) for one in value)
        case Type.FLAG | Type.NAME | Type.LIST, _:
            raise TypeError
        case _, bool():
            raise TypeError
        case _, float() if math.isfinite(value):
            return value
        case _, int() if abs(value) < _MOST:
            return value
    raise TypeError


def _name(declared: _Declared, name: str, names: _Names) -> str:
    """Case and form are kept apart, other than for advisors: two names of the question stay two."""
    return name if name in declared.values else names.setdefault(name, f"<name {len(names) + 1}>")


def _advice(advice: Advice) -> Advice:
    return Advice(Scrubber().text(advice.model), advice.choice, advice.confidence)


def _digest(text: str) -> str:
    """A digest as it is, anything else as one."""
    return text if not text or _HEX.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()


class Reader:
    """Looks for what has the form of a secret, whatever field it stands in."""

    def __init__(self) -> None:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415 - of `train`
        from detect_secrets.plugins.base import RegexBasedDetector  # noqa: PLC0415

        kinds: Mapping[str, Any] = get_mapping_from_secret_type_to_class()
        self._detectors = [kind() for kind in kinds.values() if issubclass(kind, RegexBasedDetector)]
        self._clean: set[str] = set()

    def suspects(self, example: Logged) -> bool:
        """Whether any of its texts looks like a secret. Asks no service whether it is one."""
        new = {text for text in texts(msgspec.to_builtins(example)) if not _HEX.fullmatch(text)} - self._clean
        if any(True for text in new for detector in self._detectors for _ in detector.analyze_string(text)):
            return True
        self._clean |= new
        return False


def texts(value: Any) -> Iterator[str]:
    """All texts in a value as JSON has it, keys included."""
    match value:
        case str():
            yield value
        case dict():
            for key, one in value.items():
                yield from texts(key)
                yield from texts(one)
        case list() | tuple():
            for one in value:
                yield from texts(one)
