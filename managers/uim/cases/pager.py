"""Has people told of what waits for them: by ordinary messages, which UCM delivers.

The id of a message says group, step, person and target. Whoever dies between sending and recording sends it again after
the restart, and UCM knows it by that id: so nobody is told twice, or never.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from federation.errors import EliasError, Temporary
from federation.manager import Emission
from federation.records import Event
from federation.replies import Rejected, Reply
from federation.runtime.link import Link
from managers.uim.cases.book import Book
from managers.uim.cases.case import Group
from managers.uim.cases.escalation import Call, calls
from managers.uim.manager import Uim
from managers.uim.reading import iso

NAMED = 8  # subjects that a message names
_events = msgspec.msgpack.Encoder()
_replies = msgspec.msgpack.Decoder(list[list[Reply] | Rejected])


class Host(Protocol):
    """UIM around its book."""

    @property
    def uim(self) -> Uim: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]": ...

    async def note(self, make: Callable[[int], list[Emission]]) -> None:
        """Record what `make` gives at a ledger time (ns)."""
        ...


class Pager:
    """To be asked to `look` at every tick. What could not be sent is tried again at the next one."""

    def __init__(self, host: Host, link: Link) -> None:
        self._host = host
        self._link = link
        self._due: set[str] = set()
        self._paging: asyncio.Task[None] | None = None

    def look(self, now: int) -> None:
        """Have told who is to be told by now, without waiting for it."""
        self._due.update(self._host.uim.calls.pop(now))
        if self._due and (self._paging is None or self._paging.done()):
            self._paging = self._host.spawn(self._page(now))

    async def _page(self, now: int) -> None:
        try:
            while self._due:
                id = next(iter(self._due))
                group = self._host.uim.book.state.groups.get(id)
                if group is not None:
                    await self._tell(group, now)
                self._due.discard(id)
        except Temporary:
            pass  # UCM or the ledger is away: the next tick tries again

    async def _tell(self, group: Group, now: int) -> None:
        step, book = group.step, self._host.uim.book
        told = []
        for call in calls(book.escalation, group, now):
            problem = call.problem or await self._send(book, group, call)
            told.append(call._replace(problem=problem))
        await self._host.note(lambda now: self._host.uim.called(group, step, told, now) if told else [])

    async def _send(self, book: Book, group: Group, call: Call) -> str:
        """Why it will never be sent; empty: it will."""
        try:
            raw = await self._link.call("ucm", "submit", _events.encode([message(book, group, call)]))
        except Temporary:
            raise
        except EliasError as error:
            return str(error)
        (answer,) = _replies.decode(raw)
        return answer.message if isinstance(answer, Rejected) else ""


def message(book: Book, group: Group, call: Call) -> Event:
    """What a person is told of a group, as an event for UCM."""
    shown, _ = book.cases(group, limit=NAMED)
    subjects = ", ".join(case.subject for case in shown) + (", ..." if len(group.cases) > NAMED else "")
    count = len(group.cases)
    fields = {
        "priority": group.priority,
        "cases": str(count),
        "answer with": ", ".join(group.actions),
        "answer by": iso(group.due),
        "answered by itself at": iso(book.until(group)),
    }
    body = {
        "title": f"{group.priority}: {group.point}, {shown[0].subject if count == 1 else f'{count} cases'}"[:200],
        "text": f"{subjects}\n{shown[0].reason}"[:2000],
        "link": f"/cases/{group.id}",
        "fields": {name: value[:200] for name, value in fields.items()},
    }
    data = {"target": call.through, "priority": group.priority, "type": "elias.case", "body": body}
    id = f"notify {group.id} {group.step} {call.person} {call.through}"
    return Event(id, "elias/uim", "elias.message.send", f"case {group.id}", None, data)
