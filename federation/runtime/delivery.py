"""An order on its way to its executor: sent until it is answered, for its executor does it once however often it comes.

A manager that is away is asked less and less often, and each outage is told of once: its supervisor may have given it
up, which a person knows already, and it may be back after a week.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from federation.clock import SECOND, Clock
from federation.errors import Temporary
from federation.records import Outcome

SOON = 0.5  # seconds until an executor that does not answer is asked again, at first
SELDOM = 30.0  # and at most
OUTAGE = 5.0  # seconds without an answer that are worth a warning: a restart takes about 2


class Sleep(Protocol):
    async def __call__(self, seconds: float, /) -> None: ...


async def deliver(
    send: Callable[[], Awaitable[Outcome]],
    until: int | None,
    clock: Clock,
    log: logging.Logger,
    sleep: Sleep = asyncio.sleep,
) -> Outcome | None:
    """The answer. None: there was none.

    send: waits for it; raises Temporary where the executor is away. until: ledger time (ns) up to which it is sent
    again, every `SOON` seconds; None: without end, ever less often. sleep: of the clock.
    """
    pause, told, since = SOON, False, clock.now()
    while True:
        sent = clock.now()
        try:
            return await send()
        except Temporary as error:
            if clock.now() - sent > round(SELDOM * SECOND):  # it was there meanwhile: this is another outage
                pause, told, since = SOON, False, clock.now()
            if not told and clock.now() - since >= round(OUTAGE * SECOND):
                log.warning("%s; the order is sent again until it is answered", error)
                told = True
        if until is not None and clock.now() > until:
            return None
        await sleep(pause)
        if until is None:
            pause = min(2 * pause, SELDOM)
