"""The recent load of every node, sampled while ELIAS runs: raw telemetry is not on the ledger."""

import asyncio
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any

from federation.errors import EliasError
from federation.runtime.link import Link

EVERY = 10.0  # seconds between two samples
KEPT = 180  # samples of a node: half an hour
NODES = 2000  # that are followed; 180 samples of four figures are 3 kB each
FIGURES = ("cpu", "memory", "disk", "gpu")


class Trends:
    """By node, percent of each of `FIGURES`; NaN where the node did not say."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._samples: dict[str, deque[array[float]]] = {}

    def of(self, node: str) -> Mapping[str, list[float | None]]:
        """Oldest first; a figure that was never there is left out."""
        samples = self._samples.get(node, ())
        series = {
            name: [None if sample[i] != sample[i] else sample[i] for sample in samples]
            for i, name in enumerate(FIGURES)
        }
        return {name: values for name, values in series.items() if any(v is not None for v in values)}

    def take(self, nodes: list[dict[str, Any]]) -> None:
        gone = self._samples.keys() - {str(node["name"]) for node in nodes}
        for name in gone:
            del self._samples[name]
        for node in nodes[:NODES]:
            report = node.get("report", {})
            figures = array("f", [_number(report.get(name)) for name in FIGURES])
            self._samples.setdefault(str(node["name"]), deque(maxlen=KEPT)).append(figures)

    async def follow(self) -> None:
        """For as long as it is not cancelled."""
        while True:
            try:
                self.take((await self._link.call("ufm", "view", patience=2.0)).get("nodes", []))
            except EliasError:
                self.take([])
            await asyncio.sleep(EVERY)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
