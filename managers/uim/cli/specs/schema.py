"""`elias tiki schema`: what a spec may say about a decision point."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, say
from managers.uim.cli.specs.explain import Specs
from managers.uim.cli.specs.sources import bundle_of, known, points

if TYPE_CHECKING:
    import tiki

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A decision point; without it, their names.")] = "",
    specs: Specs = None,
    json_: Json = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="JSON Schema of the facts, as an event's `data` carries them.")
    ] = False,
) -> None:
    """What a spec may say about a decision point: facts with types and ranges, settings with what they are now, actions
    with arguments and undo, attributes of candidates.

    Examples:

        elias tiki schema

        elias tiki schema ufm.node_health

        elias tiki schema ufm.node_health --json-schema > node_health.schema.json
    """
    declared = points()
    chosen = known(point, declared) if point else None
    if json_schema:
        every = {name: one.facts_schema() for name, one in sorted(declared.items())}
        emit(chosen.facts_schema() if chosen else {"$schema": DRAFT, "$defs": every})
    elif chosen is None:
        found = sorted(declared.items())
        emit(sorted(declared)) if json_ else print("\n".join(_aligned([[name, one.doc] for name, one in found])))
    else:
        merged = _merged(context, specs, chosen)
        if json_:
            emit({**chosen.model_dump(mode="json"), "facts_schema": chosen.facts_schema(), "now": _now(chosen, merged)})
        else:
            _print(chosen, _now(chosen, merged))


def _merged(context: typer.Context, specs: Any, point: "tiki.Point") -> Any:
    """What the specs say of the point; None where they are broken: a schema helps most just then."""
    try:
        return bundle_of(context, specs).merged[point.name]
    except Refused:
        say("the specs have mistakes, so what the settings are now is not shown; `elias tiki check` names them")
        return None


def _now(point: "tiki.Point", merged: Any) -> dict[str, dict[str, str]]:
    """Every setting: value (as text, empty where it has none) and place (empty: the default)."""
    from tiki.diagnostics import Report  # noqa: PLC0415 - the language takes a quarter of a second
    from tiki.merge import declared  # noqa: PLC0415
    from tiki.resolve import setting_values  # noqa: PLC0415
    from tiki.trace import show_constant  # noqa: PLC0415

    if merged is None:
        return {name: {"value": one.default or "", "place": ""} for name, one in declared(point).items()}
    values = setting_values(merged, Report())
    places = {name: str(given.place) for name, given in merged.settings.items()}
    return {
        name: {"value": show_constant(value) if value else "", "place": places.get(name, "")}
        for name, value in values.items()
    }


def _print(point: "tiki.Point", now: dict[str, dict[str, str]]) -> None:
    from tiki.merge import declared  # noqa: PLC0415

    every = "decides every event" if point.trigger == "every" else "a rule fires on its rising edge, for each subject"
    print(f"{point.name}, version {point.version}: {point.doc}")
    print(
        f"{every}; {point.terminal} is the terminal action" + "".join(f'\ntitle: "{title}"' for title in point.titles)
    )
    _section("facts", [[fact.name, _kind(fact), _limits(fact), fact.doc] for fact in point.facts])
    about = declared(point)
    rows = []
    for name, is_ in now.items():
        one = about.get(name)
        said = is_["place"] or ("by default" if is_["value"] else "not set")
        doc = one.doc + (f" ({', '.join(one.values)})" if one.values else "") if one else "of the spec"
        rows.append([name, str(one.type) if one else "", is_["value"], said, doc])
    _section("settings", rows)
    _section(
        "actions",
        [[_call(action), f"undone by {action.undo}" if action.undo else "", action.doc] for action in point.actions],
    )
    _section(
        "attributes of candidates, for guards",
        [[one.name, _kind(one), _limits(one), f"{one.doc} ({', '.join(one.actions)})"] for one in point.attributes],
    )


def _section(title: str, rows: list[list[str]]) -> None:
    if rows:
        print(f"\n{title}")
        print("\n".join(f"  {line}" for line in _aligned(rows)))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows as columns, the last one as long as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])


def _kind(one: Any) -> str:
    return f"{one.type}: {', '.join(one.values)}" if one.values else str(one.type)


def _limits(one: Any) -> str:
    """`0% to 100%, unknown after 30s`."""
    from tiki import Type  # noqa: PLC0415
    from tiki.values import show  # noqa: PLC0415

    low, high = (None if limit in (float("inf"), float("-inf")) else limit for limit in one.range)
    found = []
    if low is not None and high is not None:
        found.append(f"{show(one.type, low)} to {show(one.type, high)}")
    elif high is not None:
        found.append(f"at most {show(one.type, high)}")
    elif low:
        found.append(f"at least {show(one.type, low)}")
    age = getattr(one, "max_age", None)
    if age is not None:
        found.append(f"unknown after {show(Type.DURATION, age)}")
    return ", ".join(found)


def _call(action: "tiki.Action") -> str:
    args = (f"{arg.name}: {' | '.join(arg.values) or arg.type}" for arg in action.args)
    return f"{action.name}({', '.join(args)})" if action.args else action.name
