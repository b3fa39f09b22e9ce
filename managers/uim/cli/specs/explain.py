"""`elias tiki explain`: what the specs would decide on given facts, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit
from managers.uim.cli.specs.sources import program_of


def explain(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A decision point, such as `urm.resource_pressure`.")],
    facts: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE, such as `memory=97%`; what is missing is unknown.")
    ] = None,
    specs: Annotated[Path | None, typer.Option(help="A file or folder of specs; by default those in force.")] = None,
    json_: Json = False,
) -> None:
    """What the specs would decide on these facts, and why. Conditions over time count as having held.

    Examples:

        elias tiki explain urm.resource_pressure memory=97% gpu=absent

        elias tiki explain ufm.placement gpus=1 feasible=0 --specs my_specs
    """
    program = program_of(context, specs, point)
    data: dict[str, Any] = {}
    for text in facts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise Refused("bad-fact", f"`{text}` is not NAME=VALUE", cure="write `memory=97%`")
        data[name] = None if value == "absent" else value
    try:
        known = program.facts_from(
            {name: value if value is None else program.parse_fact(name, value) for name, value in data.items()}
        )
    except ValueError as error:
        raise Refused("bad-fact", str(error), cure=f"`elias tiki schema {point}` lists the facts") from None
    trace = program.explain(known, program.unwatched(known))
    if json_:
        emit(trace.to_dict())
    else:
        print(trace.text())
