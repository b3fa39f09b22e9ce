"""Gives names and literals their meaning:
which fact, setting, attribute or value is meant, and whether the types go together."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tiki.diagnostics import Place, Report
from tiki.format import print_condition
from tiki.plan import Any_, AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Term, Test
from tiki.schema import Attribute, Fact, Type
from tiki.syntax import (
    And,
    Comparison,
    Condition,
    Holds,
    IsAbsent,
    Listing,
    Literal,
    Name,
    Not,
    Operand,
    Or,
    compared,
    names_of,
)
from tiki.values import HOW_TO_WRITE, Value, closest, comparable, fits

_ORDERED = {Type.PERCENT, Type.COUNT, Type.NUMBER, Type.DURATION, Type.BYTES, Type.RATE}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a clause of one point may use.
    settings: None where it is declared and not set; attributes: of a guard's action; unreadable: settings that are set
    to what cannot be read, which was said there."""

    point: str
    facts: Mapping[str, FactTerm]
    settings: Mapping[str, Constant | None]
    attributes: Mapping[str, AttributeTerm]
    elsewhere: Mapping[str, Attribute]
    unreadable: Collection[str]

    def names(self) -> list[str]:
        return [*self.facts, *self.settings, *self.attributes]


class Memory:
    """The conditions of one point that its last check resolved, for an editor's next one: a condition is resolved again
    only where a setting that it names is not what it was. They are told apart by identity."""

    def __init__(self) -> None:
        self._settings: Mapping[str, Constant | None] = {}
        self._before: dict[int, _Resolved] = {}
        self._now: dict[int, _Resolved] = {}

    def begin(self, settings: Mapping[str, Constant | None]) -> None:
        """Begins a check under these settings. What the last one did not come by is forgotten."""
        old = self._settings
        changed = {name for name in old.keys() | settings.keys() if old.get(name, _UNSET) != settings.get(name, _UNSET)}
        self._before = {key: known for key, known in self._now.items() if known.names.isdisjoint(changed)}
        self._settings, self._now = dict(settings), {}

    def resolve(self, condition: Condition, scope: Scope, report: Report) -> Formula | None:
        """What `resolve` gives."""
        known = self._before.get(id(condition))
        if known is None:
            formula = resolve(condition, scope, report)
            if formula is None:
                return None
            names = frozenset(name for operand in compared(condition) for name in names_of(operand))
            known = _Resolved(condition, names, formula)
        self._now[id(condition)] = known
        return known.formula


@dataclass(frozen=True, slots=True)
class _Resolved:
    """condition: kept, so that no other takes its identity. names: those that may be settings."""

    condition: Condition
    names: frozenset[str]
    formula: Formula


_UNSET = object()


def resolve(condition: Condition, scope: Scope, report: Report) -> Formula | None:
    """The condition with every name bound; None, with diagnostics, where that fails."""
    match condition:
        case And(items) | Or(items):
            resolved = [resolve(item, scope, report) for item in items]
            found = tuple(item for item in resolved if item is not None)
            if len(found) < len(resolved):
                return None
            return Every(found) if isinstance(condition, And) else Any_(found)
        case Not(item):
            inner = resolve(item, scope, report)
            return None if inner is None else Negation(inner)
        case Comparison():
            return _comparison(condition, scope, report)
        case IsAbsent():
            term = lookup(condition.operand, scope, report)
            if isinstance(term, Constant):
                report.error("TIKI-403", "only a fact or an attribute can be absent", condition.place)
                return None
            return None if term is None else Test(term, "absent", None, print_condition(condition), condition.place)
        case Holds():
            return _flag(condition, scope, report)


def _flag(condition: Holds, scope: Scope, report: Report) -> Test | None:
    term = lookup(condition.operand, scope, report)
    if term is None:
        return None
    if term.type is not Type.FLAG or isinstance(condition.operand, Literal | Listing):
        report.error(
            "TIKI-407", f"{_what(term)} is not a condition by itself", condition.place, help="compare it with a value"
        )
        return None
    return Test(term, "holds", None, print_condition(condition), condition.place)


def _comparison(condition: Comparison, scope: Scope, report: Report) -> Test | None:
    if any(isinstance(side, Name) and side.text in scope.unreadable for side in (condition.left, condition.right)):
        return None
    left_type, right_type = _type_of(condition.left, scope), _type_of(condition.right, scope)
    wanted_left = right_type if right_type is not Type.LIST else Type.NAME
    left = lookup(condition.left, scope, report, wanted_left, _values_of(condition.right, scope))
    right = lookup(condition.right, scope, report, left_type, _values_of(condition.left, scope))
    if left is None or right is None:
        return None
    if isinstance(condition.left, Literal | Listing) and isinstance(condition.right, Literal | Listing):
        report.error(
            "TIKI-406", "this comparison is always the same: it names neither a fact nor a setting", condition.place
        )
        return None
    if not _go_together(condition, left, right, report):
        return None
    return Test(left, condition.operator, right, print_condition(condition), condition.place)


def _go_together(condition: Comparison, left: Term, right: Term, report: Report) -> bool:
    operator, place = condition.operator, condition.place
    is_list = isinstance(condition.left, Listing) or left.type is Type.LIST
    if operator == "in":
        inner = right.type if isinstance(condition.right, Listing) else Type.NAME
        if is_list or not (isinstance(condition.right, Listing) or right.type is Type.LIST):
            report.error("TIKI-403", "`in` asks for one value on the left and a list on the right", place)
            return False
        if not comparable(left.type, inner):
            report.error("TIKI-401", f"{_what(left)} is never in a list of {inner.value} values", place)
            return False
        return True
    if is_list or isinstance(condition.right, Listing) or right.type is Type.LIST:
        report.error("TIKI-403", f"a list is not compared by `{operator}`", place, help="write `X in LIST`")
        return False
    if not comparable(left.type, right.type):
        cure = f"write a {left.type.value} as {HOW_TO_WRITE[left.type]}" if isinstance(right, Constant) else ""
        report.error("TIKI-401", f"unlike units: {_what(left)} is compared with {_what(right)}", place, help=cure)
        return False
    if operator not in ("==", "!=") and left.type not in _ORDERED:
        report.error(
            "TIKI-403", f"`{operator}` does not order {left.type.value} values", place, help="write `==`, `!=` or `in`"
        )
        return False
    return True


