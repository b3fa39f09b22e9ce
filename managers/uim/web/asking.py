"""What a person asks for by a form is an event like any other, decided by the rules in force."""

import uuid
from typing import Any

from fastapi import Request

from federation.errors import Refused, Temporary
from federation.records import Event
from federation.replies import Rejected
from managers.uim.access import Person
from managers.uim.api import context


async def ask(request: Request, person: Person, type_: str, subject: str, data: dict[str, Any]) -> str:
    """What was decided, in words. Raises Refused or Temporary where it was not taken."""
    event = Event(uuid.uuid4().hex, f"elias/page/{person.name}", type_, subject, None, data)
    (result,) = await context.of(request).lanes.decide([event])
    if isinstance(result, Rejected):
        if result.status == 503:
            raise Temporary(result.message)
        raise Refused(result.code, result.message, place=result.place, cure=result.cure)
    return "; ".join("waits as a case" if r.status == "waiting" else f"decided to {r.action}" for r in result)
