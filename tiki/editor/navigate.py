"""Where a name is given, where it is used, and giving it another."""

from collections.abc import Iterable, Sequence

from tiki.bundle import check
from tiki.diagnostics import Diagnostic, Edit, Place, Source
from tiki.editor.engine import Analysis, Engine
from tiki.editor.names import Kind, Mark, every_mark
from tiki.editor.text import Text
from tiki.merge import LANGUAGE, OVERLAYS, declared
from tiki.parse import WORDS
from tiki.plan import Plan, signature
from tiki.values import is_name

_GIVEN = {
    Kind.FACT: "a fact, which its manager declares",
    Kind.ATTRIBUTE: "an attribute, which its manager declares",
    Kind.ACTION: "an action, which its manager declares",
    Kind.POINT: "a decision point, which its manager declares",
    Kind.TIER: "a word of the language",
    Kind.VALUE: "a value",
    Kind.TITLE: "a title, by which managers find their specs",
}
_RESERVED = frozenset((*WORDS, "true", "false", "decides", "unset"))


class CannotRename(Exception):
    """Says why."""


def definitions(analysis: Analysis, mark: Mark) -> list[Place]:
    """Where a setting is set or a clause named, in the base and in the overlay; empty for what a manager declares."""
    return [one.place for one in related(analysis, mark) if one.declares]


def references(analysis: Analysis, mark: Mark, declarations: bool = True) -> list[Place]:
    return [one.place for one in related(analysis, mark) if declarations or not one.declares]


def related(analysis: Analysis, mark: Mark) -> list[Mark]:
    """Every place that names the same thing. A spec of several points joins what each of them calls by that name."""
    alike = [one for one in every_mark(analysis) if (one.kind, one.text) == (mark.kind, mark.text)]
    if mark.kind in (Kind.TIER, Kind.VALUE):
        return alike
    points, grown = set(mark.points), True
    while grown:
        before = len(points)
        points |= {name for one in alike if not points.isdisjoint(one.points) for name in one.points}
        grown = len(points) > before
    return [one for one in alike if not points.isdisjoint(one.points)]


def may_rename(analysis: Analysis, mark: Mark) -> None:
    """Raises CannotRename for what specs do not name themselves."""
    if mark.kind in _GIVEN:
        raise CannotRename(f"`{mark.text}` is {_GIVEN[mark.kind]}; only a spec's own settings and clauses are renamed")
    if mark.kind is Kind.SETTING:
        named = {point: declared(analysis.points[point]) for one in related(analysis, mark) for point in one.points}
        if mark.text == "decides" or mark.text in {setting.name for setting in LANGUAGE}:
            raise CannotRename(f"`{mark.text}` is a setting of the language; only a spec's own settings are renamed")
        owner = next((point for point, known in named.items() if mark.text in known), None)
        if owner is not None:
            raise CannotRename(f"`{mark.text}` is a setting that {owner} declares; only a spec's own are renamed")


def rename(analysis: Analysis, mark: Mark, name: str) -> list[Edit]:
    """The edits that give a setting or a clause another name, here and everywhere. Raises CannotRename: also where the
    specs would decide something else afterwards."""
    may_rename(analysis, mark)
    if not is_name(name) or name in _RESERVED:
        raise CannotRename(
            f"`{name[:70]}` is not a name: lower case letters, digits and `_`, and no word of the language"
        )
    mine = related(analysis, mark)
    points = {point for one in mine for point in one.points}
    for one in every_mark(analysis):
        if one.text == name and (one.kind is Kind.CLAUSE) == (mark.kind is Kind.CLAUSE) and points & set(one.points):
            raise CannotRename(f"`{name}` stands for something else at {one.place} already")
    edits = [Edit(one.place.path, one.place.span, name) for one in mine]
    before = [document.source for document in analysis.documents.values()]
    after = [Source(source.path, _edited(source, edits)) for source in before]
    was, now = _meaning(analysis, before), _meaning(analysis, after)
    if was != now:
        raise CannotRename(f"with the name `{name}` the specs would not decide what they do now")
    return edits


def _edited(source: Source, edits: Iterable[Edit]) -> str:
    return Text(source.text).edited(edit for edit in edits if edit.path == source.path)


def _meaning(analysis: Analysis, sources: Sequence[Source]) -> tuple[list[tuple[str, str, int]], list[str]]:
    """What is wrong with these texts, and what they decide, names of clauses and settings aside."""
    base = [source for source in sources if not source.path.startswith(OVERLAYS)]
    over = [source for source in sources if source.path.startswith(OVERLAYS)]
    found = [_where(one) for one in check(base, analysis.points, over)]
    plans = Engine(analysis.points).check(base, over).groups
    return sorted(found), [_decides(plans[name].plans[name]) for name in sorted(plans)]


def _where(found: Diagnostic) -> tuple[str, str, int]:
    return found.code, found.path, found.line


def _decides(plan: Plan) -> str:
    rules = [(signature(rule.condition), rule.cooldown, rule.verdict.action, rule.verdict.args) for rule in plan.rules]
    guards = [(guard.action, signature(guard.condition)) for guard in plan.guards]
    windows = [(window.duration, window.key) for window in plan.windows]
    return repr(
        (
            rules,
            guards,
            windows,
            plan.last.action,
            plan.last.args,
            plan.fallback,
            sorted(plan.settings.values(), key=repr),
        )
    )
