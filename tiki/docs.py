"""A bundle as one page for readers: what each point decides, by which rules, settings, guards and examples.

`html` is self-contained (no script, no network); `markdown` is for repositories. Both are pure functions of the bundle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from tiki import words
from tiki.bundle import Bundle, run_examples
from tiki.diagnostics import Place, Report
from tiki.document import Document, Front, Heading, Prose
from tiki.examples import Example, ExampleResult
from tiki.merge import OVERLAYS, Merged, declared
from tiki.read import read
from tiki.resolve import setting_values
from tiki.schema import Point
from tiki.trace import show_constant
from tiki.values import show


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a spec. overlay: the environment that it belongs to; empty for the base."""

    path: str
    line: int

    @property
    def overlay(self) -> str:
        return self.path.removeprefix(OVERLAYS).partition("/")[0] if self.path.startswith(OVERLAYS) else ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Rule:
    """when: the condition on one line; conditions: the same as a list, joined by `all of`, `any of` or nothing. note:
    the prose that stands before it."""

    name: str
    when: str
    joined: str
    conditions: tuple[str, ...]
    timing: tuple[str, ...]
    choice: str
    doc: str
    where: Where
    note: str


@dataclass(frozen=True, slots=True)
class Guard:
    name: str
    action: str
    condition: str
    where: Where
    note: str


@dataclass(frozen=True, slots=True)
class Setting:
    """where: None for a default."""

    name: str
    value: str
    doc: str
    where: Where | None


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of the same columns. rows: cells, and whether it passes."""

    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], bool, Where], ...]


@dataclass(frozen=True, slots=True)
class About:
    """A decision point under the bundle. intro, closing: the prose at the head of its specs and behind the clauses."""

    point: Point
    intro: str
    closing: str
    trigger: str
    rules: tuple[Rule, ...]
    ending: tuple[str, ...]
    guards: tuple[Guard, ...]
    settings: tuple[Setting, ...]
    examples: tuple[Examples, ...]


class Notes:
    """The prose of specs, by the place of the clause, table or heading that it stands before."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._before: dict[str, str] = {}
        self._specs: list[tuple[str, frozenset[str]]] = []
        for document in documents:
            self._read(document)
            for spec in document.specs:
                bullets = frozenset(str(statement.place) for statement in spec.statements)
                self._specs.append((self.of(spec.heading.place), bullets))

    def of(self, place: Place) -> str:
        return self._before.get(str(place), "")

    def intro(self, places: Iterable[Place]) -> str:
        """What stands at the head of the specs that have these clauses and settings."""
        mine = {str(place) for place in places}
        return "\n\n".join(note for note, bullets in self._specs if note and bullets & mine)

    def _read(self, document: Document) -> None:
        said: list[str] = []
        for block in document.blocks:
            if isinstance(block, Prose):
                said += [line for line in block.lines if not line.lstrip().startswith(("<!--", "```"))]
            elif not isinstance(block, Heading) or block.begins_spec:
                if not isinstance(block, Front):
                    self._before[str(block.place)] = _paragraphs(said)
                said = []
            elif block.level <= 2:
                said = []


def pages(bundle: Bundle) -> tuple[About, ...]:
    """What there is to say of each point that a spec is about, in order of name."""
    notes = Notes([read(source) for source in (*bundle.sources, *bundle.overlays)])
    results: dict[str, list[ExampleResult]] = {}
    for result in run_examples(bundle):
        results.setdefault(result.example.point, []).append(result)
    told = sorted(name for name, merged in bundle.merged.items() if merged.heading is not None)
    return tuple(_about(bundle, name, notes, results.get(name, [])) for name in told)


def html(bundle: Bundle, title: str = "Specs in force") -> str:
    """One page, with the sources at its end, so that every line that is named can be looked at."""
    import jinja2  # noqa: PLC0415 - only whoever renders a page needs it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("tiki").joinpath("docs.html").read_text(encoding="utf-8"))
    sources = (*bundle.sources, *bundle.overlays)
    return template.render(title=title, digest=bundle.digest, abouts=pages(bundle), sources=sources)


def markdown(bundle: Bundle, title: str = "Specs in force") -> str:
    """The same as Markdown; lines are named, not linked."""
    lines = [f"# {title}", "", f"Bundle `{bundle.digest}`."]
    for about in pages(bundle):
        lines += ["", *_markdown(about)]
    return "\n".join(lines) + "\n"


