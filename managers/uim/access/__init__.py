"""Who may do what: persons, the scopes of their roles, and the dependency by which a route names what it needs."""

from managers.uim.access.needs import Needs, NeedsRoute, needed, needs, person_of
from managers.uim.access.person import Person, Role, Scope

__all__ = ["Needs", "NeedsRoute", "Person", "Role", "Scope", "needed", "needs", "person_of"]
