"""What the ledger's tests write with."""

from federation.ledger.appender import Appender, Batch, Receipt
from federation.records import Entry


def entry(
    kind: str, decision: str = "", *, point: str = "ufm.placement", attempt: int = 0, body: bytes = b"{}"
) -> Entry:
    return Entry(kind, point, "node-17", decision, body, attempt)


def decided(decision: str, *, point: str = "ufm.placement", attempt: int = 0) -> tuple[Entry, Entry]:
    """The two records of a decision."""
    body = b'{"decision":"%b"}' % decision.encode()
    return (
        entry("asked", decision, point=point, attempt=attempt, body=body),
        entry("answered", decision, point=point, attempt=attempt, body=body),
    )


class Writer:
    """A registered writer that counts its batches, as a manager does."""

    def __init__(self, appender: Appender, name: str = "ufm") -> None:
        self.appender = appender
        self.name = name
        self.incarnation = appender.register(name, {})
        self.number = 0

    def batch(self, *entries: Entry) -> Batch:
        batch = Batch(self.name, self.incarnation, self.number, list(entries))
        self.number += 1
        return batch

    def write(self, *entries: Entry) -> Receipt:
        (receipt,) = self.appender.commit([self.batch(*entries)])
        assert isinstance(receipt, Receipt), receipt
        return receipt
