"""`elias tiki repl`: facts tried one after the other, and the decision with each."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.output import complain, say, table
from managers.uim.cli.specs import tree
from managers.uim.cli.specs.explain import OnPoint, Specs, chosen
from managers.uim.cli.specs.facts import candidate_of, facts_of
from managers.uim.cli.specs.sources import sources

if TYPE_CHECKING:
    import tiki
    from managers.uim.cli.specs.session import Moment, Session

_WORD = re.compile(r'(?:[^\s\["]+|\[[^\]]*\]?|"[^"]*"?)+')  # a list `[a, b]` and a text in quotes are one word

HISTORY = Path.home() / ".elias_tiki_history"

HELP = """\
memory=97% gpu=absent    set facts, and see what is decided; `unknown` takes one back
+30s                     let time pass with these facts; windows, `clear at` and cooldowns run on it
why                      the rules that were tried, with values and distances, and what the guards say
facts                    what is set, and what may be
rules                    the clauses in force, with their lines
candidate ACTION a=1     hold a candidate before the guards; `candidate` alone takes them away
reset                    forget facts, time and what is in force
quit                     or Ctrl-D
Specs are read again when a file changes."""


def repl(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|POINT", help="A decision point, or a file or folder of specs.", show_default=False
        ),
    ] = "",
    specs: Specs = None,
    point: OnPoint = "",
) -> None:
    """Try facts one after the other, and see the decision with each. Time is virtual: `+30s` lets it pass.

    Lines may come from a pipe; the exit code is 1 if one of them was wrong.

    Examples:

        elias tiki repl urm.resource_pressure

        elias tiki repl my_specs/pressure.tiki

        printf 'memory=97%\\n+30s\\nwhy\\n' | elias tiki repl urm.resource_pressure
    """
    from managers.uim.cli.specs.session import Session  # noqa: PLC0415 - the language takes a quarter of a second

    path = Path(what) if what and Path(what).exists() else specs

    def program() -> "tiki.Program":
        return chosen(context, what, point, specs)

    def texts() -> object:
        return sources(context, path)

    loop = _Loop(Session(program()), program, texts)
    wrong = loop.run(_lines(loop) if sys.stdin.isatty() else sys.stdin)
    if wrong:
        raise typer.Exit(1)


class _Loop:
    def __init__(self, session: "Session", program: "Callable[[], tiki.Program]", texts: Callable[[], object]) -> None:
        self.session = session
        self._program, self._texts = program, texts
        self._read = texts()
        self._last: Moment | None = None

    def run(self, lines: Iterable[str]) -> int:
        """Does what the lines say; how many of them were wrong."""
        wrong = 0
        for line in lines:
            try:
                self._reload()
                if line.strip() in ("quit", "exit"):
                    break
                self._do(line.strip())
            except Refused as error:
                complain(error.message, error.place, error.cure)
                wrong += 1
        return wrong

    def words(self) -> list[str]:
        """What a line may begin with, and the facts with the values that they may take."""
        facts = [f"{f.name}={value}" for f in self.session.program.point.facts for value in ("", *_values(f))]
        return ["why", "facts", "rules", "candidate ", "reset", "help", "quit", *facts]

    def _do(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        match word:
            case "":
                return
            case "help" | "?":
                print(HELP)
            case "why":
                self._why()
            case "facts":
                self._facts()
            case "rules":
                self._rules()
            case "reset":
                self.session.reset()
                print("facts, time and what was in force are forgotten")
            case "candidate":
                self._candidate(rest)
            case _ if word.startswith("+"):
                self._advance(word[1:])
            case _:
                self._set(line)

    def _set(self, line: str) -> None:
        self.session.facts |= facts_of(self.session.program, _WORD.findall(line))
        print(self.session.look())

    def _advance(self, text: str) -> None:
        import tiki  # noqa: PLC0415
        from tiki.values import canonical  # noqa: PLC0415
        from tiki.windows import SECOND  # noqa: PLC0415

        try:
            duration = canonical(tiki.Type.DURATION, text)
        except ValueError as error:
            raise Refused("bad-time", str(error), cure="write `+30s` or `+5m`") from None
        assert isinstance(duration, float)
        for moment in self.session.advance(max(0, round(duration * SECOND))):
            print(moment)

    def _why(self) -> None:
        tree.show(self.session.look().trace, self.session.considered())
        for line in self.session.windows():
            print(line)

    def _facts(self) -> None:
        from tiki.values import show  # noqa: PLC0415

        facts, known = self.session.program.point.facts, self.session.facts
        rows = [[f.name, show(f.type, known[f.name]) if f.name in known else "unknown", _type(f), f.doc] for f in facts]
        table(("fact", "value", "type", ""), rows, "no facts")

    def _rules(self) -> None:
        plan = self.session.program.plan
        clauses = [(one.name, one.place) for one in plan.rules] + [(one.name, one.place) for one in plan.guards]
        if plan.last_place is not None:
            clauses.append((plan.last.clause, plan.last_place))
        rows = [[name, place.excerpt.strip().removeprefix("- "), str(place)] for name, place in clauses]
        table(("clause", "", "place"), rows, "no clauses")

    def _candidate(self, text: str) -> None:
        if text:
            self.session.candidates.append(candidate_of(self.session.program.point, text))
        else:
            self.session.candidates.clear()
        for one in self.session.considered():
            print(one.text())

    def _reload(self) -> None:
        texts = self._texts()
        if texts == self._read:
            return
        self._read = texts
        self.session.use(self._program())
        say("the specs have changed, and are read again")
        print(self.session.look())


def _values(fact: "tiki.Fact") -> tuple[str, ...]:
    return (*fact.values, "true", "false") if fact.type == "flag" else fact.values


def _type(fact: "tiki.Fact") -> str:
    return f"{fact.type}: {', '.join(fact.values)}" if fact.values else str(fact.type)


def _lines(loop: _Loop) -> Iterator[str]:
    """Lines from a terminal, with history and completion."""
    import readline  # noqa: PLC0415 - only where somebody types

    def complete(text: str, state: int) -> str | None:
        found = [word for word in loop.words() if word.startswith(text)]
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" ")
    readline.parse_and_bind("tab: complete")
    if HISTORY.exists():
        readline.read_history_file(HISTORY)
    print(f"{loop.session.program.point.name}: {loop.session.program.point.doc}\n`help` says what can be typed")
    try:
        while True:
            yield input("> ")
    except (EOFError, KeyboardInterrupt):
        print()
    finally:
        readline.set_history_length(1000)
        readline.write_history_file(HISTORY)
