"""A machine starts its ELIAS anew: how the order reaches the process that has to, and how that becomes itself again.

The agent of a node is of the Ray that is to end, so it only hands the order on, by a file, to the `elias up` or `elias
join` that keeps this machine in its cluster. That one takes it, has the node end its jobs, and then runs its command
anew: with the ELIAS that is installed by then.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from federation import privatefile
from federation.effects import Doer, Order
from federation.records import Outcome

ORDERED, TAKEN = "restart", "restart.taken"
"""In the folder of a node: the newest order, before and after the keeper has taken it."""
TAKES = 10.0  # seconds for which the keeper is waited for; it looks twice a second
LOOK = 0.1  # seconds between two looks at whether it has

_MARK = "ELIAS_RESUMED"
RESUMED = bool(os.environ.pop(_MARK, ""))
"""Whether this process runs its command anew."""
# As this process got it: whoever connects to Ray adds what is of that Ray alone.
_ENVIRONMENT = {**os.environ, _MARK: "1"}


class Wanted(msgspec.Struct, frozen=True):
    """decision: that orders it. patience: seconds that the jobs of the node have to end."""

    decision: str
    patience: float


class Again(Exception):
    """This process is to run its command anew: it has been told to, and nothing runs here any more."""


def take(folder: Path) -> Wanted | None:
    """The order that lies in the folder of a node, once; None: there is none."""
    with contextlib.suppress(FileNotFoundError):
        (folder / ORDERED).replace(folder / TAKEN)
        return _read(folder / TAKEN)
    return None


def forget(state: Path) -> None:
    """Orders to what ran here before."""
    for path in state.glob(f"nodes/*/{ORDERED}"):
        path.unlink(missing_ok=True)


def again(command: list[str]) -> NoReturn:
    """Run this in the place of this process: whoever watches it sees the same process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606


class Restart:
    """Hands the order on. Whether the node came back is for whoever ordered it to see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def do(self, order: Order) -> Outcome:
        wanted = Wanted(order.decision, float(order.payload["patience"]))
        privatefile.write(self._folder / ORDERED, msgspec.json.encode(wanted))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKES):
                while not self._taken(order):
                    await asyncio.sleep(LOOK)
        (self._folder / ORDERED).unlink(missing_ok=True)
        if self._taken(order):
            return Outcome("done", "it starts anew once its jobs have ended")
        return Outcome("failed", "no `elias up` or `elias join` here took the order; is it of an older version?")

    async def probe(self, order: Order) -> Outcome:
        if self._taken(order):
            return Outcome("done", "found taken after an interruption")
        return Outcome("unknown", "interrupted; what the node runs shows whether it was started anew")

    def _taken(self, order: Order) -> bool:
        found = _read(self._folder / TAKEN)
        return found is not None and found.decision == order.decision


def doers(agent: Any) -> dict[str, Doer]:
    return {"node.restart": Restart(agent.folder)}


def _read(path: Path) -> Wanted | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Wanted)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
