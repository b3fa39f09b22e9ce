"""The one way in which a route says who may use it: `needs(Scope.CASES)`, or `needs()` for all who have signed in."""

from typing import Any

from fastapi import Depends
from starlette.requests import Request

from federation.errors import Bug, Refused
from managers.uim.access.person import Person, Scope


class Needs:
    """The dependency itself: the person of the request, or Refused where the scope is missing."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    def __call__(self, request: Request) -> Person:
        person = person_of(request)
        if self.scope is not None and not person.may(self.scope):
            what = f"{person.name} ({person.role}, by {person.via}) lacks the scope `{self.scope}`"
            cure = "an administrator gives it by another role: `elias accounts role NAME ROLE`"
            if person.via == "token":
                cure = f"use a token with it: `elias tokens new --scope {self.scope}`"
            raise Refused("forbidden", what, place=request.url.path, cure=cure)
        return person


def needs(scope: Scope | None = None) -> Any:
    """For `dependencies=[needs(...)]`, or `person: Annotated[Person, needs(...)]` where the name matters."""
    return Depends(Needs(scope))


def person_of(request: Request) -> Person:
    """Who the guard let in. A route that the guard leaves open has nobody, and must not ask."""
    person = getattr(request.state, "person", None)
    if not isinstance(person, Person):
        raise Bug(f"{request.url.path} asks for a person, but the guard leaves it open")
    return person
