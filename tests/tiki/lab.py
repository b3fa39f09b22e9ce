"""The decision point that docs/tiki/semantics.md speaks about."""

import re

import tiki
from tiki import Action, Arg, Attribute, Bundle, Fact, Point, Program, Setting, Source, Type, Verdict

PATH = "lab.tiki"
POINT = Point(
    name="lab.pressure",
    version=1,
    doc="A made-up point with a fact of every type.",
    facts=(
        Fact(name="memory", type=Type.PERCENT, doc="Memory in use.", max_age=10),
        Fact(name="gpu", type=Type.PERCENT, doc="GPU in use."),
        Fact(name="queue", type=Type.COUNT, doc="Jobs that wait."),
        Fact(name="load", type=Type.NUMBER, doc="Load average."),
        Fact(name="free", type=Type.BYTES, doc="Free memory."),
        Fact(name="wait", type=Type.DURATION, doc="Longest wait."),
        Fact(name="failures", type=Type.RATE, doc="Failures."),
        Fact(name="state", type=Type.NAME, doc="Of the node.", values=("ready", "draining", "lost")),
        Fact(name="busy", type=Type.FLAG, doc="Whether it works."),
        Fact(name="labels", type=Type.LIST, doc="Of the node."),
    ),
    actions=(
        Action(name="hold", doc="Do nothing."),
        Action(
            name="shed_load",
            doc="Stop a job.",
            args=(
                Arg(name="victim", type=Type.NAME, doc="Which.", values=("lowest_priority", "newest")),
                Arg(name="grace", type=Type.DURATION, doc="How long it may take."),
            ),
        ),
        Action(name="scale_out", doc="Take a node in."),
        Action(name="migrate", doc="Move a job."),
    ),
    terminal="hold",
    settings=(
        Setting(name="memory_threshold", type=Type.PERCENT, doc="Limit.", default="80%"),
        Setting(name="spare", type=Type.PERCENT, doc="Reserve."),
        Setting(name="zones", type=Type.LIST, doc="Where.", default="[east, west]"),
    ),
    attributes=(
        Attribute(name="target.gpu_free", type=Type.COUNT, doc="Free cards.", actions=("migrate",)),
        Attribute(name="job.gpu", type=Type.COUNT, doc="Wanted cards.", actions=("migrate",)),
    ),
    titles=("LAB Pressure",),
)
POINTS = {POINT.name: POINT}


def spec(*bullets: str) -> str:
    """A file with these bullets; a line that begins with two spaces continues the one above."""
    lines = [line if line.startswith(("  ", "#", "|")) else f"- {line}" for line in bullets]
    return "\n".join(["## LAB Pressure Spec", *lines, ""])


def bundle(*bullets: str, overlay: str | None = None) -> Bundle:
    overlays = [] if overlay is None else [Source("overlays/test/lab.tiki", overlay)]
    return tiki.build([Source(PATH, spec(*bullets))], POINTS, overlays)


def program(*bullets: str) -> Program:
    return bundle(*bullets).programs[POINT.name]


def codes(*bullets: str) -> list[str]:
    return [found.code for found in tiki.check([Source(PATH, spec(*bullets))], POINTS)]


def facts(text: str, of: Program) -> tuple[tiki.Known, ...]:
    """`memory=97%, gpu=absent`: what is not named is unknown."""
    given = dict(part.split("=") for part in re.split(r",\s*(?![^\[]*\])", text.strip()) if part)
    marks = {"absent": None, "unknown": tiki.UNKNOWN, "true": True, "false": False}
    values = {
        name: marks[value] if value in marks else [item for item in value[1:-1].split(",")] if "[" in value else value
        for name, value in given.items()
    }
    values = {name: [i.strip() for i in v if i.strip()] if isinstance(v, list) else v for name, v in values.items()}
    known = {name: of.parse_fact(name, value) for name, value in values.items()}
    return tuple(known.get(fact.name, tiki.UNKNOWN) for fact in of.point.facts)


def said(verdict: Verdict) -> str:
    """A verdict in the words of the page."""
    args = ", ".join(f"{name}={value}" for name, value in verdict.args.items())
    choice = f"{verdict.action}({args})" if args else verdict.action or verdict.tier
    if verdict.kind == "consult":
        choice = f"consult [{', '.join(verdict.actions)}]"
    return f"{choice} because {verdict.reason}" if verdict.kind == "fallback" else f"{choice} by {verdict.clause}"
