"""What the head's agent does for Kubernetes beside a cordon: it evicts the pods of a node that is drained, as far as
their budgets allow.

Evictions are asked for, never forced. What is on the node for good (a pod of a DaemonSet, a mirror pod) stays, and so
does what the settings do not name.
"""

import asyncio
from collections.abc import Collection, Mapping

from federation.effects import FreezeFlag, Order
from federation.errors import Refused, Temporary
from federation.records import Outcome
from federation.settings import KubernetesSettings
from managers.ufm.foreign.doing import Drain, told
from managers.ufm.foreign.node import Status
from managers.ufm.kubernetes.api import Kept, Kubernetes
from managers.ufm.kubernetes.node import KubePod

AGAIN = 5.0  # seconds between two rounds, as `kubectl drain` takes
LONGEST = 60.0  # seconds that the API server may ask for between two rounds
NAMED = 8  # pods that an outcome names


class KubeDrain:
    """Sets or lifts a cordon; where it is set, pods are evicted as well. again: seconds between two rounds."""

    def __init__(self, settings: KubernetesSettings, on: bool, frozen: FreezeFlag, again: float = AGAIN) -> None:
        self._settings = settings
        self._on = on
        self._frozen = frozen
        self._again = again
        self._doing: dict[str, asyncio.Future[Outcome]] = {}

    async def do(self, order: Order) -> Outcome:
        doing = self._doing[order.decision] = asyncio.ensure_future(self._do(order))
        try:
            return await doing
        finally:
            del self._doing[order.decision]

    async def probe(self, order: Order) -> Outcome:
        """Of a drain that goes on, what comes of it."""
        if order.decision in self._doing:
            return await asyncio.shield(self._doing[order.decision])
        async with Kubernetes(self._settings) as cluster:
            outcome = await Drain(cluster, self._on).probe(order)
            if outcome.status != "done" or not self._evicts:
                return outcome
            try:
                left = self._leaving(await cluster.pods(_name(order)))
            except Temporary as error:
                return Outcome("unknown", str(error))
            why = dict.fromkeys((pod.title for pod in left), "it was not evicted, or has not ended yet")
            return held_out("it was interrupted", why, outcome.data) if left else outcome

    @property
    def _evicts(self) -> bool:
        return self._on and bool(self._settings.evict)

    async def _do(self, order: Order) -> Outcome:
        async with Kubernetes(self._settings) as cluster:
            outcome = await Drain(cluster, self._on).do(order)
            if outcome.status != "done" or not self._evicts:
                return outcome
            return await self._empty(cluster, _name(order))

    async def _empty(self, cluster: Kubernetes, name: str) -> Outcome:
        """Evicts what may be, until it is gone, or for as long as the settings say."""
        clock = asyncio.get_running_loop().time
        deadline, asked, why = clock() + self._settings.patience, set[str](), dict[str, str]()
        data = dict[str, object]()
        while True:
            pause, problem = self._again, ""
            try:
                node, pods = await cluster.node(name), await cluster.pods(name)
                left, data = self._leaving(pods), {**told(node), "evicted": len(asked)}
                if node.status is not Status.DRAINED:
                    return Outcome("failed", "its cordon was lifted or taken over meanwhile", data)
                if not left:
                    return Outcome("done", _staying(pods, self._settings.evict), data)
                if self._frozen:
                    return held_out("effects were frozen meanwhile", dict.fromkeys((p.title for p in left), ""), data)
                why, after = await _round(cluster, left, asked)
                pause = max(pause, after)
            except (Refused, Temporary) as error:
                problem = str(error)
            if clock() + pause > deadline:
                patience = f"after {self._settings.patience:g} s"
                return held_out(f"{patience}: {problem}" if problem else patience, why, data)
            await asyncio.sleep(pause)

    def _leaving(self, pods: Collection[KubePod]) -> list[KubePod]:
        return [pod for pod in pods if not stays(pod, self._settings.evict)]


async def _round(cluster: Kubernetes, left: Collection[KubePod], asked: set[str]) -> tuple[dict[str, str], float]:
    """Asks once for each pod that was not asked for. What keeps each, and how many seconds the API server wants to be
    left alone."""
    why, longest = dict[str, str](), 0.0
    for pod in left:
        why[pod.title] = "it has not ended yet"
        if pod.ending or pod.uid in asked:
            continue
        try:
            if await cluster.evict(pod):
                asked.add(pod.uid)
        except Kept as kept:
            why[pod.title], longest = str(kept), max(longest, min(kept.after, LONGEST))
        except Temporary as error:
            why[pod.title] = str(error)
    return why, longest


def stays(pod: KubePod, evict: Collection[str]) -> str:
    """Why a drain leaves a pod where it is; empty: it is evicted. evict: as in the settings."""
    if pod.mirror or pod.keeper == "DaemonSet":
        return "it belongs to the node"
    if ("controlled" if pod.keeper else "bare") not in evict:
        return "a controller makes it anew" if pod.keeper else "nothing makes it anew"
    return "its `emptyDir` would be lost" if pod.local and "local" not in evict else ""


def held_out(when: str, why: Mapping[str, str], data: Mapping[str, object]) -> Outcome:
    """Of a drain that has cordoned its node and not emptied it. why: what keeps each pod, by its name."""
    there = f"; these pods are still there: {_named(why)}" if why else ""
    return Outcome("failed", f"it is cordoned; {when}{there}", {**data, "held": sorted(why)})


def _staying(pods: Collection[KubePod], evict: Collection[str]) -> str:
    """The pods that somebody may miss on another node."""
    why = {pod.title: stays(pod, evict) for pod in pods if not pod.mirror and pod.keeper != "DaemonSet"}
    return f"these pods stay: {_named(why)}" if why else ""


def _named(why: Mapping[str, str]) -> str:
    """The first few pods, with what keeps each."""
    named = [f"{title} ({why[title]})" if why[title] else title for title in sorted(why)[:NAMED]]
    more = [f"and {len(why) - NAMED} more"] if len(why) > NAMED else []
    return ", ".join(named + more)


def _name(order: Order) -> str:
    return str(order.payload["kubernetes"])
