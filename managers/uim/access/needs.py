"""The one way in which a route says who may use it: `needs(Scope.CASES)`, or `needs()` for all who have signed in."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from federation.errors import Bug, Refused
from managers.uim.access.person import Person, Scope

Endpoint = Callable[[Request], Awaitable[Response]]


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


class NeedsRoute(Route):
    """A route below FastAPI that says what it needs."""

    def __init__(self, path: str, endpoint: Endpoint, needed: Needs, method: str) -> None:
        async def checked(request: Request) -> Response:
            needed(request)
            return await endpoint(request)

        super().__init__(path, checked, methods=[method])
        self.needed = needed


def needed(route: BaseRoute) -> Needs | None:
    """What a route says that it needs; None: it says nothing."""
    if isinstance(route, NeedsRoute):
        return route.needed
    calls = _calls(route.dependant) if isinstance(route, APIRoute) else iter(())
    return next((call for call in calls if isinstance(call, Needs)), None)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)
