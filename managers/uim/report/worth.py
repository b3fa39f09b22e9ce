"""Cost and benefit of letting policies decide: what was not asked of people and advisors because of it, less what the
policies got wrong, and what it cost. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from managers.uim.report.decided import Decided, Window
from managers.uim.report.handling import Handling
from managers.uim.report.intervals import Interval, mean, median, share
from managers.uim.report.trainings import Trainings

_FIFTH = 1 - 0.05 / 5  # what is estimated here are five factors; at this level they hold together at 95 %
_SAYS_LITTLE = 30  # questions below which their mean price is taken for known


class Prices(msgspec.Struct, frozen=True):
    """What has no record. minutes: that a case takes, where too few were measured. hour: of an operator's working time,
    core_hour, gpu_hour: of a machine; all in US dollars."""

    minutes: float = 10.0
    hour: float = 100.0
    core_hour: float = 0.04
    gpu_hour: float = 2.0


class Spent(msgspec.Struct, frozen=True):
    """On advisors, in all. costs: of each question that one was called for, US dollars; 0 where that cost nothing."""

    calls: int = 0
    tokens: int = 0
    costs: tuple[float, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    """name: what. value: with its 95 % interval where it is estimated. rests_on: what was measured and what was
    assumed."""

    name: str
    value: Interval
    unit: str
    rests_on: str


def figures(seen: Window, handled: Handling, spent: Spent, trained: Trainings, prices: Prices) -> list[Figure]:
    """In the order in which they follow from one another."""
    alone = sum(one.alone for one in seen.decided)
    right, errors = rightly(seen.decided)
    avoided = Figure("escalations avoided", right, "decisions", errors)
    persons, to_persons = _went(seen.decided, "a person")
    cases = right.times(persons)
    hours, measured = _hours(handled, prices)
    saved = cases.times(hours)
    advisors, to_advisors = _went(seen.decided, "an advisor")
    price, paid = _price(spent.costs)
    kept = right.times(advisors).times(price)
    on_training = trained.core_hours * prices.core_hour + trained.gpu_hours * prices.gpu_hour
    on_advisors = math.fsum(spent.costs)
    worth = saved.scaled(prices.hour)
    hour = f"assumed: an hour costs ${prices.hour:g} (--hour)"
    machines = f"assumed: ${prices.core_hour:g} a core-hour, ${prices.gpu_hour:g} a GPU-hour (--core-hour, --gpu-hour)"
    return [
        Figure("decided alone by a policy", Interval(alone), "decisions", "counted"),
        avoided,
        Figure("of these, questions to a person", cases, "decisions", to_persons),
        Figure("operator time saved", saved, "hours", measured),
        Figure("its worth", worth, "$", hour),
        Figure("advisors' bill avoided", kept, "$", f"{to_advisors}; {paid}"),
        Figure(
            "advisors' bill", Interval(on_advisors), "$", f"on record: {spent.calls} calls, {spent.tokens:,} tokens"
        ),
        Figure(
            "training",
            Interval(on_training),
            "$",
            f"trainings that ULM started: {trained.jobs}, {trained.core_hours:.3g} core-hours, {trained.gpu_hours:.3g} "
            f"GPU-hours reserved; {machines}; what a person trained is not on record",
        ),
        Figure(
            "net",
            worth.plus(kept).plus(Interval(-on_advisors - on_training)),
            "$",
            "its worth and the bill avoided, less the bill and the training",
        ),
    ]


def rightly(decided: Sequence[Decided]) -> tuple[Interval, str]:
    """Of what was decided alone, that which was right, as the checks of such answers say; where a point has no checks,
    as its spec promises. Points hold together (Bonferroni)."""
    alone = Counter(one.point for one in decided if one.alone)
    if not alone:
        return Interval(0.0), "nothing was decided alone"
    checked = Counter(one.point for one in decided if one.audit and one.agreed is not None)
    missed = Counter(one.point for one in decided if one.audit and one.agreed is False)
    total, level = Interval(0.0), 1 - (1 - _FIFTH) / len(alone)
    for point, count in alone.items():
        if checked[point]:
            wrong = share(missed[point], checked[point], level)
        else:
            promised = max(one.max_error for one in decided if one.point == point and one.alone)
            wrong = Interval(promised, 0.0, promised)
        total = total.plus(Interval(1 - wrong.value, 1 - wrong.upper, 1 - wrong.lower).scaled(count))
    unchecked = ", ".join(sorted(set(alone) - set(checked)))
    measured = f"{missed.total()} of {checked.total()} checked answers were wrong; " if checked else ""
    assumed = f"assumed where none was checked: as many wrong as the spec allows ({unchecked}); " if unchecked else ""
    return total, f"{measured}{assumed}each would have been one question to the tier above"


def _went(decided: Sequence[Decided], to: str) -> tuple[Interval, str]:
    """Of the decisions that a policy did not make alone, the share that came to a person, or for which an advisor was
    called."""
    up = [one for one in decided if not one.alone]
    if not up:
        reached = Interval(1.0 if to == "a person" else 0.0)
        return reached, f"assumed: {'each' if reached.value else 'none'} would have come to {to}, for none went up"
    hits = [one.tier in ("operator", "timeout") if to == "a person" else one.advised for one in up]
    return share(sum(hits), len(up), _FIFTH), f"{sum(hits)} of {len(up)} that were not decided alone came to {to}"


def _hours(handled: Handling, prices: Prices) -> tuple[Interval, str]:
    """Of a person, for each case."""
    together = handled.cases / handled.groups if handled.groups else 1.0
    alike = f"; people answered {together:.2g} alike cases at a time" if handled.groups else ""
    measured = median(handled.seconds, _FIFTH)
    if measured is None:
        minutes = Interval(prices.minutes)
        text = f"assumed: {prices.minutes:g} min a case (--minutes), for {len(handled.seconds)} were measured{alike}"
    else:
        minutes = measured.scaled(1 / 60)
        taken = f"a median of {minutes.value:.3g} min from taking a case to its answer"
        text = f"measured: {taken}, of {len(handled.seconds)}{alike}"
    return minutes.scaled(1 / 60 / together), text


def _price(costs: Sequence[float]) -> tuple[Interval, str]:
    if not costs:
        return Interval(0.0), "no advisor was called"
    if len(costs) < _SAYS_LITTLE:
        value = math.fsum(costs) / len(costs)
        return Interval(value), f"${value:.3g} a question, of only {len(costs)}: taken for known"
    found = mean(costs, _FIFTH)
    return Interval(found.value, max(found.lower, 0.0), found.high), f"${found.value:.3g} a question, of {len(costs)}"


def tiers(seen: Window) -> Mapping[str, int]:
    """Decisions by who answered them, of all points."""
    found = Counter[str]()
    for (_, tier), count in seen.tiers.items():
        found[tier] += count
    return dict(found.most_common())
