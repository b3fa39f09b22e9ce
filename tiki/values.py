"""Values of the language: what a literal means, how a value of each type is written,
and the two marks for a fact without a value."""

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from fractions import Fraction
from typing import NoReturn

from tiki.schema import Type

Value = float | int | str | bool | tuple[str, ...]
Truth = bool | None
"""Kleene's three values: True, False, and None for unknown."""


class NoValue(TypeError):
    """A fact without a value was compared. Compiled code catches it and evaluates again in three-valued logic."""


class Mark:
    """Stands where a fact has no value. Comparing one, or asking for its truth, raises NoValue."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, other: object = None) -> NoReturn:
        raise NoValue(f"a fact that is {self._name.lower()} was compared")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _refuse
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


ABSENT = Mark("ABSENT")
UNKNOWN = Mark("UNKNOWN")

Known = Value | Mark
"""What stands in a tuple of facts."""

_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15} | {
    f"{prefix}iB": 2 ** (10 * power) for power, prefix in enumerate("KMGTP", 1)
}
_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_NUMBER = re.compile(r"(-?\d{1,18}(?:\.\d{1,9})?)(.*)", re.ASCII)
_NOUN = re.compile(r"_[a-z][a-z0-9_]*", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_UNITS = ("%", *_SECONDS, *_BYTES)

HOW_TO_WRITE = {
    Type.PERCENT: "`80%`",
    Type.COUNT: "`3` or `3_consecutive`",
    Type.NUMBER: "`0.5`",
    Type.DURATION: "`30s`, `5m` or `1h`",
    Type.BYTES: "`8GB` or `8GiB`",
    Type.RATE: "`5_failures_per_minute`",
    Type.NAME: "`a_name`",
    Type.FLAG: "`true` or `false`",
    Type.LIST: "`[a, b]`",
}


def parse_quantity(text: str) -> tuple[Type, Value]:
    """The type and canonical value of a literal that begins with a digit. Raises ValueError with the cure."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(
            f"`{text}` is not a value; write a number of at most 18 digits and a unit, such as `80%`, `30s` or `8GB`"
        )
    number, unit = Fraction(found[1]), found[2]
    if unit == "":
        return (Type.NUMBER, float(number)) if "." in found[1] else (Type.COUNT, int(number))
    if unit == "%":
        return Type.PERCENT, float(number)
    if unit in _SECONDS:
        return Type.DURATION, float(number * _SECONDS[unit])
    if unit in _BYTES:
        return Type.BYTES, _whole(number * _BYTES[unit], text)
    if _NOUN.fullmatch(unit):
        _, per, period = unit.rpartition("_per_")
        if not per:
            return Type.COUNT, _whole(number, text)
        if period in _PERIODS:
            return Type.RATE, float(number / _PERIODS[period])
        raise ValueError(
            f"`{text}` is not a rate: {suggest(period, _PERIODS) or 'write per second, minute, hour or day'}"
        )
    near = [known for known in _UNITS if known.casefold() == unit.casefold()] or get_close_matches(unit[:16], _UNITS, 1)
    hint = (
        f"did you mean `{found[1]}{near[0]}`?"
        if near
        else "units are %, ms, s, m, h, d, B, kB, MB, GB, TB, KiB, MiB, GiB and TiB"
    )
    raise ValueError(f"`{text}` has no unit that TIKI knows: {hint}")


def _whole(number: Fraction, text: str) -> int:
    if number.denominator != 1:
        raise ValueError(f"`{text}` is not a whole number")
    return int(number)


def fits(found: Type, wanted: Type) -> bool:
    """Whether a value of one type may stand where the other is wanted: counts are numbers."""
    return found is wanted or (found is Type.COUNT and wanted is Type.NUMBER)


def comparable(left: Type, right: Type) -> bool:
    return fits(left, right) or fits(right, left)


def is_name(text: str) -> bool:
    return len(text) <= 64 and _NAME.fullmatch(text) is not None


def canonical(type_: Type, value: object, values: tuple[str, ...] = ()) -> Known:
    """A value from outside (JSON, or TIKI text with its unit) in the canonical unit of its type; None is absent.

    Raises ValueError: a wrong type, an unlike unit, a number that is not finite, a name that is not among `values`.
    """
    if value is None:
        return ABSENT
    if isinstance(value, Mark):
        return value
    match type_:
        case Type.FLAG:
            if isinstance(value, bool):
                return value
            if value in ("true", "false"):
                return value == "true"
        case Type.NAME:
            if isinstance(value, str):
                return _one_of(value, values)
        case Type.LIST:
            if isinstance(value, str):
                value = [item.strip() for item in value.removeprefix("[").removesuffix("]").split(",") if item.strip()]
            if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
                return tuple(_one_of(item, values) for item in value)
        case _:
            if isinstance(value, str):
                found, parsed = parse_quantity(value)
                if not fits(found, type_):
                    raise ValueError(f"`{value}` is a {found.value}, not a {type_.value}; write {HOW_TO_WRITE[type_]}")
                return float(parsed) if type_ is Type.NUMBER and isinstance(parsed, int) else parsed
            if isinstance(value, int | float) and not isinstance(value, bool):
                return _number(type_, value)
    raise ValueError(f"{_shown(value)} is not a {type_.value}; write {HOW_TO_WRITE[type_]}")


def _number(type_: Type, value: float) -> Value:
    if type_ in (Type.COUNT, Type.BYTES):
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{_shown(value)} is not a whole number, and a {type_.value} is one")
        return int(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{_shown(value)} is not a finite number")
    return number


def _one_of(name: str, values: tuple[str, ...]) -> str:
    if values and name not in values:
        raise ValueError(f"`{name[:64]}` is not one of {', '.join(values)}{_also(suggest(name, values))}")
    return name


def _also(hint: str) -> str:
    return f"; {hint}" if hint else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a typo most likely meant, if one is near enough."""
    found = get_close_matches(name[:64].lower(), list(known), 1, 0.6)
    return found[0] if found else None


def suggest(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f"did you mean `{near}`?" if near else ""


def show(type_: Type, value: Known) -> str:
    """A value as a person writes it: `97%`, `30s`, `16GB`, `[a, b]`, `absent`, `unknown`."""
    if isinstance(value, Mark):
        return repr(value).lower()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, str):
        return value if is_name(value) else f'"{value}"'
    match type_:
        case Type.PERCENT:
            return f"{value:.12g}%"
        case Type.DURATION:
            unit = next((u for u in ("d", "h", "m") if value and (value / float(_SECONDS[u])).is_integer()), "s")
            return f"{value / float(_SECONDS[unit]):.12g}{unit}"
        case Type.BYTES:
            units = sorted(_BYTES.items(), key=lambda item: -item[1])
            unit, size = next(((u, s) for u, s in units if value and value % s == 0), ("B", 1))
            return f"{int(value) // size}{unit}"
        case Type.RATE:
            for period, seconds in _PERIODS.items():
                scaled = round(value * seconds, 9)
                if scaled.is_integer():
                    return f"{int(scaled)}_per_{period}"
            return f"{value:.12g}_per_second"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
