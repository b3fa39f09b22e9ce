"""Proofs in a process of their own: z3 may ignore its time-out, and may end the process that it runs in."""

import multiprocessing
import resource
import signal
from collections.abc import Callable
from math import ceil
from multiprocessing.connection import Connection
from typing import TypeVar

GRACE = 10
"""Seconds of computing time beyond those for proofs, for everything else that the work does."""

Step = Callable[[int, int], None]
"""Hears how much of how much is done."""

_T = TypeVar("_T")


def _silent(done: int, total: int) -> None:
    pass


def bounded(work: Callable[[float, Step], _T], seconds: float, step: Step = _silent, grace: int = GRACE) -> _T:
    """What `work(seconds, step)` gives, or raises, in a copy of this process. Where the copy ends without an answer, or
    by taking more than `seconds` and `grace` of computing time, what `work(0.0, step)` gives here: nothing proved."""
    if seconds == 0:
        return work(seconds, step)
    copies = multiprocessing.get_context("fork")  # it has everything that `work` refers to, and starts at once
    receiver, sender = copies.Pipe(duplex=False)
    process = copies.Process(target=_run, args=(work, seconds, ceil(seconds) + grace, sender), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            try:
                message = receiver.recv()
            except (EOFError, OSError):  # the second where it ended amid a message
                return work(0.0, step)
            match message:
                case ("done", answer):
                    return answer  # type: ignore[no-any-return]
                case ("raised", error):
                    raise error
                case ("step", done, total):
                    step(done, total)
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()


def _run(work: Callable[[float, Step], object], seconds: float, limit: int, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who awaits the answer is interrupted too, and ends this
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    try:
        answer = work(seconds, lambda done, total: sender.send(("step", done, total)))
        sender.send(("done", answer))
    except Exception as error:
        sender.send(("raised", error))
