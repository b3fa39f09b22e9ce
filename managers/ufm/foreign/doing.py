"""What the head's agent does for a foreign cluster: it looks, tells UFM, and drains and resumes nodes where the gate
released it.

A drain carries the decision, and one that does not is somebody else's: such a node is neither drained nor resumed here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol

import msgspec

from federation.effects import Doer, Order
from federation.errors import EliasError, Refused, Temporary
from federation.records import Outcome
from managers.ufm.foreign.node import ForeignNode, N, Source, Status


class Unanswered(Temporary):
    """A request took too long. Whether it was done is not known."""


class Cluster(Protocol[N]):
    """readonly: why ELIAS may change nothing there; empty where it may."""

    source: Source[N]
    readonly: str

    async def node(self, name: str) -> N:
        """As it is now. Raises Temporary where the cluster cannot be asked, Refused if it has none of that name."""
        ...

    async def drain(self, node: N, decision: str) -> None:
        """Raises Unanswered where it may have been done, Temporary where it was not."""
        ...

    async def resume(self, node: N) -> None:
        """Raises what `drain` does."""
        ...

    def drained(self, node: N, decision: str) -> bool:
        """Whether this decision drained it, and nobody has changed that."""
        ...


class Drain(Generic[N]):
    """Sets or lifts a drain."""

    def __init__(self, cluster: Cluster[N], on: bool) -> None:
        self.cluster = cluster
        self.on = on

    async def do(self, order: Order) -> Outcome:
        if self.cluster.readonly:
            return Outcome("refused", self.cluster.readonly)
        title = self.cluster.source.title
        try:
            node = await self._node(order)
        except (Refused, Temporary) as error:
            return Outcome("failed", f"nothing was asked of {title}: {error}")
        if node.status is (Status.DRAINED if self.on else Status.UP):
            return Outcome("done", "it was so before", told(node))
        if why := objection(node, title, on=self.on):
            return Outcome("refused", why, told(node))
        try:
            await (self.cluster.drain(node, order.decision) if self.on else self.cluster.resume(node))
        except Unanswered as error:
            return await self._found(order, Outcome("unknown", f"{error}; {title} may still do it", told(node)))
        except Temporary as error:
            return Outcome("failed", str(error), told(node))
        return Outcome("done", "", told(node))

    async def probe(self, order: Order) -> Outcome:
        return await self._found(order, Outcome("failed", "interrupted before it was done"))

    async def _found(self, order: Order, otherwise: Outcome) -> Outcome:
        """What a look at the node says came of it."""
        try:
            node = await self._node(order)
        except Refused as error:
            return Outcome("failed", str(error))
        except Temporary as error:
            return Outcome("unknown", str(error))
        done = self.cluster.drained(node, order.decision) if self.on else node.status is Status.UP
        return Outcome("done", "found so after an interruption", told(node)) if done else otherwise

    async def _node(self, order: Order) -> N:
        return await self.cluster.node(str(order.payload[self.cluster.source.name]))


def objection(node: ForeignNode, title: str, *, on: bool) -> str:
    """Why a drain must not be set or lifted; empty: nothing speaks against it."""
    if node.status is not (Status.UP if on else Status.DRAINED):
        by = f"{node.by}: {node.reason}" if node.reason else "no reason is given"
        return f"it is {node.state}, and not by ELIAS ({by})"
    return "" if on or node.answers else f"{title} does not hear of it"


def told(node: ForeignNode) -> dict[str, Any]:
    return {"state": node.state, "reason": node.reason}


class Elsewhere:
    """Where a cluster is not watched: an order on its way while the settings changed."""

    def __init__(self, source: Source[Any]) -> None:
        self._source = source

    async def do(self, order: Order) -> Outcome:
        name, title = self._source.name, self._source.title
        return Outcome("refused", f"this node does not watch {title}: see `{name}` in the settings")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", f"this node does not watch {self._source.title} any more")


class Either:
    """A node of a foreign cluster is drained there; any other one gets a cordon. there: by the cluster's name."""

    def __init__(self, here: Doer, there: Mapping[str, Doer]) -> None:
        self._here, self._there = here, there

    async def do(self, order: Order) -> Outcome:
        return await self._of(order).do(order)

    async def probe(self, order: Order) -> Outcome:
        return await self._of(order).probe(order)

    def _of(self, order: Order) -> Doer:
        return next((doer for name, doer in self._there.items() if name in order.payload), self._here)


async def watch(agent: Any, name: str, title: str, look: Callable[[], Awaitable[Any]], every: float) -> None:
    """Look once in `every` seconds, and tell UFM what was seen, or why nothing was."""
    told = ""
    while True:
        begun = asyncio.get_running_loop().time()
        seen, problem = None, ""
        try:
            seen = await look()
        except EliasError as error:
            problem = str(error)
        if problem != told:
            agent.log.warning("%s: %s", title, problem or "it can be read again")
        told = problem
        await agent.reporter.send(("ufm",), [{"node": agent.node, name: msgspec.to_builtins(seen), "problem": problem}])
        await asyncio.sleep(max(0.0, begun + every - asyncio.get_running_loop().time()))
