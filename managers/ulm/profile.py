"""Reads what `ulm.optimisation` is asked: the profile of a component, and what could be done about it."""

from collections.abc import Iterable, Mapping
from typing import Any

from federation.errors import Refused
from federation.records import Candidate, Event
from managers.ulm.points import OPTIMISATION, OPTIMISATIONS
from tiki.compile import convert_fact
from tiki.schema import Fact
from tiki.values import suggest

_FIGURES = {
    figure: Fact(name=figure, type=a.type, doc=a.doc, minimum=a.minimum, maximum=a.maximum)
    for a in OPTIMISATION.schema.attributes
    for figure in (a.name.removeprefix("change."),)
}
_CURE = "see docs/learning.md for what the event holds"


def profile_facts(event: Event) -> dict[str, Any]:
    """The facts as they were sent, with the number of the possibilities in their place. Raises Refused."""
    return event.data | {"possibilities": len(profile_changes(event))}


def profile_changes(event: Event) -> list[Candidate]:
    """A candidate for each possibility that the event names, in the order of `ordered`. Raises Refused."""
    if not event.subject:
        raise Refused("no-subject", "a profile is of a component", place=f"event {event.id}", cure="set `subject`")
    named = event.data.get("possibilities")
    if not isinstance(named, Mapping) or not named:
        raise _refused(event, "", "not an object that names what could be done", _CURE)
    return ordered(_change(event, what, figures) for what, figures in named.items())


def change(what: str, figures: Mapping[str, Any]) -> Candidate:
    """figures: gain, confidence, risk in percent, effort in seconds; what nobody knows is left out."""
    return Candidate("optimise", {"what": what}, {f"change.{figure}": value for figure, value in figures.items()})


def ordered(changes: Iterable[Candidate]) -> list[Candidate]:
    """The largest expected gain first, ties by name."""
    return sorted(changes, key=lambda one: (-one.attributes.get("change.gain", 0.0), one.args["what"]))


def _change(event: Event, what: str, figures: Any) -> Candidate:
    if what not in OPTIMISATIONS:
        cure = suggest(what, OPTIMISATIONS) or f"there are {', '.join(OPTIMISATIONS)}"
        raise _refused(event, "", f"there is no optimisation `{what[:64]}`", cure)
    if not isinstance(figures, Mapping):
        raise _refused(event, f".{what}", "not an object", _CURE)
    return change(what, {name: _read(event, f".{what}", name, value) for name, value in figures.items()})


def _read(event: Event, place: str, name: str, value: Any) -> Any:
    if name not in _FIGURES:
        cure = suggest(name, _FIGURES) or f"there are {', '.join(_FIGURES)}"
        raise _refused(event, place, f"there is no figure `{name[:64]}`", cure)
    if value is None:
        raise _refused(event, f"{place}.{name}", "null says nothing", "leave out what nobody knows")
    try:
        return convert_fact(_FIGURES[name], value)
    except ValueError as error:
        raise _refused(event, f"{place}.{name}", str(error), _CURE) from None


def _refused(event: Event, place: str, message: str, cure: str) -> Refused:
    return Refused("bad-profile", message, place=f"event {event.id}: data.possibilities{place}", cure=cure)
