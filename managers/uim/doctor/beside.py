"""Work beside other work, none of which may hold anybody up."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
Tell = Callable[[int, int], None]


def beside(
    works: Sequence[Callable[[], _T]], patience: float, tell: Tell = lambda done, total: None
) -> list[_T | Exception]:
    """What each came to, in their order: its result, its error, or TimeoutError after `patience` seconds in all.

    What is late is left to end by itself, in a thread that does not keep the process.
    """
    found: list[_T | Exception] = [TimeoutError(f"not done after {patience:g} s") for _ in works]
    ended = threading.Semaphore(0)

    def run(at: int) -> None:
        try:
            result: _T | Exception = works[at]()
        except Exception as error:
            result = error
        if time.monotonic() < deadline:
            found[at] = result
        ended.release()

    deadline = time.monotonic() + patience
    for at in range(len(works)):
        threading.Thread(target=run, args=(at,), daemon=True).start()
    for done in range(1, len(works) + 1):
        if not ended.acquire(timeout=max(0.0, deadline - time.monotonic())):
            break
        tell(done, len(works))
    return list(found)
