"""What is counted while a simulated world is run: who decided, who was called, what was done for nothing."""

from collections import Counter
from typing import NamedTuple

GROUPED = 600.0  # seconds within which cases of one point are one page
DRAIN = "ufm.node_health/drain"

KIND_OF = {
    "ufm.node_health": "node",
    DRAIN: "node",
    "urm.resource_pressure": "pressure",
    "urm.admission": "job",
    "ufm.placement": "job",
    "uam.restart": "process",
    "ucm.delivery": "message",
    "urm.package": "package",
    "uim.rollout": "rollout",
    "ucm.storm": "storm",
    "ucm.coordination": "workflow",
}
"""The kind of failed operation that a case is about, by its point, or by its subject where the gate asks."""


class Page(NamedTuple):
    """A case that reached a person. at: seconds since the beginning. kind: of failed operation; empty: of none."""

    at: float
    point: str
    subject: str
    kind: str


class Tally:
    """decided: by point and tier. right: of the answers that hindsight knows, by point and tier. words: of advisor and
    person, by name and whether right. effects: disruptive ones that acted, by action and whether they were needed; observed: the same of those that
    only said so."""

    def __init__(self) -> None:
        self.decided: Counter[tuple[str, str]] = Counter()
        self.right: Counter[tuple[str, str, bool]] = Counter()
        self.words: Counter[tuple[str, str, bool]] = Counter()
        self.effects: Counter[tuple[str, bool]] = Counter()
        self.observed: Counter[tuple[str, bool]] = Counter()
        self.refused: Counter[str] = Counter()
        self.pages: list[Page] = []

    def answered(self, point: str, tier: str, right: bool | None = None) -> None:
        self.decided[point, tier] += 1
        if right is not None:
            self.right[point, tier, right] += 1

    def said(self, who: str, point: str, right: bool) -> None:
        self.words[who, point, right] += 1

    def acted(self, action: str, needed: bool) -> None:
        self.effects[action, needed] += 1

    def paged(self, point: str, at: float, subject: str) -> None:
        about = subject.partition("/")[0] if point == "gate.withheld" else point
        self.pages.append(Page(at, point, subject, KIND_OF.get(about, "")))

    def grouped(self) -> int:
        """Pages, where cases of one point within ten minutes of the first are one."""
        began: dict[str, float] = {}
        groups = 0
        for page in self.pages:
            if page.point not in began or page.at - began[page.point] > GROUPED:
                began[page.point] = page.at
                groups += 1
        return groups
