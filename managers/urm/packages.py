"""A package request, typed where it enters: the data of an `elias.package.requested` event, and what may come of it."""

from typing import Any, Literal

import msgspec

from federation.errors import Refused
from federation.records import Candidate, Event

ALTERNATES = 2  # other versions that are proposed

Distance = Literal["patch", "minor", "major"]

_CURE = (
    "send `package` and `version`, `alternates` as a list of {version, distance, conflicts, vulnerabilities}, and facts"
)


class Alternate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of the package that is at hand. distance: the first part of the version that differs."""

    version: str
    distance: Distance
    conflicts: int | None = None
    vulnerabilities: int | None = None


class PackageRequest(msgspec.Struct, frozen=True):
    """alternates: the one to be preferred first. What else an event's data has are facts."""

    package: str
    version: str
    alternates: list[Alternate] = []


def parse(event: Event) -> PackageRequest:
    """Raises Refused with the cure."""
    try:
        return msgspec.convert(event.data, PackageRequest)
    except msgspec.ValidationError as error:
        raise Refused("bad-package", str(error), place=f"event {event.id}: data", cure=_CURE) from None


def facts(event: Event) -> dict[str, Any]:
    parse(event)
    return {name: value for name, value in event.data.items() if name not in PackageRequest.__struct_fields__}


def proposals(request: PackageRequest) -> list[Candidate]:
    named = {"package": request.package, "version": request.version}
    return [
        Candidate("install", named),
        *(
            Candidate("alternate", {**named, "version": other.version}, _attributes(other))
            for other in request.alternates[:ALTERNATES]
        ),
        Candidate("verify", named),
        Candidate("deny", named),
        Candidate("hold"),
    ]


def _attributes(other: Alternate) -> dict[str, Any]:
    known = {"alternate.conflicts": other.conflicts, "alternate.vulnerabilities": other.vulnerabilities}
    return {"alternate.distance": other.distance, **{name: value for name, value in known.items() if value is not None}}
