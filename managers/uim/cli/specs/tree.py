"""An explanation as a tree: in colour on a terminal, else as plain text."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.tree import Tree

    import tiki
    from tiki.trace import Considered, Tried

_TONES = {True: "green", False: "dim", None: "yellow"}


def show(trace: "tiki.Trace", considered: "Sequence[Considered]" = ()) -> None:
    """Prints why a decision fell as it did, and what the guards say to candidates."""
    if not sys.stdout.isatty():
        print("\n".join([trace.text(), *(one.text() for one in considered)]))
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that scripts need not pay

    console = Console(highlight=False)
    console.print(_decision(trace))
    for one in considered:
        console.print(_candidate(one))


def _decision(trace: "tiki.Trace") -> "Tree":
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    from tiki.trace import describe  # noqa: PLC0415

    head = Text.assemble(f"{trace.plan.point.name}: ", (describe(trace.verdict), "bold"), (f"  {trace.place}", "dim"))
    tree = Tree(head, guide_style="dim")
    for one in trace.tried:
        _add(tree, one)
    if trace.untried:
        tree.add(Text(f"not tried: {', '.join(trace.untried)}", style="dim"))
    if trace.barred is not None:
        _add(tree.add(Text(str(trace.barred), style="red")), trace.barred.guard)
    return tree


def _candidate(one: "Considered") -> "Tree":
    from rich.text import Text  # noqa: PLC0415
    from rich.tree import Tree  # noqa: PLC0415

    first, *_ = one.text().splitlines()
    tree = Tree(Text(first, style="red" if one.forbidden else "green"), guide_style="dim")
    for guard in one.guards:
        _add(tree, guard)
    return tree


def _add(tree: "Tree", one: "Tried") -> None:
    from rich.text import Text  # noqa: PLC0415

    from tiki.trace import headline, sentence  # noqa: PLC0415

    branch = tree.add(Text(headline(one), style=_TONES[one.truth]))
    for step in one.steps:
        branch.add(Text(sentence(step), style=_TONES[step.truth]))