def _what(term: Term) -> str:
    match term:
        case FactTerm():
            return f"the fact `{term.fact.name}` ({term.type.value})"
        case AttributeTerm():
            return f"the attribute `{term.attribute.name}` ({term.type.value})"
        case Constant(setting=str(name)):
            return f"the setting `{name}` ({term.type.value})"
    return f"a {term.type.value}"


def _declared(operand: Operand, scope: Scope) -> Fact | Attribute | Constant | None:
    if not isinstance(operand, Name):
        return None
    if operand.text in scope.facts:
        return scope.facts[operand.text].fact
    if operand.text in scope.attributes:
        return scope.attributes[operand.text].attribute
    return scope.settings.get(operand.text)


def _type_of(operand: Operand, scope: Scope) -> Type | None:
    if isinstance(operand, Literal):
        return operand.type
    if isinstance(operand, Listing):
        return _type_of(operand.items[0], scope) or Type.NAME
    declared = _declared(operand, scope)
    return declared.type if declared is not None else None


def _values_of(operand: Operand, scope: Scope) -> tuple[str, ...]:
    declared = _declared(operand, scope)
    return declared.values if isinstance(declared, Fact | Attribute) else ()


def lookup(
    operand: Operand, scope: Scope, report: Report, beside: Type | None = None, values: tuple[str, ...] = ()
) -> Term | None:
    """What an operand stands for.
    A bare name that is nothing else is a value where a name is compared (`beside`), one of `values`."""
    match operand:
        case Literal():
            if operand.type is Type.NAME and not allowed(str(operand.value), values, operand.place, report):
                return None
            return Constant(operand.type, operand.value)
        case Listing():
            return _listing(operand, scope, report, beside, values)
    name = operand.text
    if name in scope.facts:
        return scope.facts[name]
    if name in scope.attributes:
        return scope.attributes[name]
    if name in scope.settings:
        constant = scope.settings[name]
        if constant is None and name not in scope.unreadable:
            report.error(
                "TIKI-507",
                f"the setting `{name}` has no default and is not set",
                operand.place,
                help=f"set it: `- {name}: ...`",
            )
        return constant
    if beside in (Type.NAME, Type.LIST) and "." not in name:
        return Constant(Type.NAME, name) if allowed(name, values, operand.place, report) else None
    _unknown(operand, scope, report)
    return None


def _unknown(operand: Name, scope: Scope, report: Report) -> None:
    name = operand.text
    if name in scope.elsewhere:
        actions = ", ".join(scope.elsewhere[name].actions)
        cure = (
            "only a guard may name an attribute of a candidate"
            if not scope.attributes
            else f"candidates of {actions} carry it"
        )
        report.error("TIKI-308", f"the attribute `{name}` means nothing here", operand.place, help=cure)
        return
    near = closest(name, scope.names())
    cure = "" if near else f"{scope.point} knows {', '.join(scope.names()[:20]) or 'no names'}"
    report.error(
        "TIKI-301",
        f"`{name}` is neither a fact nor a setting of {scope.point}",
        operand.place,
        help=cure,
        suggestion=near,
    )


def _listing(
    operand: Listing, scope: Scope, report: Report, beside: Type | None, values: tuple[str, ...]
) -> Constant | None:
    terms = [lookup(item, scope, report, beside or Type.NAME, values) for item in operand.items]
    if any(term is None for term in terms):
        return None
    constants = [term for term in terms if isinstance(term, Constant)]
    if len(constants) < len(terms):
        report.error("TIKI-403", "a list holds values and settings, not facts", operand.place)
        return None
    first = constants[0].type
    if any(not comparable(term.type, first) or term.type is Type.LIST for term in constants):
        report.error("TIKI-401", "unlike units in one list", operand.place)
        return None
    return Constant(first, tuple(term.value for term in constants if not isinstance(term.value, tuple)))


def allowed(name: str, values: Iterable[str], place: Place, report: Report) -> bool:
    """Whether a name is one of the declared values; says so where it is not."""
    known = list(values)
    if not known or name in known:
        return True
    report.error("TIKI-306", f"`{name}` is not one of {', '.join(known)}", place, suggestion=closest(name, known))
    return False


def value_as(operand: Operand, wanted: Type, values: tuple[str, ...], what: str, report: Report) -> Value | None:
    """The value of a setting or an argument as its declared type; None, with a diagnostic, where it is of another."""
    match operand:
        case Literal() if fits(operand.type, wanted):
            if operand.type is Type.NAME and not allowed(str(operand.value), values, operand.place, report):
                return None
            return float(operand.value) if wanted is Type.NUMBER and isinstance(operand.value, int) else operand.value
        case Name() if wanted is Type.NAME and "." not in operand.text:
            return operand.text if allowed(operand.text, values, operand.place, report) else None
        case Listing() if wanted is Type.LIST:
            items = [value_as(item, Type.NAME, values, f"an item of {what}", report) for item in operand.items]
            return None if None in items else tuple(str(item) for item in items)
    place = operand.place
    report.error("TIKI-402", f"{what} is a {wanted.value}", place, help=f"write it as {HOW_TO_WRITE[wanted]}")
    return None
