"""Facts and candidates as a person writes them on a command line: `memory=97%`, `migrate target.gpu_free=1`."""

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from federation.errors import Refused
from managers.uim.cli.specs.sources import read_text

if TYPE_CHECKING:
    import tiki


class Candidate(NamedTuple):
    """attributes: canonical values by name; None is absent."""

    action: str
    attributes: dict[str, Any]


def facts_of(program: "tiki.Program", words: Iterable[str]) -> "dict[str, tiki.Known]":
    """Canonical values by name; what is not named is unknown. Raises Refused.

    words: NAME=VALUE, a JSON file with the facts or with an event, or `-` for the same on standard input.
    """
    found: dict[str, tiki.Known] = {}
    named: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if equals:
            if name in named:
                what = f"`{name}` is named twice, as {named[name]} and as {value}"
                raise Refused("bad-fact", what, cure="leave one of them out")
            named[name] = value
            found |= fact_of(program, name, value)
        elif word == "-" or Path(word).suffix == ".json":
            for name, given in _object(word).items():
                found |= fact_of(program, name, given)
        else:
            raise Refused("bad-fact", f"`{word}` is not NAME=VALUE", cure="write `memory=97%`, or name a .json file")
    return found


def fact_of(program: "tiki.Program", name: str, value: Any) -> "dict[str, tiki.Known]":
    """One fact. Raises Refused."""
    from tiki import ABSENT, UNKNOWN  # noqa: PLC0415 - the parser takes a quarter of a second

    if name in {*(one.name for one in program.point.settings), *program.settings}:
        what = f"`{name}` is a setting: specs give its value, no event does"
        cure = f"write `- {name}: {value}` in a spec, or leave it out here"
        raise Refused("bad-fact", what, cure=cure)
    marks = {"absent": ABSENT, "unknown": UNKNOWN}
    try:
        return {name: program.parse_fact(name, marks.get(value, value) if isinstance(value, str) else value)}
    except ValueError as error:
        raise Refused(
            "bad-fact", str(error), cure=f"`elias tiki schema {program.point.name}` lists the facts"
        ) from None


def values_of(program: "tiki.Program", facts: "dict[str, tiki.Known]") -> "tuple[tiki.Known, ...]":
    """What a program takes: the facts in the order of the point."""
    import tiki  # noqa: PLC0415

    return tuple(facts.get(fact.name, tiki.UNKNOWN) for fact in program.point.facts)


def candidate_of(point: "tiki.Point", text: str) -> Candidate:
    """A candidate from `ACTION NAME=VALUE ...`; attributes that are not named are unknown. Raises Refused."""
    from tiki.values import canonical, closest  # noqa: PLC0415

    action, *words = shlex.split(text) or [""]
    actions = [one.name for one in point.actions]
    if action not in actions:
        near = closest(action, actions)
        cure = f"did you mean `{near}`?" if near else f"the actions are {', '.join(actions)}"
        raise Refused("no-action", f"`{action}` is not an action of {point.name}", place=text, cure=cure)
    carried = {one.name: one for one in point.attributes if action in one.actions}
    found: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in carried:
            near = closest(name, carried)
            cure = f"did you mean `{near}`?" if near else f"they carry {', '.join(carried) or 'none'}"
            raise Refused("no-attribute", f"candidates of {action} carry no `{name}`", place=text, cure=cure)
        if value == "unknown":
            continue
        one = carried[name]
        try:
            found[name] = None if value == "absent" else canonical(one.type, value, one.values)
        except ValueError as error:
            raise Refused("bad-attribute", f"{name}: {error}", place=text, cure="correct the value") from None
    return Candidate(action, found)


def _object(word: str) -> dict[str, Any]:
    text = sys.stdin.read() if word == "-" else read_text(Path(word))
    place = "standard input" if word == "-" else word
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Refused("bad-facts", f"this is not JSON: {error}", place=place, cure='write {"memory": "97%"}') from None
    if isinstance(found, dict) and isinstance(found.get("data"), dict):
        found = found["data"]
    if not isinstance(found, dict):
        raise Refused("bad-facts", "this is not an object of facts", place=place, cure='write {"memory": "97%"}')
    return found
