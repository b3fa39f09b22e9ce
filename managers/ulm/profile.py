"""The data of `elias.component.profiled`: a component's profile, and what could be done about it."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from federation.errors import Refused
from federation.records import Candidate, Event
from managers.ulm.points import OPTIMISATIONS

_Share = Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
_Effort = Annotated[float, msgspec.Meta(ge=0.0)]


class Possibility(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """gain, confidence, risk: percent. effort: seconds of work. What is left out is unknown."""

    gain: _Share | msgspec.UnsetType = msgspec.UNSET
    confidence: _Share | msgspec.UnsetType = msgspec.UNSET
    effort: _Effort | msgspec.UnsetType = msgspec.UNSET
    risk: _Share | msgspec.UnsetType = msgspec.UNSET


class _Profile(msgspec.Struct, frozen=True):
    possibilities: Annotated[dict[str, Possibility], msgspec.Meta(min_length=1, max_length=len(OPTIMISATIONS))]


def possibilities(event: Event) -> Mapping[str, Possibility]:
    """By name. Raises Refused."""
    place, cure = f"event {event.id}: data.possibilities", f"the names are {', '.join(OPTIMISATIONS)}"
    if not event.subject:
        raise Refused("no-subject", "a profile is of a component", place=f"event {event.id}", cure="set `subject`")
    try:
        found = msgspec.convert(event.data, _Profile).possibilities
    except msgspec.ValidationError as error:
        cure = f'send {{NAME: {{"gain": %, "confidence": %, "effort": seconds, "risk": %}}}} as numbers; {cure}'
        raise Refused("bad-profile", str(error), place=place, cure=cure) from None
    unknown = sorted(set(found) - set(OPTIMISATIONS))
    if unknown:
        raise Refused("bad-profile", f"there is no optimisation `{unknown[0][:64]}`", place=place, cure=cure)
    return found


def facts(event: Event) -> dict[str, Any]:
    """What the event says, with the number of the possibilities in their place. Raises Refused."""
    return {**event.data, "possibilities": len(possibilities(event))}


def candidates(found: Mapping[str, Possibility]) -> list[Candidate]:
    """The largest expected gain first, and hold."""
    ranked = sorted(found.items(), key=lambda item: (-(item[1].gain or 0.0), item[0]))
    return [*(_candidate(what, possibility) for what, possibility in ranked), Candidate("hold")]


def _candidate(what: str, possibility: Possibility) -> Candidate:
    known = msgspec.to_builtins(possibility)
    return Candidate("optimise", {"what": what}, {f"change.{name}": value for name, value in known.items()})
