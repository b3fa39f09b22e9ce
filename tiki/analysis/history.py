"""What time makes of conditions, for z3: the truth of a window is a variable of its own, bound by that of its condition
now as `tiki.windows.judge` binds it, and by the other windows that have seen the same samples. Windows that ask the
same of them in other words are one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tiki.analysis.encode import Bool, Key, Pair, Space
from tiki.analysis.inputs import Input
from tiki.plan import Formula, Window, signature
from tiki.values import Known

_RELATED = 32
"""Windows about the same facts that a window is related to; their number must not cost its square."""

Ask = Callable[[Sequence[Bool]], tuple[bool | None, Any]]
"""Whether expressions can be true together, and if so a model."""


@dataclass(frozen=True)
class Held:
    """true_at: facts of which the condition is true, if z3 has found any."""

    window: Window
    pair: Pair
    about: set[Key]
    true_at: Mapping[str, Known] | None


class History:
    """The windows of one solver."""

    def __init__(self, space: Space, ask: Ask) -> None:
        self.space, self.ask = space, ask
        self.windows: dict[str, Held] = {}

    def truth(self, window: Window) -> Pair:
        known = self.windows.get(window.key)
        if known is None:
            known = self._held(window)
            if not any(known.pair is one.pair for one in self.windows.values()):
                self._relate(known)
            self.windows[window.key] = known
        return known.pair

    def _held(self, window: Window) -> Held:
        space, now = self.space, self.space.truth(window.condition)
        about = space.mentions(window.condition)
        possible, model = self.ask([now.true])
        known = None if model is None else {key[1]: value for key, value in space.read(model, about).items()}
        same = next(self._same(window, about, known), None)
        return Held(window, same.pair if same else self._over(window, now, possible is not False), about, known)

    def _same(self, window: Window, about: set[Key], true_at: Mapping[str, Known] | None) -> Iterator[Held]:
        """Windows that always have the truth of this one: they ask the same of the same samples, in whatever words."""

        def alike(one: Held) -> bool:
            other = one.window
            return (
                (other.duration, other.max_age, other.stay is None) == (*lasting, window.stay is None)
                and not about.isdisjoint(one.about)
                and (true_at is None or Input(true_at).truth(other.condition) is True)
                and (one.true_at is None or Input(one.true_at).truth(window.condition) is True)
            )

        lasting = (window.duration, window.max_age)
        for one in islice(filter(alike, self.windows.values()), _RELATED):
            stays = window.stay is None or one.window.stay is None or self._equal(window.stay, one.window.stay)
            if stays and self._equal(window.condition, one.window.condition):
                yield one

    def _equal(self, one: Formula, other: Formula) -> bool:
        """Whether two formulas have the same truth for all inputs."""
        if signature(one) == signature(other):
            return True
        left, right, no = self.space.truth(one), self.space.truth(other), self.space.z3.Not
        sides = ((left.true, right.true), (left.false, right.false))
        return all(self._excluded(a, no(b)) and self._excluded(b, no(a)) for a, b in sides)

    def _over(self, window: Window, now: Pair, possible: bool) -> Pair:
        space, over = self.space, now
        if window.duration > 0:
            over = space.pair(f"over {window.key}")
            space.bind(space.z3.Implies(over.true, now.true))
            space.bind(space.z3.Implies(now.false, over.false))
        if window.stay is None:
            return over
        before, stay = space.pair(f"before {window.key}"), space.truth(window.stay)
        if not possible:
            space.bind(space.z3.Not(before.true))
        return Pair(
            space.any((over.true, space.all((before.true, stay.true)))),
            space.all((over.false, space.any((before.false, stay.false)))),
        )

    def _relate(self, new: Held) -> None:
        """Windows without `clear at` see the same samples: what held for longer, or under a stricter condition, is true
        only where the other one is."""
        if new.window.stay is not None:
            return
        others = (one for one in self.windows.values() if one is not new and one.window.stay is None)
        for old in [one for one in others if one.about == new.about][:_RELATED]:
            self._imply(new, old)
            self._imply(old, new)

    def _imply(self, strict: Held, loose: Held) -> None:
        """See `tiki.windows.judge`: with the same gap, a moment at which the looser condition was known to be false is
        one of the stricter condition too. An example that says otherwise spares the questions."""
        if strict.window.duration < loose.window.duration or strict.window.max_age != loose.window.max_age:
            return
        space, now, then = self.space, strict.window.condition, loose.window.condition
        there = True if strict.true_at is None else Input(strict.true_at).truth(then)
        if there is True and self._excluded(space.truth(now).true, space.z3.Not(space.truth(then).true)):
            space.bind(space.z3.Implies(strict.pair.true, loose.pair.true))
        if there is not False and self._excluded(space.truth(then).false, space.z3.Not(space.truth(now).false)):
            space.bind(space.z3.Implies(loose.pair.false, strict.pair.false))

    def _excluded(self, *expressions: Bool) -> bool:
        return self.ask(expressions)[0] is False
