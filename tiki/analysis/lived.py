"""Whether samples lead to an input. Windows are independent variables to z3, more or less, so what it finds may be
nothing that a subject can live through. A few histories are put to the compiled rules: facts that change once or twice,
at the times at which windows turn. Where none of them leads there, that says nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, product, takewhile

from tiki.analysis.claims import Claim, Is
from tiki.analysis.inputs import Input, Stretch
from tiki.analysis.solver import Solver
from tiki.plan import Plan, Window
from tiki.program import Program
from tiki.values import Known
from tiki.windows import SECOND, Memory

_HISTORIES = 1_000
"""That are tried for one input."""
_SAMPLES = 200
"""Of one history; one that takes more, because samples hold so much shorter than windows last, is not tried."""
_AT_ONCE = 3
"""Windows whose conditions are chosen together at one moment."""

Facts = Mapping[str, Known]


class Lives:
    """The histories of one subject under some plans of a point."""

    def __init__(self, solver: Solver, plans: Sequence[Plan]) -> None:
        self.solver = solver
        self.programs = [Program(plan) for plan in plans]
        self.windows = {window.key: window for plan in plans for window in plan.windows}
        self.times = _times({window.duration for window in self.windows.values()})

    def leading_to(self, claim: Claim, given: Input) -> Input | None:
        """The given facts, with windows as a history makes them, so that the claim still holds; None: none was found.
        Where every window is as its condition is now, the facts count as having held long enough."""
        if not given.held:
            return given
        histories = self._histories(given.facts, list(self._moments(given)))
        tried = takewhile(lambda _: self.solver.left > 0, islice(histories, _HISTORIES))
        lived = (self._lived(given, history) for history in tried)
        return next((one for one in lived if one is not None and self.solver.holds(claim, one)), None)

    def _histories(self, now: Facts, moments: Sequence[Facts]) -> Iterator[tuple[Stretch, ...]]:
        yield ()
        for count in (1, 2):
            for times in combinations(self.times, count):
                for facts in product(moments, repeat=count):
                    if all(one is not other for one, other in zip(facts, (*facts[1:], now), strict=True)):
                        yield tuple(map(Stretch, times, facts))

    def _moments(self, given: Input) -> Iterator[Facts]:
        """What the facts may have been: conditions that time has to do with made true and false, the rest as now."""
        late = [window for window in self.windows.values() if given.over(window) is not given.truth(window.condition)]
        for states in product(*(_states(window) for window in late[:_AT_ONCE])):
            found = self.solver.find(*(claim for state in states for claim in state)).input
            if found is not None:
                yield {**given.facts, **found.facts}
        yield {}
        yield given.facts

    def _lived(self, given: Input, history: Sequence[Stretch]) -> Input | None:
        ages = [window.max_age for window in self.windows.values() if window.max_age is not None]
        start = 2 * self.times[0]
        samples = list(islice(_samples(start, (*history, Stretch(0, given.facts)), min(ages, default=start)), _SAMPLES))
        if len(samples) == _SAMPLES:
            return None
        held = {}
        for program in self.programs:
            memory = Memory()
            for at, facts in samples:
                last = program.sample(memory, at, Input(facts).facts_of(program.point))
            held.update({window.key: truth for window, truth in zip(program.windows, last, strict=True)})
        return Input(given.facts, held, given.attributes, tuple(history))


def _states(window: Window) -> list[tuple[Claim, ...]]:
    """What a sample may say of a window."""
    true, false = Is(window.condition, True), Is(window.condition, False)
    if window.stay is None:
        return [(true,), (false,)]
    return [(true,), (false, Is(window.stay, True)), (false, Is(window.stay, False))]


def _times(durations: set[float]) -> tuple[float, ...]:
    """Seconds ago at which windows of these durations turn, and between them, the longest first."""
    turns = sorted(duration for duration in durations if duration > 0) or [1.0]
    between = [(one + other) / 2 for one, other in zip((0.0, *turns), (*turns, 2 * turns[-1]), strict=True)]
    return tuple(sorted({*turns, *between}, reverse=True))


def _samples(start: float, stretches: Sequence[Stretch], apart: float) -> Iterator[tuple[int, Facts]]:
    """Samples of a history in nanoseconds, no further apart than they hold, the last one of now."""
    begin = start
    for stretch in stretches:
        while begin > stretch.until:
            yield round((start - begin) * SECOND), stretch.facts
            begin -= apart
        begin = stretch.until
    yield round(start * SECOND), stretches[-1].facts
