"""The aliases of the registered model that the record calls for: `champion-uam-restart`, `challenger-uam-restart`."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from federation.policy.promotions import Promotion, Registered
from federation.policy.registry import Line, standing
from federation.policy.tier import CHALLENGER, CHAMPION
from federation.records import Kind, Record, decode


class Registry(NamedTuple):
    """policies: by version, in the order in which they came. lines: by point."""

    policies: dict[str, Registered]
    lines: dict[str, Line]


class Changes(NamedTuple):
    """set: version by alias. dropped: aliases that stand for nothing any more."""

    set: dict[str, str]
    dropped: list[str]


def folded(records: Iterable[Record]) -> Registry:
    """records: of policies and promotions, in the order of the log."""
    policies: dict[str, Registered] = {}
    promotions: list[tuple[str, Promotion]] = []
    for record in records:
        body = decode(record.header.kind, record.body)
        if record.header.kind == Kind.POLICY:
            policies[body.policy] = body
        else:
            promotions.append((record.header.point, body))
    return Registry(policies, standing(promotions))


def aliases(lines: Mapping[str, Line]) -> dict[str, str]:
    """Version of a policy by alias. A point at which the policy of the settings answers has no champion here."""
    found = {alias(CHAMPION, point): line.champion for point, line in lines.items() if line.champion}
    tried = {alias(CHALLENGER, point): line.trial.challenger for point, line in lines.items() if line.trial is not None}
    return found | tried


def alias(role: str, point: str) -> str:
    """MLflow allows letters, digits, `_` and `-`; a point has no `-`."""
    return f"{role}-{point.replace('.', '-')}"


def changes(has: Mapping[str, str], wanted: Mapping[str, str], points: Iterable[str]) -> Changes:
    """has: of MLflow, version of a policy by alias. points: on record; aliases of none of them are people's."""
    ours = {alias(role, point) for role in (CHAMPION, CHALLENGER) for point in points}
    return Changes(
        {name: version for name, version in wanted.items() if has.get(name) != version},
        sorted(name for name in has if name in ours and name not in wanted),
    )
