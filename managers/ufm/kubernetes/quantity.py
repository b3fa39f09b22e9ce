"""Quantities as Kubernetes writes them (its reference, "Quantity"): `3920m`, `16Gi`, `1e3`, `0.5`."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import reduce

from managers.ufm.kubernetes.objects import Pod

Amounts = dict[str, float]
"""By the name of a resource: cores, bytes, devices."""

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIXES = {
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(1000)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


def quantity(text: str) -> float:
    """Raises ValueError for what is none."""
    match = _FORM.fullmatch(text)
    if match is None or len(text) > 64:
        raise ValueError(f"`{text[:64]}` is no quantity")
    return float(Decimal(match[1] + (match[2] or "")) * _SUFFIXES[match[3] or ""])


def amounts(written: Mapping[str, str]) -> Amounts:
    """Raises ValueError."""
    return {name: quantity(text) for name, text in written.items()}


def requested(pod: Pod) -> Amounts:
    """What the scheduler keeps for a pod: its containers and those beside them, or the most that its start takes if
    that is more, and its overhead. What the pod asks for as a whole counts instead. Raises ValueError."""
    beside, start = Amounts(), Amounts()
    for container in pod.spec.init_containers:
        asked = amounts(container.resources.requests)
        if container.restart_policy == "Always":  # it runs on beside the others (Kubernetes 1.29)
            beside = _added(beside, asked)
            start = _larger(start, beside)
        else:
            start = _larger(start, _added(beside, asked))
    runs = reduce(_added, (amounts(one.resources.requests) for one in pod.spec.containers), Amounts())
    found = _larger(_added(runs, beside), start) | amounts(pod.spec.resources.requests)
    return _added(found, amounts(pod.spec.overhead))


def _added(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in one | other}


def _larger(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in one | other}
