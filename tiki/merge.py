"""Gathers what all specs say about each decision point:
settings and clauses in order of path, then the overlays' replacements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tiki.diagnostics import Report
from tiki.document import Document, Examples, Heading, Spec
from tiki.schema import Point, Setting, Type
from tiki.syntax import (
    Assignment,
    Call,
    Clause,
    Guard,
    Name,
    Operand,
    Otherwise,
    Rule,
    compared,
    comparisons,
    names_of,
)
from tiki.values import closest

LANGUAGE = (
    Setting(name="fallback", type=Type.NAME, doc="What answers where no rule decides: a tier or an action."),
    Setting(name="on_timeout", type=Type.NAME, doc="The action that answers a case nobody answered in time."),
    Setting(name="timeout", type=Type.DURATION, doc="How long a case may wait.", default="1h"),
    Setting(name="max_error", type=Type.PERCENT, doc="The share of wrong decisions that a policy may make by itself."),
    Setting(
        name="explore",
        type=Type.PERCENT,
        doc="The share of the policy's answers that take another candidate than the best, one that can be taken back.",
    ),
    Setting(
        name="explore_budget",
        type=Type.RATE,
        doc="How many answers may do so, counted over a day; `10_per_day` if it is not set.",
    ),
    Setting(name="cooldown", type=Type.DURATION, doc="After how long a rule that is still in force fires again."),
)
"""Settings that every point has."""

EXPLORES = frozenset({"explore", "explore_budget"})
"""Those of them that mean something only where a clause consults on an action that can be taken back."""

_RESERVED = ("otherwise", "fallback", "unset")
_MOST_RULES = 1000
_MOST_COMPARISONS = 2000


@dataclass(slots=True)
class Merged:
    """All that concerns one point. names: each clause's name, in the order of `clauses`."""

    point: Point
    settings: dict[str, Assignment] = field(default_factory=dict)
    clauses: list[Clause] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    heading: Heading | None = None
    _firsts: dict[str | None, Clause] = field(default_factory=dict, repr=False, compare=False)
    """The first clause of each name that was given, and under None the first `otherwise`."""

    def named(self) -> Iterator[tuple[str, Clause]]:
        """Every clause with its name: its own, or its kind and number."""
        rules = guards = 0
        for clause in self.clauses:
            rules += isinstance(clause, Rule)
            guards += isinstance(clause, Guard)
            if clause.name is not None:
                yield clause.name.text, clause
            elif isinstance(clause, Otherwise):
                yield "otherwise", clause
            else:
                yield (f"rule {rules}" if isinstance(clause, Rule) else f"guard {guards}"), clause


@dataclass(frozen=True, slots=True)
class Placed:
    """A spec, and the names of the points that it is about: none where that could not be told."""

    spec: Spec
    overlay: bool
    points: tuple[str, ...]


def place(
    documents: Sequence[Document], overlays: Sequence[Document], points: Mapping[str, Point], report: Report
) -> list[Placed]:
    """Which points each spec is about, those of the overlays last.
    Raises ValueError where a point declares a setting of the language."""
    for point in points.values():
        clash = {setting.name for setting in point.settings} & {"decides", *(setting.name for setting in LANGUAGE)}
        if clash:
            raise ValueError(f"{point.name} declares {', '.join(sorted(clash))}, which every point has")
    specs = [(spec, False) for document in documents for spec in document.specs]
    specs += [(spec, True) for document in overlays for spec in document.specs]
    _near_headings((*documents, *overlays), points, report)
    titles: dict[str, list[Point]] = {}
    placed = []
    for spec, overlay in specs:
        concerned = _concerned(spec, points, titles, report)
        titles.setdefault(spec.heading.title, concerned)
        placed.append(Placed(spec, overlay, tuple(point.name for point in concerned)))
    return placed


def gather(placed: Sequence[Placed], points: Iterable[Point], report: Report) -> dict[str, Merged]:
    """What is in force, by point, where `placed` are all specs that are about these points, and no others."""
    merged = {point.name: Merged(point) for point in points}
    for one in placed:
        for name in one.points:
            merged[name].heading = merged[name].heading or one.spec.heading
            _clauses(one.spec, one.overlay, merged[name], report)
    names = {name: _known(target) for name, target in merged.items()}
    replaced: set[tuple[str, str]] = set()
    for one in placed:
        targets = [merged[name] for name in one.points]
        _settings(one.spec, one.overlay, targets, names, replaced, report)
        for target in targets:
            target.examples += one.spec.examples
    for target in merged.values():
        _bound(target, report)
    return merged


