"""What the head's agent does for Slurm: it looks, tells UFM, and drains and resumes nodes where the gate released it.

A drain carries the decision as its reason, and a reason that is not ours, word for word, is somebody else's: such a
node is neither drained nor resumed here. Between that look and the change a few milliseconds pass; Slurm has no
request that does both.
"""

import asyncio
from typing import Any

import msgspec

from federation.effects import Doer, Order
from federation.errors import EliasError, Refused, Temporary
from federation.records import Outcome
from federation.runtime.session import Session
from managers.ufm import cordon
from managers.ufm.slurm.commands import Slurm, Unanswered
from managers.ufm.slurm.node import SlurmNode, Status, reason


class Drain:
    """Sets or lifts a drain in Slurm."""

    def __init__(self, slurm: Slurm, on: bool) -> None:
        self.slurm = slurm
        self.on = on

    async def do(self, order: Order) -> Outcome:
        if not self.slurm.settings.update:
            return Outcome("refused", "ELIAS only reads this Slurm: `slurm.update` names no command that changes nodes")
        name = str(order.payload["slurm"])
        try:
            node = await self.slurm.node(name)
        except (Refused, Temporary) as error:
            return Outcome("failed", f"nothing was asked of Slurm: {error}")
        if node.status is (Status.DRAINED if self.on else Status.UP):
            return Outcome("done", "it was so before", _told(node))
        if why := _objection(node, self.on):
            return Outcome("refused", why, _told(node))
        try:
            words = {"state": "drain", "reason": reason(order.decision)} if self.on else {"state": "resume"}
            await self.slurm.update(name, **words)
        except Unanswered as error:
            return await self._found(order, Outcome("unknown", f"{error}; Slurm may still do it", _told(node)))
        except Temporary as error:
            return Outcome("failed", str(error), _told(node))
        return Outcome("done", "", _told(node))

    async def probe(self, order: Order) -> Outcome:
        return await self._found(order, Outcome("failed", "interrupted before it was done"))

    async def _found(self, order: Order, otherwise: Outcome) -> Outcome:
        """What a look at the node says came of it."""
        try:
            node = await self.slurm.node(str(order.payload["slurm"]))
        except Refused as error:
            return Outcome("failed", str(error))
        except Temporary as error:
            return Outcome("unknown", str(error))
        drained = "DRAIN" in node.states and node.reason == reason(order.decision)
        done = drained if self.on else node.status is Status.UP
        return Outcome("done", "found so after an interruption", _told(node)) if done else otherwise


def _objection(node: SlurmNode, on: bool) -> str:
    """Why a drain must not be set or lifted; empty: nothing speaks against it."""
    if node.status is not (Status.UP if on else Status.DRAINED):
        by = f"{node.by}: {node.reason}" if node.reason else "no reason is given"
        return f"it is {'+'.join(node.states)}, and not by ELIAS ({by})"
    return "" if on or node.answers else "Slurm does not hear of it"


def _told(node: SlurmNode) -> dict[str, Any]:
    return {"state": "+".join(node.states), "reason": node.reason}


class Elsewhere:
    """Where Slurm is not watched: an order on its way while the settings changed."""

    async def do(self, order: Order) -> Outcome:
        return Outcome("refused", "this node does not watch Slurm: see `slurm` in the settings")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "this node does not watch Slurm any more")


class Either:
    """A node of Slurm's is drained in Slurm; any other one gets a cordon."""

    def __init__(self, here: Doer, there: Doer) -> None:
        self._here, self._there = here, there

    async def do(self, order: Order) -> Outcome:
        return await self._of(order).do(order)

    async def probe(self, order: Order) -> Outcome:
        return await self._of(order).probe(order)

    def _of(self, order: Order) -> Doer:
        return self._there if "slurm" in order.payload else self._here


def doers(agent: Any) -> dict[str, Doer]:
    """The cordons of this node; of the head's agent also drains in Slurm, which it then watches."""
    cordons = cordon.doers(agent)
    drain: Doer = Elsewhere()
    resume: Doer = Elsewhere()
    session = Session.of(agent.settings.state)
    if agent.settings.slurm.enabled and session is not None and session.head:
        slurm = Slurm(agent.settings.slurm)
        drain, resume = Drain(slurm, True), Drain(slurm, False)
        agent.spawn(watch(agent, slurm))
    return {
        "node.cordon": Either(cordons["node.cordon"], drain),
        "node.uncordon": Either(cordons["node.uncordon"], resume),
    }


async def watch(agent: Any, slurm: Slurm) -> None:
    """Look, and tell UFM what was seen, or why nothing was."""
    told = ""
    while True:
        picture, problem = None, ""
        try:
            picture = await slurm.look()
        except EliasError as error:
            problem = str(error)
        if problem != told:
            agent.log.warning("Slurm: %s", problem or "it can be read again")
        told = problem
        report = {"node": agent.node, "slurm": msgspec.to_builtins(picture), "problem": problem}
        await agent.send_reports(("ufm",), [report])
        await asyncio.sleep(slurm.settings.every)
