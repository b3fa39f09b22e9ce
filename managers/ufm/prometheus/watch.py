"""What Prometheus says of nodes, at UFM. As telemetry, it is not on the log but in what was asked."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from federation.targets import Prometheus
from managers.ufm.foreign.watch import Sight
from managers.ufm.prometheus.picture import Nodes, Picture

NAME, TITLE = "prometheus", "Prometheus"


class PrometheusWatch:
    """The newest look. Where there is none that is new enough, nothing is known."""

    def __init__(self, settings: Prometheus) -> None:
        self.enabled = bool(settings.url)
        self._sight = Sight(settings.every)
        self._picture = Picture({})
        self._nodes = Nodes(())

    def hear(self, report: Mapping[str, Any], now: int) -> None:
        """The agent's report of a look: what it saw, or why it saw nothing."""
        seen = report[NAME]
        self._sight.hear(report, now, saw=seen is not None)
        if seen is not None:
            self._picture = msgspec.convert(seen, Picture)
            self._nodes = Nodes(self._picture.nodes)

    def facts(self, node: str, now: int) -> Mapping[str, Any]:
        """Of `ufm.node_health`; what is missing is unknown. node: by its own name, in whichever cluster it is."""
        if not self._sight.knows(now):
            return {}
        name = self._nodes.name_of(node)
        return {} if name is None else self._picture.nodes[name]

    def problems(self, now: int) -> Iterator[str]:
        if not self.enabled:
            return
        if problem := self._sight.problem(now):
            yield f"{TITLE} is out of sight, and facts from it are not known: {problem}"
        else:
            yield from (f"{TITLE} does not say what `{name}` is: {why}" for name, why in self._picture.failed.items())