def _near_headings(documents: Sequence[Document], points: Mapping[str, Point], report: Report) -> None:
    managers = {point.manager.upper() for point in points.values()}
    blocks = [block for document in documents for block in document.blocks]
    for heading in (block for block in blocks if isinstance(block, Heading) and block.level == 2):
        if not heading.begins_spec and not managers.isdisjoint(heading.text.split()[:1]):
            report.error(
                "TIKI-104",
                "this heading begins with a manager's name and does not end in `Spec`",
                heading.place,
                suggestion=f"## {heading.text} Spec",
                help="for prose, begin it with another word",
            )


def _concerned(
    spec: Spec, points: Mapping[str, Point], titles: Mapping[str, list[Point]], report: Report
) -> list[Point]:
    """The points that a spec is about: those it names with `decides`, else those that take its title."""
    heading = spec.heading
    managers = sorted({point.manager.upper() for point in points.values()})
    if heading.manager not in managers:
        near = closest(heading.manager, [manager.lower() for manager in managers])
        cure = "" if near else f"the managers are {', '.join(managers)}"
        report.error(
            "TIKI-105",
            f"`{heading.manager}` is not a manager",
            heading.place,
            help=cure,
            suggestion=near and near.upper(),
        )
        return []
    decides = [
        statement
        for statement in spec.statements
        if isinstance(statement, Assignment) and statement.name.text == "decides"
    ]
    if not decides:
        found = [point for point in points.values() if heading.title in point.titles] or titles.get(heading.title, [])
        if not found:
            known = [title for point in points.values() for title in point.titles]
            near = next(
                (title for title in known if title.casefold() == heading.title.casefold()), None
            ) or _near_title(heading.title, known)
            report.error(
                "TIKI-305",
                f"no decision point takes the title `{heading.title}`",
                heading.place,
                suggestion=near and f"## {near} Spec",
                help="or name the point: `- decides: MANAGER.POINT`",
            )
        return list(found)
    if len(decides) > 1:
        report.error("TIKI-501", f"`decides` is set twice, first at {decides[0].place}", decides[1].place)
    return [point for operand in decides[0].values if (point := _point(operand, heading, points, report)) is not None]


def _near_title(title: str, known: list[str]) -> str | None:
    near = closest(title, [other.lower() for other in known])
    return next((other for other in known if other.lower() == near), None)


def _point(operand: Operand, heading: Heading, points: Mapping[str, Point], report: Report) -> Point | None:
    name = operand.text if isinstance(operand, Name) else ""
    if name not in points:
        near = closest(name, points)
        known = [point for point in points if point.startswith(heading.manager.lower() + ".")]
        cure = "" if near else f"the points of {heading.manager} are {', '.join(known)}"
        report.error("TIKI-304", f"`{name}` is not a decision point", operand.place, help=cure, suggestion=near)
        return None
    if points[name].manager.upper() != heading.manager:
        cure = f"begin the title with {points[name].manager.upper()}"
        report.error("TIKI-304", f"`{name}` is not a decision point of {heading.manager}", operand.place, help=cure)
        return None
    return points[name]


def _clauses(spec: Spec, overlay: bool, target: Merged, report: Report) -> None:
    for statement in spec.statements:
        if isinstance(statement, Assignment):
            continue
        if statement.name is not None and statement.name.text in _RESERVED and not isinstance(statement, Otherwise):
            report.error(
                "TIKI-502",
                f"`{statement.name.text}` is not a name for a clause",
                statement.name.place,
                help="it has a meaning already",
            )
        if overlay:
            _replace(statement, target, report)
        else:
            _add(statement, target, report)


def _add(clause: Clause, target: Merged, report: Report) -> None:
    firsts = target._firsts
    if isinstance(clause, Otherwise) and None in firsts:
        first = firsts[None].place
        report.error("TIKI-504", f"`otherwise` stands a second time, first at {first}", clause.place)
        return
    if clause.name is not None and clause.name.text in firsts:
        name, first = clause.name.text, firsts[clause.name.text].place
        report.error("TIKI-502", f"a clause is named `{name}` already, at {first}", clause.name.place)
        return
    if clause.name is not None:
        firsts[clause.name.text] = clause
    if isinstance(clause, Otherwise):
        firsts[None] = clause
    target.clauses.append(clause)


