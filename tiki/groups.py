"""Points that a spec joins, checked together and apart from all others.

Nothing that is found in one group depends on another, so an editor checks again only the groups that a change is about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiki.diagnostics import Diagnostic, Report
from tiki.examples import Example, examples_of
from tiki.merge import Merged, Placed, gather
from tiki.plan import Plan
from tiki.resolve import plan_of
from tiki.schema import Point
from tiki.terms import Memory


@dataclass(frozen=True, slots=True)
class Group:
    """Points, and every spec that is about one of them, in order."""

    points: tuple[Point, ...]
    placed: tuple[Placed, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(point.name for point in self.points)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the specs of a group come to, and what is wrong with them."""

    merged: Mapping[str, Merged]
    plans: Mapping[str, Plan]
    examples: tuple[Example, ...]
    found: tuple[Diagnostic, ...]


def groups(placed: Sequence[Placed], points: Mapping[str, Point]) -> list[Group]:
    """Every point in one group, in the order of `points`."""
    joined = {name: {name} for name in points}
    for one in placed:
        whole = {other for name in one.points for other in joined[name]}
        for name in whole:
            joined[name] = whole
    about: dict[int, list[Placed]] = {id(whole): [] for whole in joined.values()}
    for one in placed:
        if one.points:
            about[id(joined[one.points[0]])].append(one)
    wholes = {id(whole): whole for whole in joined.values()}
    return [Group(_chosen(points, whole), tuple(about[key])) for key, whole in wholes.items()]


def check_group(group: Group, memories: Mapping[str, Memory] | None = None) -> Checked:
    """memories: by point, of the check before."""
    known = memories or {}
    report = Report()
    merged = gather(group.placed, group.points, report)
    plans = {name: plan_of(one, report, memory=known.get(name)) for name, one in merged.items()}
    examples = tuple(example for one in merged.values() for example in examples_of(one, report))
    return Checked(merged, plans, examples, tuple(report.found))


def _chosen(points: Mapping[str, Point], names: Iterable[str]) -> tuple[Point, ...]:
    wanted = set(names)
    return tuple(point for name, point in points.items() if name in wanted)
