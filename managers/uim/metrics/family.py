"""One family of figures: its name, unit and labels, declared once, and its lines from plain data.

Source: Prometheus's text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Written here, for
of a thousand nodes there are 40,000 lines, and one takes 1 us instead of the 5 that a library for any client takes.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Literal, NamedTuple

Labels = tuple[str, ...]
Plain = Mapping[str, Any]
"""A `federation.figures.Histogram` as plain data."""


class Family(NamedTuple):
    """name: as on the page; that of a counter ends in `_total`. labels: every one of them takes few values: points,
    actions, processes, nodes, targets; never the id of a decision, a job or a message."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: Labels = ()

    def of(self, values: Mapping[Labels, float | Plain]) -> Iterator[str]:
        """values: by the labels' values, in their order; of a histogram the plain data of each."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        shape = _shape(self.name, self.labels)
        for given, value in values.items():
            if isinstance(value, Mapping):
                yield from self._histogram(given, value)
            else:
                yield shape % (*map(_escaped, given), float(value))

    def one(self, value: float | Plain | None) -> Iterator[str]:
        """Of a family without labels; None: nobody said."""
        return self.of({} if value is None else {(): value})

    def _histogram(self, given: Labels, histogram: Plain) -> Iterator[str]:
        labels, counts = tuple(map(_escaped, given)), list(accumulate(histogram["counts"]))
        bucket = _shape(f"{self.name}_bucket", (*self.labels, "le"))
        for bound, count in zip((*histogram["bounds"], "+Inf"), counts, strict=True):
            yield bucket % (*labels, bound, count)
        yield _shape(f"{self.name}_sum", self.labels) % (*labels, histogram["total"])
        yield _shape(f"{self.name}_count", self.labels) % (*labels, counts[-1])


def _shape(name: str, labels: Labels) -> str:
    """A line with a place for the value of each label and for the sample."""
    places = ",".join(f'{label}="%s"' for label in labels)
    return f"{name}{{{places}}} %s" if labels else f"{name} %s"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def together(histograms: list[Plain]) -> Plain | None:
    """The sum of histograms with the same bounds; None: there is none."""
    if not histograms:
        return None
    counts = [sum(column) for column in zip(*(h["counts"] for h in histograms), strict=True)]
    return {"bounds": histograms[0]["bounds"], "counts": counts, "total": sum(h["total"] for h in histograms)}
