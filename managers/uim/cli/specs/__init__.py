"""tiki: the language at the command line, one file a command."""

import typer

from managers.uim.cli.specs.analyse import analyse
from managers.uim.cli.specs.check import check
from managers.uim.cli.specs.diff import diff
from managers.uim.cli.specs.docs import docs
from managers.uim.cli.specs.explain import explain
from managers.uim.cli.specs.fmt import format_
from managers.uim.cli.specs.lsp import lsp
from managers.uim.cli.specs.new import new
from managers.uim.cli.specs.repl import repl
from managers.uim.cli.specs.schema import schema
from managers.uim.cli.specs.test import run_tests

app = typer.Typer(help="Check, format, explain and test specs in TIKI.", no_args_is_help=True)
app.command()(analyse)
app.command()(check)
app.command()(diff)
app.command()(docs)
app.command("fmt")(format_)
app.command()(explain)
app.command()(new)
app.command()(repl)
app.command("test")(run_tests)
app.command()(schema)
app.command()(lsp)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="tiki")