def _replace(clause: Clause, target: Merged, report: Report) -> None:
    """An overlay's clause takes the place of the one of its name, or of `otherwise`."""
    wanted = clause.name.text if clause.name else "otherwise" if isinstance(clause, Otherwise) else None
    if wanted is None:
        report.error(
            "TIKI-506",
            "a clause of an overlay has no name",
            clause.place,
            help="name the clause that it replaces: `- NAME: when ...`",
        )
        return
    for position, (name, other) in enumerate(target.named()):
        both_otherwise = isinstance(other, Otherwise) and isinstance(clause, Otherwise)
        if name != wanted and not both_otherwise:
            continue
        if type(other) is not type(clause):
            report.error("TIKI-506", f"`{wanted}` is another kind of clause at {other.place}", clause.place)
        elif other.place.path.startswith(OVERLAYS):
            report.error("TIKI-502", f"`{wanted}` is replaced already, at {other.place}", clause.place)
        else:
            target.clauses[position] = clause
        return
    near = closest(wanted, [name for name, _ in target.named()])
    report.error(
        "TIKI-506",
        f"{target.point.name} has no clause `{wanted}` that an overlay could replace",
        clause.name.place if clause.name else clause.place,
        suggestion=near,
    )


OVERLAYS = "overlays/"
"""What the path of every overlay begins with."""


def _settings(
    spec: Spec,
    overlay: bool,
    targets: list[Merged],
    names: Mapping[str, set[str]],
    replaced: set[tuple[str, str]],
    report: Report,
) -> None:
    for statement in spec.statements:
        if not isinstance(statement, Assignment) or statement.name.text == "decides":
            continue
        name = statement.name.text
        takers = [target for target in targets if name in names[target.point.name]]
        if targets and not takers:
            known = ["decides"] + [known for target in targets for known in declared(target.point)]
            near = closest(name, known)
            about = " and ".join(target.point.name for target in targets)
            report.error(
                "TIKI-302",
                f"`{name}` is not a setting of {about}, and no clause uses it",
                statement.name.place,
                suggestion=near,
                help="" if near else f"the settings are {', '.join(dict.fromkeys(known))}",
            )
        for target in takers:
            before = target.settings.get(name)
            key = (target.point.name, name)
            if before is not None and (not overlay or key in replaced):
                report.error(
                    "TIKI-501", f"`{name}` is set for {target.point.name} already, at {before.place}", statement.place
                )
                continue
            if overlay:
                replaced.add(key)
            target.settings[name] = statement


def _known(target: Merged) -> set[str]:
    """What may be set without being a typing error: declared settings, names that clauses use, and facts, which have
    an error of their own."""
    return {*declared(target.point), *names_used(target), *(fact.name for fact in target.point.facts)}


def declared(point: Point) -> dict[str, Setting]:
    """The settings that a point has without a spec's doing."""
    return {setting.name: setting for setting in (*LANGUAGE, *point.settings)}


def names_used(target: Merged) -> set[str]:
    """The bare names that the clauses of a point use as operands."""
    return {name for clause in target.clauses for name in names_in(clause)}


def names_in(clause: Clause) -> Iterator[str]:
    """The bare names that a clause uses as operands."""
    for operand in _operands(clause):
        yield from names_of(operand)


def _operands(clause: Clause) -> Iterator[Operand]:
    if isinstance(clause, Rule | Guard):
        yield from compared(clause.condition)
    if isinstance(clause, Rule):
        yield from (operand for operand in (clause.duration, clause.clear, clause.cooldown) if operand is not None)
    if isinstance(clause, Rule | Otherwise) and isinstance(clause.choice, Call):
        yield from clause.choice.args


def _bound(target: Merged, report: Report) -> None:
    """Keeps the generated code small, and what can be asked about the rules together within seconds."""
    compared = 0
    for number, clause in enumerate(target.clauses, 1):
        if not isinstance(clause, Otherwise):
            compared += sum(1 for _ in comparisons(clause.condition))
        if number <= _MOST_RULES and compared <= _MOST_COMPARISONS:
            continue
        limit = f"{_MOST_RULES} clauses" if number > _MOST_RULES else f"{_MOST_COMPARISONS} comparisons"
        report.error(
            "TIKI-108",
            f"{target.point.name} has more than {limit}; this one is the first too many",
            clause.place,
            help="join rules that choose the same, or leave the choice to `consult`",
        )
        del target.clauses[:]
        return
