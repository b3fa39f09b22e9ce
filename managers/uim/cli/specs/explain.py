"""`elias tiki explain`: what the specs would decide on given facts, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli import decide
from managers.uim.cli.output import Json, emit
from managers.uim.cli.specs import tree
from managers.uim.cli.specs.facts import candidate_of, facts_of, values_of
from managers.uim.cli.specs.sources import Overlay, bundle_of, known, points

if TYPE_CHECKING:
    import tiki

Specs = Annotated[Path | None, typer.Option(help="A file or folder of specs; by default those in force.")]
OnPoint = Annotated[str, typer.Option("--point", help="Which decision point, where a spec is about several.")]


def explain(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|POINT",
            help="A decision point, such as `urm.resource_pressure`, or a file or folder of specs.",
            show_default=False,
        ),
    ] = "",
    facts: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE, a JSON file, or `-`; what is missing is unknown.", show_default=False),
    ] = None,
    specs: Specs = None,
    overlay: Overlay = None,
    point: OnPoint = "",
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="`ACTION NAME=VALUE ...`: what guards say to it; may be given again."),
    ] = None,
    decision: Annotated[str, typer.Option(help="A recorded decision instead: the same as `elias explain ID`.")] = "",
    json_: Json = False,
) -> None:
    """What the specs would decide on these facts, and why: the rules that were tried, how far each value is from its
    threshold, and what a rule that nearly fired still lacks. Conditions over time count as having held.

    Examples:

        elias tiki explain urm.resource_pressure memory=97% gpu=absent

        elias tiki explain my_specs/placement.tiki gpus=1 feasible=0

        elias tiki explain urm.resource_pressure facts.json --candidate 'migrate target.gpu_free=1 job.gpu=2'

        elias tiki explain --decision 3f9a1c0b5d2e4f60718293a4b5c6d7e8
    """
    if decision:
        decide.explain(context, decision, json_)
        return
    program = chosen(context, what, point, specs, overlay)
    values = values_of(program, facts_of(program, facts or ()))
    trace = program.explain(values, program.unwatched(values))
    from tiki.trace import consider  # noqa: PLC0415 - the language takes a quarter of a second

    candidates = [candidate_of(program.point, text) for text in candidate or ()]
    considered = [consider(program.plan, values, one.action, one.attributes) for one in candidates]
    if json_:
        import msgspec  # noqa: PLC0415

        emit({**trace.to_dict(), "candidates": msgspec.to_builtins(considered)})
    else:
        tree.show(trace, considered)


def chosen(
    context: typer.Context, what: str, point: str, specs: Path | None, overlay: str | None = None
) -> "tiki.Program":
    """The program that `SPEC|POINT` names. Raises Refused with the points that it might mean."""
    declared = points()
    if not what and specs is None:
        cure = "`elias tiki schema` lists the points; `elias tiki explain --help` has examples"
        raise Refused("no-point", "say what to explain: a decision point, or a file of specs", cure=cure)
    path = Path(what) if what else specs
    if what not in declared and path is not None and path.exists():
        return _one_of(concerned(bundle_of(context, path, overlay)), point, path)
    if "/" in what or what.endswith((".tiki", ".md")):
        raise Refused("no-spec", "there is no such file", place=what, cure="check the path")
    return bundle_of(context, specs, overlay).programs[known(what, declared).name]


def _one_of(programs: "dict[str, tiki.Program]", point: str, path: Path) -> "tiki.Program":
    if point in programs:
        return programs[point]
    if len(programs) == 1 and not point:
        return next(iter(programs.values()))
    about = f"these specs are about {', '.join(programs) or 'no point'}"
    raise Refused("which-point", about, place=str(path), cure="say which with --point NAME")


def concerned(bundle: "tiki.Bundle") -> "dict[str, tiki.Program]":
    """The programs of the points that the specs of a bundle are about."""
    return {name: bundle.programs[name] for name, merged in bundle.merged.items() if merged.heading is not None}
