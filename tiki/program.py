"""The rules of one decision point, compiled: what a manager asks at every event."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiki.compile import Facts, Held, compile_plan, convert_fact, unknown_fact
from tiki.plan import Plan, Verdict
from tiki.values import ABSENT, UNKNOWN, Known, Truth, Value
from tiki.windows import SECOND, Memory, judge


class Latch(msgspec.Struct, frozen=True, gc=False):
    """The clause in force for a subject and when it last fired (nanoseconds)."""

    clause: str
    fired: int


class Program:
    """The compiled rules of a point under one bundle.

    Facts are tuples of canonical values (see `tiki.schema.Type`), ABSENT or UNKNOWN, in the order of `point.facts`;
    make them with `facts_from`. `held` is what `sample` or `unwatched` gave: the truth of each of `windows`, in order.

    decide(facts, held) -> Verdict: pure.
    explain(facts, held) -> Trace: the same verdict with every comparison on the way.
    facts_from(data) -> Facts: a whole event's data; null is absent, a missing key unknown. Raises ValueError with the
    cure.
    """

    __slots__ = (
        "_at_rest",
        "_calm",
        "_cooldowns",
        "_guards",
        "_keys",
        "_names",
        "_samples",
        "decide",
        "explain",
        "explore",
        "facts_from",
        "fallback",
        "guarded",
        "guards",
        "max_error",
        "on_timeout",
        "plan",
        "point",
        "python",
        "rules",
        "settings",
        "timeout",
        "windows",
    )

    def __init__(self, plan: Plan) -> None:
        compiled = compile_plan(plan)
        self.plan = plan
        self.point = plan.point
        self.settings: Mapping[str, Value] = plan.settings
        self.rules = plan.rules
        self.guards = plan.guards
        self.guarded = frozenset(guard.action for guard in plan.guards)
        self.windows = plan.windows
        self.fallback = plan.fallback
        self.on_timeout = plan.on_timeout
        self.timeout = plan.timeout
        self.max_error = plan.max_error
        self.explore = plan.explore
        self.python = compiled.python
        self.decide = compiled.decide
        self.explain = compiled.explain
        self.facts_from = compiled.facts_from
        self._names = tuple(fact.name for fact in plan.point.facts)
        self._samples = compiled.samples
        self._guards = compiled.guards
        self._keys = tuple(window.key for window in plan.windows)
        self._calm = tuple(
            truth for window in plan.windows for truth in (False, None if window.stay is None else False)
        )
        self._at_rest: Held = (False,) * len(plan.windows)
        self._cooldowns = {rule.name: rule.cooldown for rule in plan.rules}

    def forbids(
        self, facts: Facts, held: Held, action: str, args: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> str | None:
        """The name of the first guard that forbids this candidate, or None.

        A guard forbids where its condition is true or unknown. attributes: canonical values by dotted name; None is
        absent, a missing name unknown. The terminal action has no guards.
        """
        guard = self._guards.get(action)
        return None if guard is None else guard(facts, attributes)

    def sample(self, memory: Memory, at: int, facts: Facts) -> Held:
        """Takes a sample of one subject in at ledger time `at` (nanoseconds); gives the truth of each window.
        Changes `memory`."""
        if not self.windows:
            return ()
        now = self._samples(facts)
        if now == self._calm:  # the usual case, at a tenth of the price
            memory.rest(self._keys, at)
            return self._at_rest
        tracks = memory.fit(self._keys)
        held: list[Truth] = []
        for window, track, truth, stay in zip(self.windows, tracks, now[::2], now[1::2], strict=True):
            if truth is False and (stay is False or window.stay is None):
                track.rest(at)
                held.append(False)
            else:
                held.append(judge(window, track, at, truth, stay))
        return tuple(held)

    def unwatched(self, facts: Facts) -> Held:
        """The windows' truth where the facts count as having held long enough and nothing was in force before
        (examples)."""
        return self._samples(facts)[::2] if self.windows else ()

    def latch(self, latch: Latch | None, verdict: Verdict, at: int) -> tuple[Latch | None, bool]:
        """Whether a verdict fires at `at` (nanoseconds), and the latch to keep for the subject.

        At a point that answers requests (trigger `every`) it always does. Else a clause fires on its rising edge, and
        while it stays in force again when its cooldown is over; another clause takes its place. The terminal action
        always stands and takes the clause out of force, unless it is only the fallback of an unknown rule: unknown is
        no falling edge.
        """
        if self.point.trigger == "every":
            return None, True
        if verdict.action == self.point.terminal:
            return (latch if verdict.reason == "unknown" else None), True
        if latch is None or latch.clause != verdict.clause:
            return Latch(verdict.clause, at), True
        cooldown = self._cooldowns.get(verdict.clause, self.plan.cooldown)
        if cooldown is not None and at - latch.fired >= round(cooldown * SECOND):
            return Latch(verdict.clause, at), True
        return latch, False

    def parse_fact(self, name: str, value: object) -> Known:
        """One fact's canonical value from a JSON value or TIKI text (`97%`, `16GB`).
        Raises ValueError with the cure."""
        for fact in self.point.facts:
            if fact.name == name:
                return convert_fact(fact, value)
        unknown_fact(name, self.point.facts)

    def to_mapping(self, facts: Facts) -> dict[str, Value | None]:
        """The inverse of `facts_from`: a missing key is unknown, None absent."""
        pairs = zip(self._names, facts, strict=True)
        return {name: None if value is ABSENT else value for name, value in pairs if value is not UNKNOWN}  # type: ignore[misc]
