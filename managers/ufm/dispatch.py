"""Reads what `ufm.dispatch` is asked: a task, and the nodes of the federation that might take it."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from federation.errors import Refused
from federation.records import Candidate, Event
from managers.ufm.points import DISPATCH
from tiki.compile import convert_fact, unknown_fact
from tiki.schema import Fact

NODES = 5  # that one event may list
NAME = 253  # characters of a node's name: a full DNS name

COUNTED = ("fitting", "starts_in")  # facts that no sender may give

_SIZES = {fact.name: fact for fact in DISPATCH.schema.facts if fact.name in ("vram", "data")}
_FIGURES = {
    figure: Fact(name=figure, type=a.type, doc=a.doc, minimum=a.minimum, maximum=a.maximum)
    for a in DISPATCH.schema.attributes
    for figure in (a.name.removeprefix("target."),)
}
_CURE = "see docs/dispatch.md for what the event holds"


def task_facts(event: Event) -> dict[str, Any]:
    """The facts of the task as they were sent, and what is counted over the listed nodes.

    Raises Refused for what `task_nodes` refuses, and for a size that is no number of bytes.
    """
    counted = next((name for name in COUNTED if name in event.data), None)
    if counted is not None:
        raise _refused(event, counted, f"`{counted}` is counted here", "leave it out")
    sent = {name: value for name, value in event.data.items() if name != "nodes"}
    sizes = {name: _read(event, name, fact, sent[name]) for name, fact in _SIZES.items() if name in sent}
    return sent | sizes | counts(sizes.get("vram"), sizes.get("data"), task_nodes(event))


def task_nodes(event: Event) -> list[Candidate]:
    """A candidate for each node that the event lists, in the order in which they are proposed. Raises Refused."""
    listed = event.data.get("nodes")
    if not isinstance(listed, list) or not 1 <= len(listed) <= NODES:
        raise _refused(event, "nodes", f"not a list of 1 to {NODES} nodes", f"list the best {NODES}; {_CURE}")
    nodes = [_node(event, f"nodes[{at}]", node) for at, node in enumerate(listed)]
    names = [node.args["node"] for node in nodes]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise _refused(event, "nodes", f"`{twice}` is listed twice", "list each node once")
    size = event.data.get("data")
    return ordered(nodes, None if size is None else _read(event, "data", _SIZES["data"], size))


def counts(vram: int | None, data: int | None, nodes: Sequence[Candidate]) -> dict[str, Any]:
    """`fitting`, and `starts_in` where one fits and it is known; both unknown where the need is."""
    if vram is None:
        return {}
    fitting = [node for node in nodes if node.attributes.get("target.vram_free", -1) >= vram]
    starts_in = min((_start(node, data) for node in fitting), default=inf)
    return {"fitting": len(fitting)} | ({"starts_in": float(round(starts_in))} if starts_in < inf else {})


def ordered(nodes: Sequence[Candidate], data: int | None) -> list[Candidate]:
    """Those first where the task could start first; where that is unknown last, ties by name."""
    return sorted(nodes, key=lambda node: (_start(node, data), node.args["node"]))


def _start(node: Candidate, data: int | None) -> float:
    """Seconds until its waiting work is done and the data is there; infinite where that is unknown."""
    wait, bandwidth = node.attributes.get("target.wait"), node.attributes.get("target.bandwidth")
    return inf if wait is None or bandwidth is None or data is None else float(wait + data / bandwidth)


def _node(event: Event, place: str, node: Any) -> Candidate:
    if not isinstance(node, Mapping):
        raise _refused(event, place, "not an object", _CURE)
    name = node.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= NAME:
        raise _refused(event, f"{place}.name", f"not a name of 1 to {NAME} characters", _CURE)
    figures = {}
    for key, value in node.items():
        if key in _FIGURES:
            figures[f"target.{key}"] = _read(event, f"{place}.{key}", _FIGURES[key], value)
        elif key != "name":
            try:
                unknown_fact(key, _FIGURES.values())
            except ValueError as error:
                raise _refused(event, place, str(error), "correct or leave it out") from None
    return Candidate("dispatch", {"node": name}, figures)


def _read(event: Event, place: str, figure: Fact, value: Any) -> Any:
    if value is None:
        raise _refused(event, place, "null says nothing", "0 where there is none; leave it out where nobody knows")
    try:
        return convert_fact(figure, value)
    except ValueError as error:
        raise _refused(event, place, str(error), _CURE) from None


def _refused(event: Event, place: str, message: str, cure: str) -> Refused:
    return Refused("bad-task", message, place=f"event {event.id}: data.{place}", cure=cure)
