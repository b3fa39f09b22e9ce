"""What Prometheus' answers say of the nodes."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from managers.ufm.prometheus.facts import MEASURES, SIGNS, value_of

Samples = Mapping[str, tuple[float, ...]]
"""By the value of the label that names a node: the numbers of its series."""

_PORT = re.compile(r":\d+$")
_ADDRESS = re.compile(r"[\d.]+|.*:.*")


class Picture(msgspec.Struct, frozen=True):
    """nodes: by the name that Prometheus has for each, facts; a fact that is missing is unknown, None is absent.
    failed: what could not be asked, and why."""

    nodes: dict[str, dict[str, Any]]
    failed: dict[str, str] = {}


def picture(
    answers: Mapping[str, Samples | None],
    signs: Mapping[str, Samples | None],
    up: Samples,
    ages: Samples,
    max_age: float,
) -> dict[str, dict[str, Any]]:
    """Of each node that has targets, the facts. answers: by fact, and signs: by name, what was measured; None: it could
    not be asked. up: 1 for each target that was scraped, and 0 for one that was not. ages: seconds since that."""
    found = dict[str, dict[str, Any]]()
    for node, states in up.items():
        fresh = max(ages.get(node, (max_age + 1,))) <= max_age
        found[node] = _facts(node, answers, whole=all(states)) | _signs(node, signs) if fresh else {}
    return found


def _facts(node: str, answers: Mapping[str, Samples | None], *, whole: bool) -> dict[str, Any]:
    """whole: all of the node's targets were scraped, so what is missing is not there."""
    facts = dict[str, Any]()
    for fact in (measure.fact for measure in MEASURES):
        samples = answers.get(fact.name)
        if samples is None:
            continue
        values = [value for number in samples.get(node, ()) if (value := value_of(fact, number)) is not None]
        if values:
            facts[fact.name] = max(values)
        elif whole:
            facts[fact.name] = None
    return facts


def _signs(node: str, signs: Mapping[str, Samples | None]) -> dict[str, Any]:
    if any(samples is None for samples in signs.values()):
        return {}
    return {SIGNS.name: sorted(name for name, samples in signs.items() if samples and node in samples)}


def host_of(value: str, names: Mapping[str, str]) -> str:
    """The node that a value of the label means: `gpu-7:9100` is `gpu-7`."""
    plain = value.count(":") > 1 and not value.startswith("[")  # an address of IPv6 without a port
    host = value if plain else _PORT.sub("", value).strip("[]")
    return names.get(value) or names.get(host) or host


class Nodes:
    """Finds what Prometheus says of a node by its name, with or without the domain behind it."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self._short: dict[str, list[str]] = defaultdict(list)
        for name in known:
            self._short[_short(name)].append(name)

    def name_of(self, node: str) -> str | None:
        """None: Prometheus has none, or several, of that name."""
        if node in self._known:
            return node
        found = self._short.get(_short(node), [])
        return found[0] if len(found) == 1 and "." not in min(node, found[0], key=len) else None


def _short(name: str) -> str:
    return name if _ADDRESS.fullmatch(name) else name.partition(".")[0]
