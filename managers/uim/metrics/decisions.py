"""What was decided, by whom, and how long those waited who asked."""

from collections import Counter
from collections.abc import Iterator

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

ANSWERED = Family(
    "counter",
    "elias_decisions_total",
    "decisions answered; the first part of a point is its manager",
    ("point", "tier"),
)
CHOICES = Family(
    "counter",
    "elias_choices_total",
    "the same by what was chosen; mode: how far its effect may go, empty where it has none",
    ("point", "tier", "action", "mode"),
)
SECONDS = Family("histogram", "elias_decision_seconds", "from a post to its answer, at each manager", ("manager",))

FAMILIES = (ANSWERED, CHOICES, SECONDS)


def lines(scrape: Scrape) -> Iterator[str]:
    choices: dict[tuple[str, ...], int] = {
        (point, tier, action, mode): count
        for figures in scrape.figures.values()
        for point, tier, action, mode, count in figures.get("chosen", ())
    }
    answered = Counter[tuple[str, ...]]()
    for (point, tier, *_), count in choices.items():
        answered[point, tier] += count
    yield from ANSWERED.of(answered)
    yield from CHOICES.of(choices)
    yield from SECONDS.of({(manager,): seconds.plain() for manager, seconds in scrape.posts.items()})
