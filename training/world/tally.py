"""What is counted while a simulated world is run: who decided, who was called, what was done for nothing."""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

from federation.gate import WITHHELD
from training.world.calls import LEFT_TO_PEOPLE, VERIFY

GROUPED = 600.0  # seconds within which cases of one point are one page

KIND_OF = {
    "ufm.node_health": "node",
    "urm.resource_pressure": "pressure",
    "urm.admission": "job",
    "ufm.placement": "job",
    "uam.restart": "process",
    "ucm.delivery": "message",
    "urm.package": "package",
    "ucm.storm": "storm",
    "ucm.coordination": "workflow",
}
"""The kind of failed operation that a case is about, by its point."""


class Page(NamedTuple):
    """A case that reached a person, or an answer that a person does something. at: seconds since the beginning. kind:
    of failed operation; empty: of none. why: he was called."""

    at: float
    point: str
    subject: str
    kind: str
    why: str


class Tally:
    """decided: by point and tier. right: of the answers that hindsight knows, by point and tier. words: of advisor and
    person, by name and whether right. effects: disruptive ones that acted, by action and whether they were needed;
    observed: the same of those that only said so. drained: seconds from the trouble of a node to a drain that was
    needed. pages: cases. withheld: effects that wait for a person, whom one case asks about all of them. verifications:
    packages given to a person."""

    def __init__(self) -> None:
        self.decided: Counter[tuple[str, str]] = Counter()
        self.right: Counter[tuple[str, str, bool]] = Counter()
        self.words: Counter[tuple[str, str, bool]] = Counter()
        self.effects: Counter[tuple[str, bool]] = Counter()
        self.observed: Counter[tuple[str, bool]] = Counter()
        self.refused: Counter[str] = Counter()
        self.drained: list[float] = []
        self.pages: list[Page] = []
        self.withheld: list[Page] = []
        self.verifications: list[Page] = []

    def answered(self, point: str, tier: str, right: bool | None = None) -> None:
        self.decided[point, tier] += 1
        if right is not None:
            self.right[point, tier, right] += 1

    def said(self) -> dict[str, tuple[int, int]]:
        """Of advisor and person: how often right, of how many answers."""
        return _rights((name, right, n) for (name, _, right), n in self.words.items())

    def shares(self) -> dict[tuple[str, str], tuple[int, int]]:
        """By point and tier, of the answers that hindsight knows: how many were right, of how many."""
        return _rights(((point, tier), right, n) for (point, tier, right), n in self.right.items())

    def calls(self) -> list[Page]:
        """One for each failed operation that needed a person: somebody called about it again within ten minutes is
        called once. Of what the gate withheld each needed one, though one case asked. A package that a person is to
        verify needs one, and no second if a person said so."""
        cases = {page.subject for page in self.pages}
        verified = (page for page in self.verifications if page.subject not in cases)
        all_ = [*self.pages, *self.withheld, *verified]
        return _groups((page.at, (page.kind, page.subject), page) for page in all_ if page.kind)

    def people(self) -> Counter[str]:
        """Failed operations that needed a person, by kind."""
        return Counter(page.kind for page in self.calls())

    def reasons(self) -> Counter[tuple[str, str]]:
        """The same by decision point and why a person was called."""
        return Counter((page.point, page.why) for page in self.calls())

    def paged(self, point: str, at: float, subject: str, why: str) -> None:
        self.pages.append(Page(at, point, subject, KIND_OF.get(point, ""), why))

    def withholds(self, point: str, at: float, subject: str) -> None:
        """point: that wanted the effect."""
        self.withheld.append(Page(at, WITHHELD.name, subject, KIND_OF.get(point, ""), LEFT_TO_PEOPLE))

    def verifies(self, point: str, at: float, subject: str) -> None:
        self.verifications.append(Page(at, point, subject, KIND_OF.get(point, ""), VERIFY))

    def grouped(self) -> int:
        """Pages, where cases of one point within ten minutes of the first are one."""
        return len(_groups((page.at, page.point, page) for page in self.pages))


_K = TypeVar("_K")


def _rights(counts: Iterable[tuple[_K, bool, int]]) -> dict[_K, tuple[int, int]]:
    found: dict[_K, tuple[int, int]] = {}
    for key, right, count in counts:
        good, all_ = found.get(key, (0, 0))
        found[key] = (good + count * right, all_ + count)
    return found


def _groups(pages: Iterable[tuple[float, Hashable, Page]]) -> list[Page]:
    """The first of each group: those of one key within ten minutes of its first."""
    began: dict[Hashable, float] = {}
    groups = []
    for at, key, page in pages:
        if key not in began or at - began[key] > GROUPED:
            began[key] = at
            groups.append(page)
    return groups
