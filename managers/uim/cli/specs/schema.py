"""`elias tiki schema`: what a spec may say about a decision point."""

from typing import Annotated

import typer

from managers.uim.cli.output import Json, emit
from managers.uim.cli.specs.sources import known, points


def schema(
    point: Annotated[str, typer.Argument(help="A decision point; without it, their names.")] = "", json_: Json = False
) -> None:
    """What a spec may say about a decision point: facts, settings, actions, attributes of candidates.

    Examples:

        elias tiki schema

        elias tiki schema ufm.node_health --json
    """
    declared = points()
    if not point:
        emit(sorted(declared)) if json_ else print("\n".join(f"{n}: {p.doc}" for n, p in sorted(declared.items())))
        return
    chosen = known(point, declared)
    if json_:
        emit({**chosen.model_dump(mode="json"), "facts_schema": chosen.facts_schema()})
        return
    print(f"{chosen.name}, version {chosen.version}: {chosen.doc}")
    things: list[tuple[str, str, str, str, str | None]]
    things = [("fact", f.name, f.type, f.doc, None) for f in chosen.facts]
    things += [("setting", s.name, s.type, s.doc, s.default) for s in chosen.settings]
    things += [("attribute", a.name, a.type, a.doc, None) for a in chosen.attributes]
    for kind, name, type_, doc, default in things:
        print(f"  {kind} {name} ({type_}{f', {default} by default' if default else ''}): {doc}")
    for action in chosen.actions:
        args = f"({', '.join(a.name for a in action.args)})" if action.args else ""
        print(f"  action {action.name}{args}: {action.doc}")
