"""What a decision point tells the language: its facts, settings, actions and candidate attributes.

A point is declared once, in Python, by the manager that owns it. The language needs nothing else of the manager:
checking, compiling, completion and the printed JSON Schema all read this declaration.
"""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
DottedName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=64)]


class Type(StrEnum):
    """The type of a value; its unit in memory is fixed.

    percent: float, 80.0 is 80 %; count: int; number: float without unit; duration: float seconds; bytes: int; rate:
    float per second; name: str; flag: bool; list: tuple of names.
    """

    PERCENT = "percent"
    COUNT = "count"
    NUMBER = "number"
    DURATION = "duration"
    BYTES = "bytes"
    RATE = "rate"
    NAME = "name"
    FLAG = "flag"
    LIST = "list"


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_NEVER_NEGATIVE = frozenset({Type.COUNT, Type.BYTES, Type.DURATION, Type.RATE})
_NUMERIC = _NEVER_NEGATIVE | {Type.PERCENT, Type.NUMBER}


class _Ranged(_Declared):
    """minimum, maximum: the smallest and the largest value, in the unit of memory. Without a minimum a count, bytes, a
    duration and a rate begin at 0; `-inf` lets them be negative."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    type: Type
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.range
        if (self.minimum is not None or self.maximum is not None) and self.type not in _NUMERIC:
            raise ValueError(f"a {self.type} has no minimum and no maximum")
        if not low <= high:
            raise ValueError(f"the minimum {low} is above the maximum {high}")
        return self

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value; infinite where there is none."""
        lowest = 0.0 if self.type in _NEVER_NEGATIVE else -math.inf
        return (
            lowest if self.minimum is None else self.minimum,
            math.inf if self.maximum is None else self.maximum,
        )


class Fact(_Ranged):
    """A typed value that a condition may name.
    `max_age` (seconds): older than that it counts as unknown; None: never."""

    name: Name
    doc: str
    max_age: float | None = None
    values: tuple[str, ...] = ()


class Setting(_Declared):
    """A value that a spec may set.
    `default` is TIKI text (`80%`); None: the spec must set it before a clause may use it.
    `read_by_manager`: it has a meaning without a clause that names it."""

    name: Name
    type: Type
    doc: str
    default: str | None = None
    values: tuple[str, ...] = ()
    read_by_manager: bool = False


class Arg(_Declared):
    """An argument that a rule may give an action (`shed_load(lowest_priority)`), always optional, by position."""

    name: Name
    type: Type
    doc: str
    values: tuple[str, ...] = ()


class Action(_Declared):
    """Something that a decision may choose.
    `undo` names the action that takes it back; None: it cannot be taken back."""

    name: Name
    doc: str
    args: tuple[Arg, ...] = ()
    undo: str | None = None


class Attribute(_Ranged):
    """A typed property of a candidate that a guard may name (`target.gpu_free`),
    and the actions whose candidates carry it."""

    name: DottedName
    doc: str
    actions: tuple[Name, ...]
    values: tuple[str, ...] = ()


class Point(_Declared):
    """One kind of question that a manager answers.

    titles: spec titles without the word Spec ("URM Resource Allocation") whose settings this point takes.
    trigger: "edge" fires a rule on its rising edge per subject; "every" asks at every event (placement).
    """

    name: DottedName
    version: int
    doc: str
    facts: tuple[Fact, ...]
    actions: tuple[Action, ...]
    terminal: Name
    settings: tuple[Setting, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    titles: tuple[str, ...] = ()
    trigger: Literal["edge", "every"] = "edge"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [f.name for f in self.facts] + [s.name for s in self.settings]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a fact and a setting share a name")
        actions = {a.name for a in self.actions}
        if self.terminal not in actions:
            raise ValueError(f"{self.name}: the terminal action {self.terminal} is not among the actions")
        for action in self.actions:
            if action.undo is not None and action.undo not in actions:
                raise ValueError(f"{self.name}: {action.name} is undone by {action.undo}, which is not an action")
        for attribute in self.attributes:
            if not set(attribute.actions) <= actions:
                raise ValueError(f"{self.name}: {attribute.name} names an action that does not exist")
        return self

    @property
    def manager(self) -> str:
        return self.name.partition(".")[0]

    def action(self, name: str) -> Action:
        return next(a for a in self.actions if a.name == name)

    def facts_schema(self) -> dict[str, object]:
        """JSON Schema (draft 2020-12) of the facts: a missing key is unknown, null is absent. A quantity is a number in
        the unit of memory, or text with its unit."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"{self.name} facts, version {self.version}",
            "type": "object",
            "properties": {f.name: _json_type(f) for f in self.facts},
            "additionalProperties": False,
        }


_JSON_TYPES: Mapping[Type, str] = {
    Type.PERCENT: "number",
    Type.COUNT: "integer",
    Type.NUMBER: "number",
    Type.DURATION: "number",
    Type.BYTES: "integer",
    Type.RATE: "number",
    Type.NAME: "string",
    Type.FLAG: "boolean",
    Type.LIST: "array",
}


_NUMBER = r"^-?\d{1,18}(\.\d{1,9})?"
_JSON_PATTERNS: Mapping[Type, str] = {
    Type.PERCENT: _NUMBER + "%$",
    Type.COUNT: r"^-?\d{1,18}(_[a-z][a-z0-9_]*)?$",
    Type.NUMBER: _NUMBER + "$",
    Type.DURATION: _NUMBER + "(ms|s|m|min|h|d)$",
    Type.BYTES: _NUMBER + "([kKMGTP]?B|[KMGTP]iB)$",
    Type.RATE: _NUMBER + "_([a-z][a-z0-9_]*_)?per_(second|minute|hour|day)$",
}
"""A quantity as it is written in TIKI, which events may use too."""


def _json_type(fact: Fact) -> dict[str, object]:
    schema: dict[str, object] = {"description": fact.doc, "x-unit": fact.type.value}
    if fact.type in _JSON_PATTERNS:
        schema |= {"type": [_JSON_TYPES[fact.type], "string", "null"], "pattern": _JSON_PATTERNS[fact.type]}
    else:
        schema["type"] = [_JSON_TYPES[fact.type], "null"]
    if fact.type is Type.LIST:
        schema["items"] = {"type": "string"} | ({"enum": list(fact.values)} if fact.values else {})
    elif fact.values:
        schema["enum"] = [*fact.values, None]
    low, high = fact.range
    if low > -math.inf:
        schema["minimum"] = low
    if high < math.inf:
        schema["maximum"] = high
    return schema


IDENTIFIER = re.compile(r"^[a-z][a-z0-9_]*$")
