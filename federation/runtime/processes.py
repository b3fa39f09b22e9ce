"""Named Ray actors and the processes behind them: made, found, asked for their pid and ended by it, on any node."""

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from federation.errors import Temporary
from federation.runtime.clockfilter import ClockFilter
from federation.runtime.roster import resolve
from federation.runtime.service import NAMESPACE, actor_name

_log = logging.getLogger("elias.root")


@dataclass(frozen=True, slots=True)
class ActorSpec:
    """What a child of the tree is made of.

    target: `package.module:Class`, an async actor with `ping`, `start`, `wait_closed`, `drain` and `health`. options:
    for Ray, such as a scheduling strategy. per_node: `name` is a supervisor of the tree, and below it one child is kept
    for every living node, named `<name>.<first 8 digits of the node id>`, which it is given as the argument `name`.
    Each has a supervisor of its own, like that one: an agent that fails on one node leaves the others alone.
    """

    name: str
    target: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    per_node: bool = False

    def on(self, node: str) -> "ActorSpec":
        """The spec of the child on this node (Ray's id)."""
        name = f"{self.name}.{node[:8]}"
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        return ActorSpec(
            name, self.target, {**self.kwargs, "name": name}, {**self.options, "scheduling_strategy": there}
        )


def at_home(spec: ActorSpec) -> ActorSpec:
    """The same, on the node of this process and nowhere else: its ledger and its folders are there."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return replace(spec, options={"scheduling_strategy": here, **spec.options})


@dataclass(eq=False, slots=True)
class Process:
    """The actor behind a child; `node` is Ray's id of its node. `adopted`: it was started by a root before this one.
    elias: the version that it runs; clock: of its machine, as its answers to pings tell."""

    handle: ActorHandle[Any]
    pid: int = 0
    node: str = ""
    adopted: bool = False
    elias: str = ""
    clock: ClockFilter = field(default_factory=ClockFilter)

    async def greet(self) -> None:
        """Learns from the process itself what it is: it answers."""
        told = await call(self.handle.ping)
        self.pid, self.elias = told["pid"], str(told.get("elias", ""))
        _, self.node = await asyncio.to_thread(_whereabouts, self.handle)

    async def end(self, here: str, patience: float) -> None:
        """Ends the process for good, a stopped one too, and returns when it is gone. `here`: the node of the caller."""
        pid, node = await asyncio.to_thread(_whereabouts, self.handle)
        pid, node = self.pid or pid, self.node or node
        with contextlib.suppress(ValueError, ray.exceptions.RayError):
            ray.kill(self.handle, no_restart=True)
        if not pid:
            return
        if node == here:
            await asyncio.to_thread(kill, pid, patience)
        elif node in await asyncio.to_thread(living_nodes):
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            work = ray.remote(kill).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            try:
                await asyncio.wait_for(call(work, pid, patience), 2 * patience)
            except (TimeoutError, ray.exceptions.RayError) as error:
                # A node that stopped answering: its epoch is fenced off, and it cannot be waited for.
                _log.error("process %d on node %s could not be ended: %s", pid, node, error)


async def find(name: str) -> Process | None:
    """The living actor of a child."""
    try:
        return Process(await asyncio.to_thread(ray.get_actor, actor_name(name), NAMESPACE))
    except ValueError:
        return None


async def actor_class(spec: ActorSpec) -> Any:
    """What `make` is called on; the import may take a while."""
    return ray.remote(await asyncio.to_thread(resolve, spec.target))


def make(cls: Any, spec: ActorSpec) -> Process:
    """A new actor that Ray will not restart. ActorAlreadyExistsError while Ray has not let go of the name."""
    options = {"num_cpus": 0, **spec.options}
    made = cls.options(
        name=actor_name(spec.name),
        namespace=NAMESPACE,
        lifetime="detached",
        max_restarts=0,
        max_task_retries=0,
        **options,
    )
    return Process(made.remote(**spec.kwargs))


async def call(method: Any, *args: Any) -> Any:
    """A remote call as a coroutine."""
    return await method.remote(*args)


def kill(pid: int, patience: float) -> None:
    """Kills the Ray worker under this pid of this machine, no other program. Temporary if it does not end."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if not process.name().startswith("ray::"):
            return
        process.send_signal(signal.SIGKILL)
        try:
            process.wait(patience)
        except psutil.TimeoutExpired as late:
            raise Temporary(f"process {pid} does not end") from late


def living_nodes() -> set[str]:
    """Ray's ids of the nodes that are alive."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]


def _whereabouts(handle: ActorHandle[Any]) -> tuple[int, str]:
    """The pid and node id of an actor as Ray has them; 0 and "" where it has no process."""
    info = ray._private.state.actors(handle._actor_id.hex())
    return int(info.get("Pid") or 0), str(info.get("Address", {}).get("NodeID", ""))
