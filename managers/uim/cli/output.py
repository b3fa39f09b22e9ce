"""How the commands speak: results on standard output, everything else on standard error; JSON for scripts."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for scripts.")]

_TONES = {
    "running": "green",
    "done": "green",
    "up": "green",
    "act": "yellow",
    "approve": "cyan",
    "waiting": "yellow",
    "failed": "red",
    "gave up": "red",
    "drained": "yellow",
}


def say(text: str) -> None:
    """A word on what goes on."""
    print(text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """The same of what goes on for days: with the time where nobody watches."""
    say(text if sys.stderr.isatty() else f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}")


def complain(message: str, place: str = "", cure: str = "") -> None:
    """A mistake: what, where, and what to do about it."""
    say(f"error: {message}")
    if place:
        say(f"  where: {place}")
    if cure:
        say(f"  cure: {cure}")


def emit(data: Any) -> None:
    """A result for scripts."""
    print(json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Rows for people; tab-separated where nobody looks."""
    found = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in found:
            print("\t".join(row))
        return
    if not found:
        print(empty)
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that scripts need not pay
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for row in found:
        shown.add_row(*(Text(cell, style=_TONES.get(cell, "")) for cell in row))
    Console().print(shown)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while long work reports `done, total`; silent where no terminal is."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def when(time: str) -> str:
    """An RFC 3339 time as the local time of day."""
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")


def arguments(action: str, args: dict[str, Any]) -> str:
    """`place(node=n1)`."""
    return f"{action}({', '.join(f'{k}={v}' for k, v in args.items())})" if args else action
