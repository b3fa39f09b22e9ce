"""What a channel gets, and what it says of it."""

from typing import Any, NamedTuple

from federation.records import Event

REFUSED, THROTTLED, SERVER, UNREACHABLE = "rejected", "throttled", "server", "unreachable"


class Delivery(NamedTuple):
    """id: of the message, the same at every attempt. event: that sent it."""

    id: str
    event: Event
    attempt: int

    @property
    def body(self) -> Any:
        return self.event.data["body"]


class Reply(NamedTuple):
    """What a target said. failure: one of the kinds of `ucm.delivery`; empty: it took the message. status: in the code
    of its protocol. retry_after: seconds that it asked for."""

    failure: str = ""
    detail: str = ""
    status: int | None = None
    retry_after: float | None = None
