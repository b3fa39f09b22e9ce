"""The messages that wait, by target and subject, folded from the log. Times are ledger time, ns."""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator

import msgspec

from federation.clock import SECOND

DEAD_KEPT = 1000  # dead letters that are listed; older ones are on the ledger
FAILURES_KEPT = 1000  # a breaker cannot be set to more failures a minute
MINUTE = 60 * SECOND


class Message(msgspec.Struct):
    """id: the decision of the event that sent it; its body is in that record and nowhere else.

    attempts: that came to an end; `ended`, `failure`, `status`, `retry_after` (seconds): of the last one. pending: the
    decision whose attempt is on its way; case: the one that waits for somebody. quiet: not asked about until then.
    """

    id: str
    target: str
    subject: str
    priority: int
    accepted: int
    attempts: int = 0
    ended: int = 0
    failure: str = "none"
    status: int | None = None
    retry_after: float = 0.0
    pending: str = ""
    case: str = ""
    quiet: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        return -self.priority, self.accepted

    @property
    def free(self) -> bool:
        return not (self.pending or self.case)


Rests = Callable[[Message], bool]
"""Whether a message waits for the quiet hours of its target to end."""


def awake(_: Message) -> bool:
    return False


class Dead(msgspec.Struct, frozen=True):
    """A dead letter. at: when it was put aside."""

    id: str
    target: str
    subject: str
    priority: int
    attempts: int
    failure: str
    status: int | None
    at: int


class Target(msgspec.Struct):
    """lines: ids by subject, in the order of sending. failures: times of those in the last minute; streak: in a row."""

    lines: dict[str, list[str]] = {}
    depth: int = 0
    in_flight: int = 0
    failures: list[int] = []
    streak: int = 0
    delivered: int = 0

    def breaker(self, limit: int, now: int) -> str:
        """open: `limit` failures within the last minute; half_open: a minute after so many in a row, one attempt tells.

        After Nygard, Release It!
        """
        if sum(at > now - MINUTE for at in self.failures) >= limit:
            return "open"
        if self.streak >= limit:
            return "open" if self.in_flight or self.failures[-1] > now - MINUTE else "half_open"
        return "closed"


class Queue(msgspec.Struct):
    """messages: all that are neither delivered nor dead, by id."""

    messages: dict[str, Message] = {}
    targets: dict[str, Target] = {}
    dead: dict[str, Dead] = {}

    def add(self, message: Message) -> None:
        target = self.targets.setdefault(message.target, Target())
        self.messages[message.id] = message
        target.lines.setdefault(line_of(message.subject, message.id), []).append(message.id)
        target.depth += 1

    def remove(self, message: Message) -> None:
        target = self.targets[message.target]
        name = line_of(message.subject, message.id)
        line = target.lines[name]
        line.remove(message.id)
        if not line:
            del target.lines[name]
        target.depth -= 1
        del self.messages[message.id]

    def bury(self, message: Message, at: int) -> None:
        self.remove(message)
        self.dead[message.id] = Dead(
            message.id,
            message.target,
            message.subject,
            message.priority,
            message.attempts,
            message.failure,
            message.status,
            at,
        )
        if len(self.dead) > DEAD_KEPT:
            del self.dead[next(iter(self.dead))]

    def behind(self, message: Message, rests: Rests = awake) -> int:
        """Earlier messages of its line, without those that rest: what is urgent overtakes them."""
        target = self.targets.get(message.target)
        line = target.lines.get(line_of(message.subject, message.id), []) if target is not None else []
        if not line or line[0] == message.id:
            return 0
        earlier = line[: line.index(message.id)] if message.id in self.messages else line
        return sum(not rests(self.messages[id_]) for id_ in earlier)

    def heads(self, target: str, rests: Rests = awake) -> Iterator[Message]:
        """The first message of each line that does not rest, where nobody is busy with it."""
        for line in self.targets[target].lines.values():
            message = next((m for id_ in line if not rests(m := self.messages[id_])), None)
            if message is not None and message.free:
                yield message


def first(count: int, messages: Iterable[Message]) -> list[Message]:
    """Those that matter most, older ones before newer."""
    return heapq.nsmallest(count, messages, key=lambda m: m.rank)


def line_of(subject: str, message: str) -> str:
    """Messages of one subject keep their order; one without a subject stands for itself."""
    return subject or f"\n{message}"


def backoff(message: Message, initial: float, longest: float) -> float:
    """Seconds to wait after the last attempt: exponential, half of it jitter, and no less than the target asked for.

    The jitter follows from message and attempt, so that replay agrees.
    """
    if message.attempts == 0:
        return 0.0
    whole = min(longest, initial * 2.0 ** min(message.attempts - 1, 60))
    digest = hashlib.sha256(f"{message.id} {message.attempts}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return max(whole * (1 + share) / 2, message.retry_after)
