"""A person as a request shows it: a name, a role, and what may be done under it."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a route asks for, and a token may be limited to."""

    READ = "read"  # see everything but accounts
    EVENTS = "events"  # send events to be decided: jobs, messages, what a monitor saw
    CASES = "cases"  # answer cases
    CONTROL = "control"  # freeze, modes, applications
    BUNDLES = "bundles"  # put specs in force
    ACCOUNTS = "accounts"  # who may come in, and as what


class Role(StrEnum):
    VIEWER = "viewer"
    AUTHOR = "author"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def scopes(self) -> frozenset[Scope]:
        return _SCOPES[self]


_SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.AUTHOR: frozenset({Scope.READ, Scope.BUNDLES}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.EVENTS, Scope.CASES, Scope.CONTROL}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True)
class Person:
    """Who sends a request. via: `session`, `token`, or `first-day token`, that of the state folder.

    scopes: those of the role, or the fewer ones of a token. account: empty for the owner of the state folder, who has
    none and goes by the name of their user on that machine.
    """

    name: str
    role: Role
    scopes: frozenset[Scope]
    via: str
    account: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes
