"""A whole federation in one process, in charge of a folder: `python -m tests.federation.charge FOLDER NAME [WORD...]`.

It decides one event, which releases one effect, prints `released`, and lets the folder's executor do it. `stop`: it
stops itself (SIGSTOP) in between. `greeted`: it tells the executor of its epoch before anything else.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from federation.clock import SystemClock
from federation.effects import Executor, FreezeFlag, Order
from federation.errors import Fenced
from federation.gate import order_of
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.records import Event, Outcome
from federation.settings import Settings
from tests.federation.lab import Lab, bundle


class Diary:
    """A doer that writes down who acted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def do(self, order: Order) -> Outcome:
        with self.path.open("a") as file:
            file.write(order.subject + "\n")
        return Outcome("done")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown")


def main(folder: Path, name: str, *words: str) -> None:
    settings, clock = Settings(state=folder), SystemClock()
    diary = Diary(folder / "diary")
    executor = Executor(folder / "effects.db", {"furnace.cool": diary}, clock, FreezeFlag(folder))
    federation = LocalFederation([Lab(settings)], bundle(), Store.open(str(folder / "ledger.db")), clock, settings)
    gate = federation.gate
    if "greeted" in words:
        executor.greet(gate.epoch, gate.incarnation)
    federation.post([Event(f"hot {name}", "test", "lab.measured", name, None, {"heat": 95})])
    (wish,) = [wish for wish in gate.state.released.values() if wish.subject == name]
    print("released", flush=True)
    if "stop" in words:
        os.kill(os.getpid(), signal.SIGSTOP)
    outcome = asyncio.run(executor.perform(order_of(wish)))
    print(f"outcome {outcome.status}: {outcome.detail}".rstrip(": "), flush=True)
    try:
        federation.outcome(wish.decision, outcome)
        print("append done", flush=True)
    except Fenced:
        print("append fenced", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
