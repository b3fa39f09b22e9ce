"""What a cluster has free for a peer, and whether a job fits into what a peer has free."""

from collections.abc import Iterable, Sequence

from federation.peers.messages import LABELS, ROOMS, Room, Work
from federation.peers.settings import Peer
from managers.ufm.peers.state import Guest
from managers.ufm.placement import Fleet, Free, Node, Request
from managers.ufm.placement.fleet import WHOLE


def fits(request: Request, rooms: Iterable[Room]) -> int:
    """How many of these have all that the request asks for."""
    return sum(_fits(request, room) for room in rooms)


def _fits(request: Request, room: Room) -> bool:
    gpus = room.share >= request.gpu_milli if request.shares else room.gpus >= request.gpus
    model = not request.models or not request.gpus or room.model in request.models
    labels = set(request.labels) <= set(room.labels)
    return gpus and model and labels and request.cpu_milli <= room.cpu_milli and request.memory <= room.memory


def free_for(peer: Peer, guests: Sequence[Guest], fleet: Fleet) -> tuple[Room, ...]:
    """What this peer may still use here: of its limits what its jobs leave, on the nodes that take its jobs. The
    largest rooms, each kind once."""
    if not peer.accepts or len(guests) >= peer.jobs:
        return ()
    gpus = peer.gpus - sum(guest.gpus for guest in guests)
    memory = peer.memory - sum(guest.memory for guest in guests)
    nodes = [node for node in fleet.nodes.values() if node.schedulable and set(peer.labels) <= set(node.labels)]
    rooms = {_room(node, fleet.free(node.name), gpus, memory) for node in nodes}
    ranked = sorted(rooms, key=lambda room: (-room.gpus, -room.share, -room.memory, -room.cpu_milli, room.model))
    return tuple(ranked[:ROOMS])


def _room(node: Node, free: Free, gpus: float, memory: int) -> Room:
    whole = sum(milli == WHOLE for milli in free.gpu_milli)
    share = min(max(free.gpu_milli, default=0), round(gpus * WHOLE))
    return Room(
        cpu_milli=max(0, free.cpu_milli),
        memory=max(0, min(free.memory, memory)),
        gpus=max(0, min(whole, int(gpus))),
        share=max(0, share),
        model=node.model[:100],
        labels=tuple(sorted(node.labels))[:LABELS],
    )


def objection(peer: Peer, guests: Sequence[Guest], work: Work) -> str:
    """Why a job of this peer is not taken, whatever is free; empty: nothing speaks against it."""
    if not peer.accepts:
        return "jobs of this peer are not run here"
    if len(guests) >= peer.jobs:
        return f"{len(guests)} of its jobs are here, and {peer.jobs} may be"
    gpus, memory = sum(guest.gpus for guest in guests), sum(guest.memory for guest in guests)
    if gpus + work.gpu > peer.gpus:
        return f"its jobs hold {gpus:g} GPUs here, and may hold {peer.gpus:g} together"
    if memory + work.memory > peer.memory:
        return f"its jobs hold {memory} bytes of memory here, and may hold {peer.memory} together"
    return ""
