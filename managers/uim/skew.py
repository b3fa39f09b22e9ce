"""What the root supervisor knows of nodes by their agents: above all in what they differ from the head. Pure."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from federation.runtime.root import Member  # it imports Ray

MOST = 2.0  # seconds between two clocks; leases last 10, and what keeps a clock right keeps it within 0.1
AGENT = "agent."
"""How the names of node agents begin."""


def told(nodes: Iterable[Mapping[str, Any]], members: "Iterable[Member]", head: str) -> list[dict[str, Any]]:
    """Nodes as UFM shows them, and of each that has an agent: `head`, whether it is that; `elias`, the version that it
    runs; `clock`, by how many seconds it is `ahead` of the head's, give or take `within`; `unlike`, words on how those
    differ from the head, which runs this version."""
    agents = {member.name: member for member in members}
    top = agents["uim"].node if "uim" in agents else ""
    found = []
    for node in nodes:
        agent = agents.get(str(node.get("report", {}).get("actor", "")).removeprefix("elias."))
        if agent is None or not agent.name.startswith(AGENT):
            found.append(dict(node))
            continue
        known = agent.ahead is not None and agent.within is not None
        clock = {"ahead": agent.ahead, "within": agent.within} if known else None
        known_as = {"head": agent.node == top, "elias": agent.elias, "clock": clock}
        found.append({**node, **known_as, "unlike": _unlike(agent, head)})
    return found


def _unlike(agent: "Member", head: str) -> dict[str, str]:
    """By what differs: `elias`, `clock`."""
    words = {}
    if agent.elias and agent.elias != head:
        words["elias"] = f"it runs ELIAS {agent.elias}, and the head {head}"
    if agent.ahead is not None and abs(agent.ahead) - (agent.within or 0.0) > MOST:
        side = "ahead of" if agent.ahead > 0 else "behind"
        words["clock"] = f"its clock is {abs(agent.ahead):.1f} s {side} that of the head"
    return words
