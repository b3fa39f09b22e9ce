"""The node table: what every node has, what is reserved on it, and which nodes a request fits.

Columns are numpy arrays indexed by slot, so that scoring 1,213 nodes is one vectorised pass. A slot belongs to one
node until the node is removed. `changed` holds, for every slot, the number of its last change: whoever caches by slot
looks only at what is newer.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from federation.errors import Refused

WHOLE = 1000  # GPU-milli of one GPU
MOST = 1 << 53  # milli or bytes of anything, as sums must stay within 64 bits
MAX_GPUS = 64  # of one node; a report of more is taken for a mistake
ABSENT = -1  # in `gpu_free`, where the node has no such GPU

Slots = npt.NDArray[np.intp]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "changed": (np.int64, 0),
    "schedulable": (np.bool_, 0),
    "cpu_free": (np.int64, 0),
    "cpu_total": (np.int64, 0),
    "memory_free": (np.int64, 0),
    "memory_total": (np.int64, 0),
    "gpus": (np.int64, 0),
    "gpu_sum": (np.int64, 0),
    "gpu_free": (np.int64, ABSENT),
    "tenants": (np.int64, 0),
    "model": (np.int64, 0),
    "name_hash": (np.uint64, 0),
}


class Node(msgspec.Struct, frozen=True):
    """What a node has. cpu_milli: thousandths of a core; memory: bytes; labels: that jobs ask for; groups: for caps."""

    name: str
    cpu_milli: int
    memory: int
    gpus: int = 0
    model: str = ""
    schedulable: bool = True
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a node needs a name")
        if not (0 <= self.cpu_milli <= MOST and 0 <= self.memory <= MOST):
            raise ValueError(f"{self.name}: cpu_milli and memory must be 0 to 2^53")
        if not 0 <= self.gpus <= MAX_GPUS:
            raise ValueError(f"{self.name}: gpus must be 0 to {MAX_GPUS}, not {self.gpus}")


class Request(msgspec.Struct, frozen=True):
    """What a job needs. memory: bytes; gpu_milli: of each GPU, under 1000 with one only; models: allowed, empty: any.

    Raises ValueError where the numbers make no request.
    """

    cpu_milli: int
    memory: int
    gpus: int = 0
    gpu_milli: int = WHOLE
    models: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (0 <= self.cpu_milli <= MOST and 0 <= self.memory <= MOST):
            raise ValueError("cpu_milli and memory must be 0 to 2^53")
        if not 0 <= self.gpus <= MAX_GPUS:
            raise ValueError(f"gpus must be 0 to {MAX_GPUS}, not {self.gpus}")
        if not 1 <= self.gpu_milli <= WHOLE:
            raise ValueError(f"gpu_milli must be 1 to {WHOLE}, not {self.gpu_milli}")
        if self.gpu_milli < WHOLE and self.gpus != 1:
            raise ValueError(f"a share of {self.gpu_milli} GPU-milli needs gpus to be 1, not {self.gpus}")

    @property
    def shares(self) -> bool:
        """Whether it takes a part of one GPU."""
        return self.gpu_milli < WHOLE

    @property
    def total_gpu_milli(self) -> int:
        return self.gpus * self.gpu_milli


class Allocation(msgspec.Struct, frozen=True):
    """What `owner` holds on a node. gpus: indices; gpu_milli: of each of them."""

    owner: str
    node: str
    cpu_milli: int
    memory: int
    gpus: tuple[int, ...] = ()
    gpu_milli: int = WHOLE

    @property
    def tenant(self) -> int:
        """Column of `Fleet.tenants` that counts it: 0 shares a GPU, n takes n whole ones; only asked with GPUs."""
        return len(self.gpus) if self.gpu_milli == WHOLE else 0


class Free(msgspec.Struct, frozen=True):
    """What is left on a node; below zero where its totals shrank under what is reserved. gpu_milli: of each GPU."""

    cpu_milli: int
    memory: int
    gpu_milli: tuple[int, ...]


class FleetState(msgspec.Struct, frozen=True):
    """A snapshot. Free amounts are not stored: they are the totals less the allocations."""

    nodes: tuple[Node, ...] = ()
    allocations: tuple[Allocation, ...] = ()


class Fleet:
    """Nodes and what is reserved on them. Every update costs O(what changed); memory is O(nodes + allocations).

    The columns are for reading; the methods change them. A vacant slot is not schedulable.
    """

    changed: Ints  # number of the slot's last change
    schedulable: Bools
    cpu_free: Ints
    cpu_total: Ints
    memory_free: Ints
    memory_total: Ints
    gpus: Ints
    gpu_sum: Ints  # free GPU-milli of all GPUs together
    gpu_free: Ints  # [slots, width] free GPU-milli of each GPU, ABSENT where the node has none
    tenants: Ints  # [slots, width + 1] allocations that share a GPU (column 0) or take n whole ones (column n)
    model: Ints  # index into `models`
    name_hash: npt.NDArray[np.uint64]

    def __init__(self) -> None:
        self.clock = 0  # number of the newest change
        self.layout = 0  # grows when names or totals change: every score may be another one then
        self.nodes: dict[str, Node] = {}
        self.models: dict[str, int] = {}
        self.allocations: dict[str, Allocation] = {}
        self._slot: dict[str, int] = {}
        self._name: list[str] = []
        self._held: list[dict[str, Allocation]] = []
        self._labels: list[frozenset[str]] = []
        self._vacant: list[int] = []
        self._rank: Ints | None = None
        self._grow(slots=16, width=8)

    def __len__(self) -> int:
        return len(self.nodes)

    def put(self, node: Node) -> None:
        """Adds the node, or gives a known one these totals, labels and flags; its allocations stay.

        The same node again changes nothing, so a heartbeat costs a comparison.
        """
        known = self.nodes.get(node.name)
        if known == node:
            return
        slot = self._slot[node.name] if known else self._take(node.name)
        if node.gpus > self.gpu_free.shape[1]:
            self._grow(slots=len(self.changed), width=node.gpus)
        self.nodes[node.name] = node
        self._labels[slot] = frozenset(node.labels)
        self.model[slot] = self.models.setdefault(node.model, len(self.models))
        self.schedulable[slot] = node.schedulable
        self.cpu_total[slot] = node.cpu_milli
        self.memory_total[slot] = node.memory
        self.gpus[slot] = node.gpus
        self._recount(slot, node)
        if known is None or (known.cpu_milli, known.memory, known.gpus) != (node.cpu_milli, node.memory, node.gpus):
            self.layout += 1

    def remove(self, name: str) -> tuple[Allocation, ...]:
        """Forgets the node; returns the allocations that went with it. An unknown name is no error: it is gone."""
        if name not in self.nodes:
            return ()
        slot = self._slot.pop(name)
        lost = tuple(self._held[slot].values())
        for allocation in lost:
            del self.allocations[allocation.owner]
        del self.nodes[name]
        self._held[slot] = {}
        self.schedulable[slot] = False
        self._name[slot] = ""
        self._vacant.append(slot)
        self._rank = None
        self.layout += 1
        self._touch(slot)
        return lost

    def reserve(self, owner: str, name: str, request: Request, gpus: Sequence[int] | None = None) -> Allocation:
        """Takes what the request needs; `gpus` as a proposal chose them, by default the tightest that fit.

        Raises Refused when the owner holds something already, the node is unknown, or the resources are not there now.
        """
        if owner in self.allocations:
            raise Refused(
                "placement.held", f"`{owner}` already runs on `{self.allocations[owner].node}`", cure="release it first"
            )
        if name not in self.nodes:
            raise Refused("placement.unknown_node", f"there is no node `{name}`", cure="propose again")
        slot = self._slot[name]
        chosen = self.choose_gpus(slot, request) if gpus is None else tuple(gpus)
        self._check(slot, request, chosen)
        allocation = Allocation(owner, name, request.cpu_milli, request.memory, chosen, request.gpu_milli)
        self.allocations[owner] = self._held[slot][owner] = allocation
        self._apply(slot, allocation, 1)
        self._touch(slot)
        return allocation

    def release(self, owner: str) -> Allocation | None:
        """Gives back what the owner holds; None when it holds nothing (released before, or its node was removed)."""
        allocation = self.allocations.pop(owner, None)
        if allocation is not None:
            slot = self._slot[allocation.node]
            del self._held[slot][owner]
            self._apply(slot, allocation, -1)
            self._touch(slot)
        return allocation

    def free(self, name: str) -> Free:
        """What is left on the node. Raises KeyError for an unknown one."""
        slot = self._slot[name]
        gpus = self.gpu_free[slot, : self.gpus[slot]].tolist()
        return Free(int(self.cpu_free[slot]), int(self.memory_free[slot]), tuple(gpus))

    def fits(self, request: Request, slots: Slots) -> Bools:
        """For each slot whether the request may run there now: CPU, memory, GPUs, model, labels, schedulable."""
        ok: Bools = self.schedulable[slots] & (self.cpu_free[slots] >= request.cpu_milli)
        ok &= self.memory_free[slots] >= request.memory
        if request.gpus:
            ok &= (self.gpu_free[slots] >= request.gpu_milli).sum(axis=1) >= request.gpus
        if request.models:
            allowed = [self.models[m] for m in request.models if m in self.models]
            ok &= np.isin(self.model[slots], allowed)
        if request.labels:
            wanted = frozenset(request.labels)
            known = len(self._labels)  # slots beyond it have never had a node
            ok &= np.fromiter((s < known and wanted <= self._labels[s] for s in slots.tolist()), np.bool_, len(slots))
        return ok

    def fits_on(self, request: Request, name: str) -> bool:
        """The same for one node by name; an unknown one does not fit. For the second check before an effect."""
        return name in self.nodes and bool(self.fits(request, np.array([self._slot[name]]))[0])

    def room_of(self, owner: str, request: Request) -> Free | None:
        """What is free on the owner's node beside what others hold; None where its request, with the GPUs that it was
        given, fits there no more. Raises KeyError where it holds nothing."""
        held = self.allocations[owner]
        slot = self._slot[held.node]
        self._apply(slot, held, -1)
        try:
            self._check(slot, request, held.gpus)
            return self.free(held.node) if self.fits_on(request, held.node) else None
        except Refused:
            return None
        finally:
            self._apply(slot, held, 1)

    def choose_gpus(self, slot: int, request: Request) -> tuple[int, ...]:
        """The tightest GPU for a share, else the first whole ones; fewer than asked for where it does not fit."""
        free = self.gpu_free[slot].tolist()
        fitting = [gpu for gpu, milli in enumerate(free) if milli >= request.gpu_milli]
        if request.shares:
            fitting.sort(key=free.__getitem__)
        return tuple(fitting[: request.gpus])

    def name(self, slot: int) -> str:
        return self._name[slot]

    def rank(self) -> Ints:
        """For each slot the place of its node's name in the sorted names: how ties are settled. Vacant slots: last."""
        if self._rank is None:
            order = sorted(range(len(self._name)), key=lambda s: (not self._name[s], self._name[s]))
            self._rank = np.empty(len(self.changed), np.int64)
            self._rank[order] = np.arange(len(order))
            self._rank[len(order) :] = len(order)
        return self._rank

    def to_state(self) -> FleetState:
        return FleetState(tuple(self.nodes.values()), tuple(self.allocations.values()))

    @classmethod
    def from_state(cls, state: FleetState) -> "Fleet":
        fleet = cls()
        for node in state.nodes:
            fleet.put(node)
        for allocation in state.allocations:
            slot = fleet._slot[allocation.node]
            fleet.allocations[allocation.owner] = fleet._held[slot][allocation.owner] = allocation
            fleet._apply(slot, allocation, 1)
        return fleet

    def _check(self, slot: int, request: Request, gpus: tuple[int, ...]) -> None:
        free = self.gpu_free[slot]
        if (
            self.cpu_free[slot] < request.cpu_milli
            or self.memory_free[slot] < request.memory
            or len(set(gpus)) != request.gpus
            or any(not 0 <= gpu < self.gpus[slot] or free[gpu] < request.gpu_milli for gpu in gpus)
        ):
            raise Refused(
                "placement.does_not_fit", f"`{self._name[slot]}` has no room for it any more", cure="propose again"
            )

    def _apply(self, slot: int, allocation: Allocation, sign: int) -> None:
        self.cpu_free[slot] -= sign * allocation.cpu_milli
        self.memory_free[slot] -= sign * allocation.memory
        for gpu in allocation.gpus:
            if gpu < self.gpus[slot]:  # the node may have come back with fewer
                self.gpu_free[slot, gpu] -= sign * allocation.gpu_milli
                self.gpu_sum[slot] -= sign * allocation.gpu_milli
        if allocation.gpus:
            self.tenants[slot, allocation.tenant] += sign

    def _recount(self, slot: int, node: Node) -> None:
        self.cpu_free[slot] = node.cpu_milli
        self.memory_free[slot] = node.memory
        self.gpu_free[slot] = ABSENT
        self.gpu_free[slot, : node.gpus] = WHOLE
        self.gpu_sum[slot] = WHOLE * node.gpus
        self.tenants[slot] = 0
        for allocation in self._held[slot].values():
            self._apply(slot, allocation, 1)
        self._touch(slot)

    def _touch(self, slot: int) -> None:
        self.clock += 1
        self.changed[slot] = self.clock

    def _take(self, name: str) -> int:
        if self._vacant:
            slot = self._vacant.pop()
        else:
            slot = len(self._name)
            if slot == len(self.changed):
                self._grow(slots=2 * slot, width=self.gpu_free.shape[1])
            self._name.append("")
            self._held.append({})
            self._labels.append(frozenset())
        self._name[slot] = name
        self._slot[name] = slot
        self.name_hash[slot] = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
        self._rank = None
        return slot

    def _grow(self, slots: int, width: int) -> None:
        """Makes room; the columns are replaced, their content stays."""
        for column, (dtype, fill) in _COLUMNS.items():
            wide = {"gpu_free": (slots, width), "tenants": (slots, width + 1)}
            shape = wide.get(column, (slots,))
            grown = np.full(shape, fill, dtype)
            old = getattr(self, column, None)
            if old is not None:
                grown[tuple(slice(length) for length in old.shape)] = old
            setattr(self, column, grown)
        self._rank = None