def _about(bundle: Bundle, name: str, notes: Notes, results: list[ExampleResult]) -> About:
    merged, plan = bundle.merged[name], bundle.programs[name].plan
    docs = {action.name: action.doc for action in merged.point.actions}
    rules = [
        Rule(
            rule.name,
            words.condition(rule.condition),
            *words.parts(rule.condition),
            words.timing(plan, rule),
            words.choice(rule.verdict),
            docs.get(rule.verdict.action or "", ""),
            _where(rule.place),
            notes.of(rule.place),
        )
        for rule in plan.rules
    ]
    guards = [
        Guard(one.name, one.action, words.condition(one.condition), _where(one.place), notes.of(one.place))
        for one in plan.guards
    ]
    said = [clause.place for clause in merged.clauses] + [setting.place for setting in merged.settings.values()]
    return About(
        point=merged.point,
        intro=notes.intro(said),
        closing="\n\n".join(filter(None, (notes.of(table.place) for table in merged.examples))),
        trigger=words.trigger(merged.point),
        rules=tuple(rules),
        ending=words.ending(plan),
        guards=tuple(guards),
        settings=tuple(_settings(merged)),
        examples=tuple(_examples(merged.point, results)),
    )


def _settings(merged: Merged) -> Iterable[Setting]:
    docs = {name: one.doc for name, one in declared(merged.point).items()}
    for name, value in setting_values(merged, Report()).items():
        given = merged.settings.get(name)
        if value is not None:
            place = None if given is None else _where(given.place)
            yield Setting(name, show_constant(value), docs.get(name, "used by the clauses of this spec"), place)


def _examples(point: Point, results: list[ExampleResult]) -> Iterable[Examples]:
    """The tables as they stand, without the columns of facts that all rows leave absent."""
    for table in _tables(results):
        given = [_given(point, result.example) for result in table]
        columns = tuple(dict.fromkeys(name for row in given for name, text in row.items() if text != "absent"))
        rows = tuple(
            (
                (*(row.get(name, "absent") for name in columns), result.example.decides),
                result.passed,
                _where(result.example.place),
            )
            for row, result in zip(given, table, strict=True)
        )
        yield Examples((*columns, "decides"), rows)


def _tables(results: list[ExampleResult]) -> Iterable[list[ExampleResult]]:
    """Rows that stand line after line in one file."""
    table: list[ExampleResult] = []
    for result in results:
        here, before = result.example.place, table[-1].example.place if table else None
        if before is not None and (here.path, here.span.line) != (before.path, before.span.line + 1):
            yield table
            table = []
        table.append(result)
    if table:
        yield table


def _given(point: Point, example: Example) -> dict[str, str]:
    types = {name: one.type for name, one in declared(point).items()}
    facts = {fact.name: show(fact.type, value) for fact, value in zip(point.facts, example.facts, strict=True)}
    return facts | {n: show(types[n], v) if n in types else str(v) for n, v in example.settings.items()}


def _paragraphs(lines: Iterable[str]) -> str:
    """Lines joined to paragraphs, with an empty line between two."""
    text = "\n".join(line.strip() for line in lines)
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n") if part.strip())


def _where(place: Place) -> Where:
    return Where(place.path, place.span.line)


def _markdown(about: About) -> Iterable[str]:
    yield f"## {about.point.name}"
    yield from ("", about.point.doc, "", about.trigger)
    if about.intro:
        yield from ("", about.intro)
    if about.rules:
        yield from ("", "The first rule that holds decides.", "")
        yield from _table(
            ("", "rule", "when", "over time", "then", "line"),
            [
                (str(number), rule.name, rule.when, "; ".join(rule.timing), rule.choice, str(rule.where))
                for number, rule in enumerate(about.rules, 1)
            ],
        )
    yield from ("", *about.ending)
    if about.closing:
        yield from ("", about.closing)
    if about.guards:
        yield ""
        yield from _table(
            ("guard", "never", "when", "line"), [(g.name, g.action, g.condition, str(g.where)) for g in about.guards]
        )
    yield ""
    yield from _table(
        ("setting", "value", "from", ""),
        [(s.name, s.value, str(s.where) if s.where else "default", s.doc) for s in about.settings],
    )
    for examples in about.examples:
        yield ""
        yield from _table(
            ("", *examples.columns), [("pass" if passed else "FAIL", *cells) for cells, passed, _ in examples.rows]
        )


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterable[str]:
    names = list(columns)
    yield _row(names)
    yield _row("---" for _ in names)
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
