"""The nodes and their GPUs, as their agents report them and as UFM places work on them."""

from collections.abc import Iterator
from typing import Any

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape
from managers.uim.skew import AGENT

STATUS = Family(
    "gauge",
    "elias_node_status",
    "1 for the status that the node has: up, drained, leaving; of other clusters also held, aside, down, unknown",
    ("node", "status"),
)
INFO = Family("gauge", "elias_node_info", "1, with the version of ELIAS that the node runs", ("node", "version"))
CLOCK = Family(
    "gauge", "elias_node_clock_seconds", "by which the clock of the node is ahead of that of the head", ("node",)
)
HEARD = Family("gauge", "elias_node_heard_seconds", "since the last report of the node was heard", ("node",))
MISSED = Family("gauge", "elias_node_missed_checks", "health checks in a row that it missed", ("node",))
CPU = Family("gauge", "elias_node_cpu_ratio", "CPU in use, 0 to 1", ("node",))
MEMORY = Family("gauge", "elias_node_memory_ratio", "memory in use, 0 to 1", ("node",))
DISK = Family("gauge", "elias_node_disk_ratio", "disk of the state folder in use, 0 to 1", ("node",))
GPU = Family("gauge", "elias_node_gpu_ratio", "mean load of its GPUs, 0 to 1", ("node",))
CPUS = Family("gauge", "elias_node_cpus", "CPUs that jobs may use", ("node",))
CPUS_FREE = Family("gauge", "elias_node_cpus_free", "those of them that no job holds", ("node",))
GPUS = Family("gauge", "elias_node_gpus", "GPUs that jobs may use", ("node",))
GPUS_FREE = Family("gauge", "elias_node_gpus_free", "those of them that no job holds; shares of one count", ("node",))
BYTES = Family("gauge", "elias_node_memory_bytes", "memory that jobs may use", ("node",))
BYTES_FREE = Family("gauge", "elias_node_memory_free_bytes", "what no job holds of that", ("node",))
GPU_BUSY = Family("gauge", "elias_gpu_busy_ratio", "load of one GPU, 0 to 1", ("node", "gpu"))
GPU_BYTES = Family("gauge", "elias_gpu_memory_bytes", "memory of one GPU", ("node", "gpu"))
GPU_BYTES_FREE = Family("gauge", "elias_gpu_memory_free_bytes", "what is free of that", ("node", "gpu"))

FAMILIES = (
    STATUS, INFO, CLOCK, HEARD, MISSED, CPUS, CPUS_FREE, GPUS, GPUS_FREE, BYTES, BYTES_FREE,
    CPU, MEMORY, DISK, GPU, GPU_BUSY, GPU_BYTES, GPU_BYTES_FREE,
)  # fmt: skip

_PERCENT = ((CPU, "cpu"), (MEMORY, "memory"), (DISK, "disk"), (GPU, "gpu"))
_PLACED = (
    (HEARD, "silence"), (MISSED, "missed"), (CPUS, "cpus"), (CPUS_FREE, "cpu_free"), (GPUS, "gpus"),
    (GPUS_FREE, "gpu_free"), (BYTES, "memory"), (BYTES_FREE, "memory_free"),
)  # fmt: skip
_CARDS = ((GPU_BUSY, "busy", 0.01), (GPU_BYTES, "memory_total", 1), (GPU_BYTES_FREE, "memory_free", 1))


def lines(scrape: Scrape) -> Iterator[str]:
    nodes: list[dict[str, Any]] = scrape.views.get("ufm", {}).get("nodes", [])
    reports = {str(node["name"]): node.get("report", {}) for node in nodes}
    yield from STATUS.of({(str(node["name"]), str(node["status"])): 1 for node in nodes})
    agents = {m.name.removeprefix(AGENT): m for m in scrape.members or () if m.name.startswith(AGENT)}
    known = {name: agents[name] for name in reports if name in agents}
    yield from INFO.of({(name, agent.elias): 1 for name, agent in known.items() if agent.elias})
    yield from CLOCK.of({(name,): agent.ahead for name, agent in known.items() if agent.ahead is not None})
    for family, key in _PLACED:
        yield from family.of({(str(node["name"]),): node[key] for node in nodes if node.get(key) is not None})
    for family, key in _PERCENT:
        told = {name: report.get(key) for name, report in reports.items()}
        yield from family.of({(name,): value / 100 for name, value in told.items() if value is not None})
    cards = {
        (name, str(index)): card
        for name, report in reports.items()
        for index, card in enumerate(report.get("gpus", ()))
    }
    for family, key, unit in _CARDS:
        yield from family.of({labels: card[key] * unit for labels, card in cards.items() if key in card})
