"""The one reader of the log that makes spans of it. The ledger is its buffer: while nobody takes the spans it stays
where it is, and a file says where it was, so that after a restart nothing is missing.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from federation import privatefile
from federation.errors import EliasError
from federation.ledger.store import Store
from federation.records import Asked, Kind, Record, decode
from managers.uim.tracing.incoming import Incoming
from managers.uim.tracing.spans import ENDS, KINDS, Span, spans

EVERY = 1.0  # seconds between two looks at the log
CHUNK = 1000  # records made spans of and sent at a time
OPEN = 5000  # decisions under way whose records are at hand; those of others are read again

REST = 2.0  # times as long as a chunk took, until the next one while there are more

_log = logging.getLogger("elias.uim.tracing")

Export = Callable[[Sequence[Span]], bool]
"""Sends spans; whether they were taken. May wait for seconds."""


class Step(NamedTuple):
    """taken: whether somebody took what there was. more: there is more to send at once."""

    taken: bool
    more: bool


class Reader:
    """Blocking: call it from a thread."""

    def __init__(self, store: Store, place: Path, incoming: Incoming, export: Export) -> None:
        """place: the file with the seq of the last record of which all was sent; without one it begins at the end."""
        self._store, self._place, self._incoming, self._export = store, place, incoming, export
        self._open: OrderedDict[str, list[Record]] = OrderedDict()
        self._seq: int | None = None

    def look(self) -> bool:
        """Send what has ended since the last look; whether it was taken."""
        while (step := self.step()).more:
            pass
        return step.taken

    def step(self) -> Step:
        """One chunk of it."""
        if self._seq is None:
            self._seq = self._place_read()
        records = list(self._store.read(after=self._seq, limit=CHUNK))
        waiting = [self._incoming.spans.popleft() for _ in range(len(self._incoming.spans))]
        made = [*waiting, *(span for record in records for span in self._made(record))]
        if made and not self._export(made):
            self._open.clear()  # they are read again
            self._incoming.spans.extendleft(reversed(waiting))
            return Step(taken=False, more=False)
        if records:
            self._seq = records[-1].header.seq
            privatefile.write(self._place, str(self._seq).encode())
        return Step(taken=True, more=len(records) == CHUNK)

    async def follow(self) -> None:
        """For as long as it is not cancelled. What is far behind is caught up with in a part of the time: this process
        answers requests too."""
        now, away = asyncio.get_running_loop().time, False
        while True:
            begun, step = now(), Step(taken=True, more=False)
            try:
                step = await asyncio.to_thread(self.step)
            except EliasError:  # the ledger cannot be read now: the pages say so themselves
                self._open.clear()
            except Exception:  # a full disk, or what an exporter raises: traces must not end for that
                self._open.clear()
                step = Step(taken=False, more=False)
                if not away:
                    _log.exception("traces are not sent now")
            if not step.taken and not away:
                _log.warning("nobody takes the traces; they are sent when somebody does")
            away = not step.taken
            await asyncio.sleep(REST * (now() - begun) if step.more else EVERY)

    def _place_read(self) -> int:
        head = self._store.head().size
        with contextlib.suppress(FileNotFoundError, ValueError):
            return min(head, int(self._place.read_text()))
        return head

    def _made(self, record: Record) -> list[Span]:
        header = record.header
        if header.kind not in KINDS or not header.decision or not self._incoming.wanted(header.decision):
            return []
        if header.kind not in ENDS:
            self._open.setdefault(header.decision, []).append(record)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
            return []
        mine = [*self._open.pop(header.decision, ()), record]
        if header.kind == Kind.OUTCOME or mine[0].header.kind != Kind.ASKED:
            mine = [one for one in self._store.decision(header.decision) if one.header.seq <= header.seq]
        if mine[0].header.kind != Kind.ASKED:
            return []
        asked: Asked = decode(Kind.ASKED, mine[0].body)
        return list(spans(mine, self._incoming.parent(header.decision, asked.event.source)))
