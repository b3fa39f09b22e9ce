"""How a training is shown while it goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from managers.uim.cli.output import say

TOLD = 30.0  # seconds between lines where no terminal is


@contextmanager
def watched(first: str) -> Iterator[Callable[[float, str], None]]:
    """A bar with a text, `first` until there is another; a line now and then where no terminal is. What it gives takes
    the share that is done, 0 to 1, and the text."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    began = told = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=1.0)

        def shown(share: float, text: str) -> None:
            nonlocal told
            bar.update(task, completed=share, description=text)
            now = time.monotonic()
            if not console.is_terminal and now - told > TOLD:
                told = now
                say(f"{text}  {100 * share:.0f} % done, {(now - began) / 60:.1f} minutes")

        yield shown
