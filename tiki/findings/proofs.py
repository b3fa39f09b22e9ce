"""What is proved about the clauses of one plan. Nothing here knows a place: what was proved of a plan once holds for
every plan that means the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from tiki.analysis import All, Claim, Input, Is, Not, Solver, Some, Sure, decides, passes, rule_is
from tiki.findings.doubts import At, Code, Doubt, actions_of
from tiki.findings.parts import Extent, Part, parts, span_of, without
from tiki.findings.switches import opened
from tiki.findings.tables import Table, table_of
from tiki.plan import Any_, Every, FactTerm, Formula, Plan, Verdict, signature, tests


@dataclass(frozen=True, slots=True)
class Proved:
    """settled: whether every question got its answer."""

    doubts: tuple[Doubt, ...]
    settled: bool


def meaning(plan: Plan) -> tuple[object, ...]:
    """What the proofs about a plan depend on, and nothing else."""
    plan = opened(plan).plan
    windows = [
        (w.clause, signature(w.condition), w.duration, w.stay and signature(w.stay), w.max_age) for w in plan.windows
    ]
    rules = [(r.name, signature(r.condition), r.window, r.verdict) for r in plan.rules]
    guards = [(g.name, g.action, signature(g.condition)) for g in plan.guards]
    last = plan.last if plan.last_place is not None else None
    return (plan.point, repr(rules), repr(last), tuple(windows), tuple(guards))


def proved(plan: Plan, budget: float) -> Proved:
    """Everything that is doubtful about the clauses of a plan. budget: seconds."""
    proofs = _Proofs(plan, budget)
    return Proved(tuple(proofs.doubts()), proofs.settled)


class _Proofs:
    def __init__(self, plan: Plan, budget: float) -> None:
        switched = opened(plan)
        self.plan, self.known, self.switches = switched.plan, switched.known, switched.names
        self.ends = monotonic() + budget
        self.solver = Solver(self.plan, timeout=budget)
        self.settled = True
        self.guarded = {guard.action for guard in self.plan.guards}
        self.tables: dict[int, Table | None] = {}
        self.sure = Sure()
        self.false = [rule_is(self.plan, index, False) for index in range(len(self.plan.rules))]
        self.idle: set[int] = set()

    def doubts(self) -> Iterator[Doubt]:
        for index in range(len(self.plan.rules)):
            yield from self.about_rule(index)
        if self.plan.last_place is not None:
            yield from self.about_otherwise()
        yield from self.about_guards()

    def late(self) -> bool:
        """Whether the time is over; then not everything is settled."""
        late = monotonic() > self.ends
        self.settled = self.settled and not late
        return late

    def never(self, *claims: Claim) -> bool:
        """Whether it is proved that no input makes all the claims so."""
        if self.late():
            return False
        possible = self.solver.possible(*claims, self.known)
        self.settled = self.settled and possible is not None
        return possible is False

    def core(self, claims: Sequence[Claim], given: Sequence[Claim] = ()) -> list[int]:
        """The positions of claims that cannot all be so where the given ones are, as few as can be told in time."""
        found = self.solver.reason(*given, *claims, self.known)
        if found is None:
            return list(range(len(claims)))
        return [position - len(given) for position in found if len(given) <= position < len(given) + len(claims)]

    def table(self, condition: Formula) -> Table | None:
        """Saves the solver most of its work: questions about one condition that is not too large."""
        if id(condition) not in self.tables:
            self.tables[id(condition)] = table_of(condition, self.switches)
        return self.tables[id(condition)]

    def never_true(self, condition: Formula, action: str = "") -> bool:
        table = self.table(condition)
        return self.never(Is(condition, True, action)) if table is None else not table.can_be_true(condition)

    def always_true(self, condition: Formula) -> bool:
        table = self.table(condition)
        return self.never(self.sure, Not(Is(condition, True))) if table is None else table.always_true(condition)

    def about_rule(self, index: int) -> Iterator[Doubt]:
        at, condition = At("rule", index), self.plan.rules[index].condition
        if self.never_true(condition):
            self.idle.add(index)
            yield Doubt("TIKI-701", at, because=self.contradiction(condition))
            return
        free = self.acts(index, self.plan.rules[index].verdict)
        if not free and self.never(decides(self.plan, index)):
            yield self.unreached(at, index, rule_is(self.plan, index, True))
            self.idle.add(index)
            return
        if self.always_true(condition):
            yield Doubt("TIKI-703", at)
        else:
            yield from self.spare(at, condition)
        if not free:
            yield from self.overruled(at, index)

    def acts(self, index: int, verdict: Verdict) -> bool:
        """Whether it is plain that a clause is reached and may do all that it names: one question in place of two."""
        actions = [action for action in actions_of(verdict) if action in self.guarded]
        where = decides(self.plan, index)
        return bool(actions) and all(
            self.solver.possible(where, passes(self.plan, action), self.known) for action in actions
        )

    def about_otherwise(self) -> Iterator[Doubt]:
        end = len(self.plan.rules)
        if self.never(decides(self.plan, end)):
            yield self.unreached(At("otherwise"), end)
        else:
            yield from self.overruled(At("otherwise"), end)

    def unreached(self, at: At, index: int, *mine: Claim) -> Doubt:
        """The clauses before that take all of it, as few and as far up as can be, and an input that one of them
        takes."""
        takers = self.takers(index, mine)
        wanted = [(*mine, decides(self.plan, taker)) for taker in takers]
        shown = next((one for claims in wanted if (one := self.solver.find(self.known, *claims).input)), None)
        example = self.told(shown) if shown is not None else ""
        return Doubt("TIKI-702", at, tuple(At("rule", taker) for taker in takers), example=example)

    def takers(self, index: int, mine: Sequence[Claim]) -> list[int]:
        """Rules that are reached themselves, if those suffice: only they decide. Nothing before the last of them takes
        all of it, so that a clause that one rule takes is reached where it stands before that rule."""
        before = [taker for taker in range(index) if taker not in self.idle]
        if not self.never(*(self.false[taker] for taker in before), *mine):
            return self.core(self.false[:index], mine)
        while True:
            found = [before[position] for position in self.core([self.false[taker] for taker in before], mine)]
            before = [taker for taker in before if taker < max(found, default=0)]
            if not before or not self.never(*(self.false[taker] for taker in before), *mine):
                return found

    def told(self, shown: Input) -> str:
        name = self.solver.decide(self.plan, shown).clause
        return f"{shown.text(self.plan)}: {name if ' ' in name else f'`{name}`'} decides"

    def contradiction(self, condition: Formula) -> tuple[Extent, ...]:
        """The parts of a conjunction that exclude one another."""
        if not isinstance(condition, Every):
            return ()
        core = self.core([Is(item, True) for item in condition.items])
        return tuple(span_of(condition, condition.items[position]) for position in core)

    def spare(self, at: At, condition: Formula, action: str = "") -> Iterator[Doubt]:
        """The parts without which, and without those found before, the condition has the same truth for all facts."""
        gone: list[Formula] = []
        for part in parts(condition):
            if self.late():
                return
            if id(tests(part.formula)[0]) in {id(test) for whole in gone for test in tests(whole)}:
                continue
            alone, left = without(condition, part.formula), without(condition, part.formula, *gone)
            if left is None or alone is None or not self.ages_alike(at, condition, left):
                continue
            if self.same(condition, condition, alone, action) and (
                not gone or self.same(condition, condition, left, action)
            ):
                gone.append(part.formula)
                because = self.enough(condition, part, action)
                yield Doubt("TIKI-704", at, span=span_of(condition, part.formula), because=because)

    def same(self, whole: Formula, left: Formula, right: Formula, action: str) -> bool:
        """Whether two formulas of the comparisons of a condition have the same truth, whatever the facts."""
        table = self.table(whole)
        if table is not None:
            return table.rows(left) == table.rows(right)
        return self.never(
            Some(
                tuple(
                    All((Is(one, truth, action), Not(Is(other, truth, action))))
                    for one, other in ((left, right), (right, left))
                    for truth in (True, False)
                )
            )
        )

    def ages_alike(self, at: At, left: Formula, right: Formula) -> bool:
        """Whether a rule that is judged over time bears gaps as long as before."""
        return at.kind != "rule" or self.plan.rules[at.index].window is None or _age(left) == _age(right)

    def enough(self, condition: Formula, part: Part, action: str) -> tuple[Extent, ...]:
        """The neighbour that says it already, if a single one does."""
        for other in part.beside:
            both = Every((other, part.formula)) if part.joiner == "and" else Any_((other, part.formula))
            if self.same(condition, other, both, action):
                return (span_of(condition, other),)
        return ()

    def overruled(self, at: At, index: int) -> Iterator[Doubt]:
        """What the guards forbid wherever the clause decides."""
        verdict = self.plan.last if at.kind == "otherwise" else self.plan.rules[index].verdict
        open_ = [action for action in actions_of(verdict) if action != self.plan.point.terminal]
        gone = [
            action
            for action in open_
            if action in self.guarded and self.never(decides(self.plan, index), passes(self.plan, action))
        ]
        if not gone or not self.solver.possible(decides(self.plan, index), self.known):
            return
        code: Code = "TIKI-714" if verdict.kind == "act" else "TIKI-715"
        groups = [gone] if len(gone) == len(open_) else [[action] for action in gone]
        for actions in groups:
            by = tuple(at for action in actions for at in self.forbidding(action, decides(self.plan, index)))
            shown = self.solver.find(decides(self.plan, index), self.known, self.sure).input
            example = shown.text(self.plan) if shown is not None else ""
            yield Doubt(code, at, by, actions=tuple(actions), example=example)

    def forbidding(self, action: str, *where: Claim) -> list[At]:
        """The guards that together leave no candidate of an action, as few as can be."""
        mine = [index for index, guard in enumerate(self.plan.guards) if guard.action == action]
        core = self.core([Is(self.plan.guards[index].condition, False, action) for index in mine], where)
        return [At("guard", mine[position]) for position in core]

    def about_guards(self) -> Iterator[Doubt]:
        idle = set()
        for index, guard in enumerate(self.plan.guards):
            if self.never_true(guard.condition, guard.action):
                idle.add(index)
                yield Doubt("TIKI-712", At("guard", index), because=self.contradiction(guard.condition))
        shut: set[At] = set()
        for action in dict.fromkeys(guard.action for guard in self.plan.guards):
            if self.never(passes(self.plan, action)):
                first, *others = self.forbidding(action)
                shut.add(first)
                yield Doubt("TIKI-713", first, tuple(others), actions=(action,))
        for index, guard in enumerate(self.plan.guards):
            if index not in idle and At("guard", index) not in shut:
                yield from self.spare(At("guard", index), guard.condition, guard.action)


def _age(formula: Formula) -> float | None:
    terms = [term for test in tests(formula) for term in test.terms]
    return min((t.fact.max_age for t in terms if isinstance(t, FactTerm) and t.fact.max_age is not None), default=None)
