"""What an agent does to nodes: it keeps cordons; and the head's looks at what people already run, and drains there."""

from typing import Any

from federation.effects import Doer
from federation.runtime.session import Session
from managers.ufm import cordon
from managers.ufm.foreign.doing import Drain, Either, Elsewhere, watch
from managers.ufm.kubernetes.node import KUBERNETES
from managers.ufm.prometheus.watch import NAME, TITLE
from managers.ufm.slurm.commands import Slurm
from managers.ufm.slurm.node import SLURM


def doers(agent: Any) -> dict[str, Doer]:
    """The cordons of this node; of the head's agent also drains in the clusters that it then watches."""
    cordons = cordon.doers(agent)
    drains: dict[str, Doer] = {source.name: Elsewhere(source) for source in (SLURM, KUBERNETES)}
    resumes = dict(drains)
    session, settings = Session.of(agent.settings.state), agent.settings
    head = session is not None and session.head
    if head and settings.slurm.enabled:
        slurm = Slurm(settings.slurm)
        drains["slurm"], resumes["slurm"] = Drain(slurm, True), Drain(slurm, False)
        agent.spawn(watch(agent, "slurm", "Slurm", slurm.look, settings.slurm.every))
    if head and settings.kubernetes.enabled:
        # Here and below, because every agent imports this module, and aiohttp and httpx are 10 and 20 MB.
        from managers.ufm.kubernetes.api import Kubernetes  # noqa: PLC0415
        from managers.ufm.kubernetes.doing import KubeDrain  # noqa: PLC0415

        cluster = Kubernetes(settings.kubernetes)
        drains["kubernetes"] = KubeDrain(settings.kubernetes, True, agent.frozen)
        resumes["kubernetes"] = KubeDrain(settings.kubernetes, False, agent.frozen)
        agent.spawn(watch(agent, "kubernetes", "Kubernetes", cluster.look, settings.kubernetes.every))
    if head and settings.prometheus.url:
        from managers.ufm.prometheus.asking import Server  # noqa: PLC0415

        agent.spawn(watch(agent, NAME, TITLE, Server(settings.prometheus).look, settings.prometheus.every))
    return {
        "node.cordon": Either(cordons["node.cordon"], drains),
        "node.uncordon": Either(cordons["node.uncordon"], resumes),
    }
