"""A process of its own that appends without end and prints the decisions of each batch once it was acknowledged.

python -m ledger.child URL NAME [middle | between]: it stops itself (SIGSTOP) in the middle of a commit, or between two.
"""

import itertools
import os
import signal
import sys

from federation.clock import SystemClock
from federation.errors import Fenced
from federation.ledger import engines
from federation.ledger.appender import Appender, Receipt
from federation.ledger.store import Store

from .kit import Writer, decided


def stop() -> None:
    print("stopped", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def stop_in_the_middle(commit: int) -> None:
    """After the guarded update of the lease and before the records."""
    insert, calls = engines.insert_records, itertools.count(1)

    def stopping(*arguments: object) -> None:
        if next(calls) == commit:
            stop()
        insert(*arguments)  # type: ignore[arg-type]

    engines.insert_records = stopping


def main(url: str, name: str, moment: str = "") -> None:
    if moment == "middle":
        stop_in_the_middle(5)
    appender = Appender(Store.open(url), SystemClock(), name)
    try:
        appender.open(force=True)
        writer = Writer(appender)
        for n in itertools.count():
            ids = [f"{name}-{n}-{k}" for k in range(20)]
            batch = writer.batch(*[entry for id in ids for entry in decided(id)])
            while not isinstance(appender.commit([batch])[0], Receipt):
                pass
            print(*ids, flush=True)
            if n == 3 and moment == "between":
                stop()
    except Fenced as error:
        print("fenced:", error, flush=True)
        sys.exit(3)


main(*sys.argv[1:])
