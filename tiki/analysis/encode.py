"""From formulas to z3: a status and a value for every fact, window and attribute, and the truth of a formula as a pair
of Booleans: it is true, it is false; neither is unknown.

Percent, number, duration and rate are reals, count and bytes integers, names integers that stand for strings, a list
a predicate over names. Constants enter as the exact rationals that their floats are, so comparisons mean what they mean
in the compiled rules. That a fact is a float, not any rational, is left out: where an example lies between two floats
it is no example, and the question counts as not settled.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isfinite
from typing import Any

from tiki.plan import (
    Any_,
    AttributeTerm,
    Constant,
    Every,
    FactTerm,
    Formula,
    Negation,
    Term,
    Test,
    signature,
    tests,
)
from tiki.schema import Attribute, Fact, Type
from tiki.values import ABSENT, UNKNOWN, Known

Bool = Any
"""A z3 Boolean: z3 says nothing about its types."""

Key = tuple[str, str]
"""The action whose candidate it is ("" for a fact) and the name."""

_WHOLE = (Type.COUNT, Type.BYTES)
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Pair:
    true: Bool
    false: Bool


@dataclass(frozen=True)
class Variable:
    declared: Fact | Attribute
    known: Bool
    absent: Bool
    value: Any


class Space:
    """The variables of one solver. `bind` is told what they are bound by when they are made."""

    def __init__(self, z3: Any, context: Any, bind: Callable[[Bool], None]) -> None:
        self.z3, self.context, self.bind = z3, context, bind
        self.variables: dict[Key, Variable] = {}
        self._tests: dict[tuple[str, str], Pair] = {}
        self._formulas: dict[tuple[str, int], tuple[Formula, Pair]] = {}
        self._names: dict[str, int] = {}

    def truth(self, formula: Formula, action: str = "") -> Pair:
        known = self._formulas.get((action, id(formula)))
        if known is None:
            known = self._formulas[action, id(formula)] = (formula, self._truth(formula, action))
        return known[1]

    def _truth(self, formula: Formula, action: str) -> Pair:
        match formula:
            case Test():
                key = (action, signature(formula))
                if key not in self._tests:
                    self._tests[key] = self._test(formula, action)
                return self._tests[key]
            case Negation(item):
                inner = self.truth(item, action)
                return Pair(inner.false, inner.true)
            case Every(items):
                parts = [self.truth(item, action) for item in items]
                return Pair(self.all(part.true for part in parts), self.any(part.false for part in parts))
            case Any_(items):
                parts = [self.truth(item, action) for item in items]
                return Pair(self.any(part.true for part in parts), self.all(part.false for part in parts))

    def pair(self, name: str) -> Pair:
        """A truth of its own."""
        pair = Pair(self.boolean(f"{name} is true"), self.boolean(f"{name} is false"))
        self.bind(self.z3.Not(self.all((pair.true, pair.false))))
        return pair

    def variable(self, declared: Fact | Attribute, action: str = "") -> Variable:
        """What stands for a fact, or for the attribute of an action's candidate."""
        key = (action if isinstance(declared, Attribute) else "", declared.name)
        found = self.variables.get(key)
        if found is None:
            found = self.variables[key] = self._variable(declared, f"{key[0]} {key[1]}".strip())
        return found

    def _variable(self, declared: Fact | Attribute, name: str) -> Variable:
        z3 = self.z3
        known, absent = self.boolean(f"{name} known"), self.boolean(f"{name} absent")
        self.bind(z3.Not(self.all((known, absent))))
        value: Any
        match declared.type:
            case Type.FLAG:
                value = self.boolean(name)
            case Type.LIST:
                value = z3.Function(name, z3.IntSort(self.context), z3.BoolSort(self.context))
            case Type.NAME:
                value = z3.Int(name, self.context)
                if declared.values:
                    self.bind(self._one_of(value, declared.values))
            case _:
                value = z3.Int(name, self.context) if declared.type in _WHOLE else z3.Real(name, self.context)
                low, high = declared.range
                for sign, bound in ((">=", low), ("<=", high)):
                    if isfinite(bound):
                        self.bind(self._numbers(sign, value, Fraction(bound)))
        return Variable(declared, known, absent, value)

    def _test(self, test: Test, action: str) -> Pair:
        mine = [self.variable(_declared(term), action) for term in test.terms if not isinstance(term, Constant)]
        if test.operator == "absent":
            return Pair(mine[0].absent, mine[0].known)
        says = self._says(test, action)
        known = self.all(variable.known for variable in mine)
        absent = self.any(variable.absent for variable in mine)
        return Pair(self.all((known, says)), self.any((absent, self.all((known, self.z3.Not(says))))))

    def _says(self, test: Test, action: str) -> Bool:
        """What a comparison says of values that are known."""
        left = self._operand(test.left, action)
        if test.operator == "holds":
            return self._bool(left)
        assert test.right is not None
        if test.operator == "in":
            return self._in(test.left, left, test.right, action)
        right = self._operand(test.right, action)
        return self._compare(test.operator, test.left.type, left, right)

    def _compare(self, operator: str, type_: Type, left: Any, right: Any) -> Bool:
        if type_ in (Type.NAME, Type.FLAG):
            wrap = self._name if type_ is Type.NAME else self._bool
            same = wrap(left) == wrap(right)
            return same if operator == "==" else self.z3.Not(same)
        return self._numbers(operator, left, right)

    def _in(self, left_term: Term, left: Any, right: Term, action: str) -> Bool:
        if isinstance(right, Constant):
            assert isinstance(right.value, tuple)
            items = (Fraction(v) if isinstance(v, float | int) and not isinstance(v, bool) else v for v in right.value)
            return self.any(self._compare("==", left_term.type, left, item) for item in items)
        members = self.variable(_declared(right), action)
        name = self._name(left)
        contains = members.value(name)
        if members.declared.values:
            self.bind(self.z3.Implies(contains, self._one_of(name, members.declared.values)))
        return contains

    def _operand(self, term: Term, action: str) -> Any:
        if not isinstance(term, Constant):
            return self.variable(_declared(term), action).value
        if isinstance(term.value, bool | str | tuple):
            return term.value
        return Fraction(term.value)

    def _numbers(self, operator: str, left: Any, right: Any) -> Bool:
        z3 = self.z3
        if isinstance(left, Fraction):
            if isinstance(right, Fraction):
                return self._bool(_ordered(operator, left, right))
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        if isinstance(right, Fraction):
            if z3.is_int(left):
                if right.denominator != 1 and operator in ("==", "!="):
                    return self._bool(operator == "!=")
                if right.denominator != 1:
                    operator = {"<": "<=", ">=": ">"}.get(operator, operator)
                right = z3.IntVal(floor(right), self.context)
            else:
                right = z3.RealVal(right, self.context)
        elif z3.is_int(left) != z3.is_int(right):
            left, right = (z3.ToReal(left), right) if z3.is_int(left) else (left, z3.ToReal(right))
        return _ordered(operator, left, right)

    def _name(self, name: Any) -> Any:
        return self.z3.IntVal(self._names.setdefault(name, len(self._names)), self.context) if _is(name, str) else name

    def _one_of(self, value: Any, names: Iterable[str]) -> Bool:
        return self.any(value == self._name(name) for name in names)

    def _bool(self, value: Any) -> Bool:
        return self.z3.BoolVal(value, self.context) if _is(value, bool) else value

    def boolean(self, name: str) -> Bool:
        return self.z3.Bool(name, self.context)

    def all(self, parts: Iterable[Bool]) -> Bool:
        return self._joined(self.z3.Z3_mk_and, parts)

    def any(self, parts: Iterable[Bool]) -> Bool:
        return self._joined(self.z3.Z3_mk_or, parts)

    def _joined(self, join: Callable[[Any, int, Any], Any], parts: Iterable[Bool]) -> Bool:
        """As z3.And and z3.Or do, without looking at the sort of every part, which takes most of their time."""
        kept = list(parts)
        asts = [part.as_ast() for part in kept]
        return self.z3.BoolRef(join(self.context.ref(), len(asts), (self.z3.Ast * len(asts))(*asts)), self.context)

    def mentions(self, formula: Formula, action: str = "") -> set[Key]:
        """The variables that a formula is about."""
        declared = (_declared(term) for test in tests(formula) for term in test.terms if not isinstance(term, Constant))
        return {(action if isinstance(one, Attribute) else "", one.name) for one in declared}

    def read(self, model: Any, keys: Collection[Key]) -> dict[Key, Known]:
        """What these variables are in a model; one that the model leaves open is unknown."""
        names = {number: name for name, number in self._names.items()}
        found: dict[Key, Known] = {}
        lists: dict[Key, Variable] = {}
        for key, variable in self.variables.items():
            if key not in keys:
                continue
            if self.z3.is_true(model.eval(variable.absent)):
                found[key] = ABSENT
            elif not self.z3.is_true(model.eval(variable.known)):
                found[key] = UNKNOWN
            elif variable.declared.type is Type.LIST:
                lists[key] = variable
            else:
                found[key] = self._value(model, variable, names)
        return found | {key: self._members(model, variable, names) for key, variable in lists.items()}

    def _value(self, model: Any, variable: Variable, names: dict[int, str]) -> Known:
        value = model.eval(variable.value, model_completion=True)
        match variable.declared.type:
            case Type.FLAG:
                return bool(self.z3.is_true(value))
            case Type.NAME:
                return names.setdefault(value.as_long(), _fresh(names.values()))
            case Type.COUNT | Type.BYTES:
                return int(value.as_long())
        return float(Fraction(value.as_fraction()))

    def _members(self, model: Any, variable: Variable, names: dict[int, str]) -> Known:
        def contains(number: int) -> bool:
            inside = model.eval(variable.value(self.z3.IntVal(number, self.context)), model_completion=True)
            return bool(self.z3.is_true(inside))

        mine = variable.declared.values
        return tuple(sorted(name for number, name in names.items() if (not mine or name in mine) and contains(number)))


def _declared(term: Term) -> Fact | Attribute:
    match term:
        case FactTerm():
            return term.fact
        case AttributeTerm():
            return term.attribute
    raise AssertionError("a constant is no variable")


def _ordered(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind)


def _fresh(taken: Iterable[str]) -> str:
    """A name that no rule mentions."""
    used = set(taken)
    return next(name for number in range(1, len(used) + 2) if (name := f"other_{number}") not in used)
