"""What is due when about a group of cases: what ELIAS itself says of it, and whom it tells. Pure, on ledger time (ns).

Nobody has it: the people of its chain are told, step after step. Somebody was given it: that person is told, once.
Somebody has acknowledged it: nobody is told, until that person has been silent about it for too long.
"""

from typing import NamedTuple

from federation.clock import SECOND
from federation.escalation import Chain, Escalation, Route, Step
from federation.records import CaseWord
from managers.uim.cases.case import Group
from managers.uim.cases.priority import raised
from managers.uim.cases.schedules import on_call

ELIAS = "elias"  # who says what nobody has said


class Call(NamedTuple):
    """Somebody is to be told. problem: why that cannot be; then nobody is."""

    person: str
    through: str
    problem: str = ""


# -- what ELIAS says ------------------------------------------------------------------------------------------------


def next_remark(escalation: Escalation, group: Group) -> tuple[int, str] | None:
    """When which word is due: woken, raised, or returned."""
    if not group.cases:
        return None
    if group.snoozed:
        return group.snoozed, "woken"
    due = [] if group.raised else [(group.due, "raised")]
    if group.holder:
        forgotten = float(getattr(escalation.forgotten_after, group.priority))
        due.append((group.spoken + round(forgotten * SECOND), "returned"))
    return min(due, default=None)


def remark(group: Group, what: str, now: int) -> CaseWord:
    match what:
        case "raised":
            return CaseWord("raised", ELIAS, now, to=raised(group.priority), words="it was not answered in time")
        case "returned":
            return CaseWord("returned", ELIAS, now, to=group.holder, words="nothing was heard for too long")
    return CaseWord(what, ELIAS, now)


# -- whom it tells --------------------------------------------------------------------------------------------------


def next_call(escalation: Escalation, group: Group) -> int | None:
    """When people are to be told; None: as it stands, nobody is."""
    chain = chain_of(escalation, group)
    return None if chain is None else due_at(chain, group.since, group.step - group.first)


def calls(escalation: Escalation, group: Group, at: int) -> list[Call]:
    """Who is told in the step that is next."""
    chain = chain_of(escalation, group)
    if chain is None:
        return []
    found: list[Call] = []
    for name in chain.steps[(group.step - group.first) % len(chain.steps)].notify:
        found += _reach(escalation, name, at)
    return list(dict.fromkeys(found))


def chain_of(escalation: Escalation, group: Group) -> Chain | None:
    """Whose turn it is to be told of the group."""
    if not group.cases or group.snoozed or group.acknowledged:
        return None
    if group.holder:
        known = group.holder in escalation.people
        return Chain(steps=(Step(notify=(group.holder,)),), rounds=1) if known else None
    if group.chain in escalation.chains:
        return escalation.chains[group.chain]
    route = next((route for route in escalation.routes if _fits(route, group)), None)
    return escalation.chains[route.chain] if route else None


def due_at(chain: Chain, since: int, step: int) -> int | None:
    """When the step with that number is due, counted from 0 through all rounds; None: there is none any more."""
    round_, number = divmod(step, len(chain.steps))
    if round_ >= chain.rounds:
        return None
    whole = chain.steps[-1].after + chain.pause
    return since + round((round_ * whole + chain.steps[number].after) * SECOND)


def _reach(escalation: Escalation, name: str, at: int) -> list[Call]:
    person = name
    if name in escalation.schedules:
        person = on_call(escalation.schedules[name], at)
        if not person:
            return [Call("", "", f"nobody is on call in `{name}`")]
    return [Call(person, target) for target in escalation.people[person].through]


def _fits(route: Route, group: Group) -> bool:
    return route.cases in ("*", group.point, f"{group.manager}.*") and group.priority in route.priorities
