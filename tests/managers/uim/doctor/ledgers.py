"""A ledger for those who look at one."""

import os

from federation.clock import SystemClock
from federation.ledger.appender import Appender
from federation.ledger.store import Store


def left(url: str) -> None:
    """With a few records, as an appender left it."""
    store = Store.open(url)
    appender = Appender(store, SystemClock(), f"pid {os.getpid()}")
    epoch = appender.open()
    appender.tick()
    store.release(epoch)
    store.close()
