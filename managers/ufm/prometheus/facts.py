"""The facts about a node that Prometheus knows, and the queries that ship for them.

Of several series of one node the largest counts: the fullest file system, the hottest GPU. The names of series are
those of node_exporter 1.5 and later, and of dcgm-exporter 4.5. What NVIDIA's list of counters leaves out
(`default-counters.csv`) is absent until somebody puts it in.
"""

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from federation.errors import Refused
from federation.targets import Prometheus
from tiki.schema import Fact, Type

BLANK = 2.0**62
"""DCGM says that a GPU has no such field by a number near 2^63, which older exporters hand on."""

_DISKS = 'fstype!~"tmpfs|ramfs|devtmpfs|squashfs|iso9660|erofs|overlay|fuse.*"'


class Measure(NamedTuple):
    fact: Fact
    query: str


MEASURES = (
    Measure(
        Fact(name="cpu_load", type=Type.NUMBER, doc="load over five minutes, per core; from Prometheus"),
        'node_load5 / count without (cpu, mode) (node_cpu_seconds_total{mode="idle"})',
    ),
    Measure(
        Fact(name="memory", type=Type.PERCENT, doc="memory in use; from Prometheus"),
        "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
    ),
    Measure(
        Fact(name="disk", type=Type.PERCENT, doc="its fullest file system; from Prometheus"),
        f"100 * (1 - node_filesystem_avail_bytes{{{_DISKS}}} / node_filesystem_size_bytes{{{_DISKS}}})",
    ),
    Measure(
        Fact(name="clock_offset", type=Type.DURATION, doc="how far its clock is off, either way; from Prometheus"),
        "abs(node_timex_offset_seconds)",
    ),
    Measure(
        Fact(name="oom_kills", type=Type.RATE, doc="processes ended for want of memory; from Prometheus"),
        "rate(node_vmstat_oom_kill[5m])",
    ),
    Measure(
        Fact(name="network_errors", type=Type.RATE, doc="broken packets of its worst interface; from Prometheus"),
        "rate(node_network_receive_errs_total[5m]) + rate(node_network_transmit_errs_total[5m])",
    ),
    Measure(
        Fact(name="gpu_temperature", type=Type.NUMBER, doc="degrees Celsius of its hottest GPU; from Prometheus"),
        "DCGM_FI_DEV_GPU_TEMP",
    ),
    Measure(
        Fact(name="gpu_memory", type=Type.PERCENT, doc="memory in use of its fullest GPU; from Prometheus"),
        "100 * DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
    ),
    Measure(
        Fact(name="gpu_xid", type=Type.COUNT, doc="number of a GPU's last XID error, 0 is none; from Prometheus"),
        "DCGM_FI_DEV_XID_ERRORS",
    ),
    Measure(
        Fact(name="gpu_ecc_errors", type=Type.COUNT, doc="double-bit errors of a GPU since it began; from Prometheus"),
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
    ),
    Measure(
        Fact(name="gpu_remapped_rows", type=Type.COUNT, doc="rows of a GPU that were beyond repair; from Prometheus"),
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    ),
    Measure(
        Fact(name="gpu_remap_failed", type=Type.FLAG, doc="a GPU has no rows left to replace others; from Prometheus"),
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
    ),
    Measure(
        Fact(name="gpu_power_slowed", type=Type.PERCENT, doc="time slowed for want of power; from Prometheus"),
        "100 * rate(DCGM_FI_DEV_POWER_VIOLATION[5m]) / 1e9",
    ),
    Measure(
        Fact(name="gpu_heat_slowed", type=Type.PERCENT, doc="time slowed because of heat; from Prometheus"),
        "100 * rate(DCGM_FI_DEV_THERMAL_VIOLATION[5m]) / 1e9",
    ),
)
SIGNS = Fact(name="signs", type=Type.LIST, doc="names under `prometheus.signs` whose query answers with the node")
FACTS = (*(measure.fact for measure in MEASURES), SIGNS)

Value = float | int | bool


def queries(settings: Prometheus) -> Mapping[str, str]:
    """By fact, what is asked. Raises Refused for a fact that no decision point has."""
    shipped = {measure.fact.name: measure.query for measure in MEASURES}
    for name in settings.facts:
        if name not in shipped:
            cure = f"there are {', '.join(shipped)}; what else you measure can be a sign"
            raise Refused("no-fact", f"no decision point has a fact `{name}`", place="prometheus.facts", cure=cure)
    return {name: query for name, query in (shipped | settings.facts).items() if query}


def value_of(fact: Fact, number: float) -> Value | None:
    """A sample in the unit of its fact; None: it says nothing."""
    low, high = fact.range
    if not isfinite(number) or abs(number) >= BLANK or not low <= number <= high:
        return None
    match fact.type:
        case Type.FLAG:
            return number != 0
        case Type.COUNT | Type.BYTES:
            return round(number)
        case _:
            return number
