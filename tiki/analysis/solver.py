"""Asks z3 whether an input exists of which all of some claims hold, and checks the answer by hand.

One z3 context a solver, so solvers in several threads do not meet. Seeds are fixed and a question's effort is bounded
in z3's own units, so the answers do not depend on the machine; the time-out is what bounds them all. Where z3 itself
fails, that question and all that follow are not settled.
"""

import time
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tiki.analysis.claims import All, Claim, Is, Not, Over, Reaches, Some, Sure, key, rule_is
from tiki.analysis.encode import Bool, Key, Pair, Space
from tiki.analysis.history import History
from tiki.analysis.inputs import Input
from tiki.analysis.polish import polished, thresholds
from tiki.compile import Facts, Held, compile_decide
from tiki.plan import Formula, Plan, Verdict
from tiki.schema import Attribute, Fact
from tiki.values import ABSENT, UNKNOWN, Known, Truth

_EFFORT = 20_000_000
"""z3's resource units for one question: about ten seconds."""
_MEMORY = 1_000
"""Megabytes that z3 may hold in this process."""


_T = TypeVar("_T")


@dataclass(frozen=True)
class Answer:
    """possible: whether there is an input of which the claims hold; None: not settled in time. input: one, where it is
    possible; it was checked by the compiled rules."""

    possible: bool | None
    input: Input | None = None


class _Engine:
    """z3, within its limits: `whole` knows the rules, `light` what the facts can be alone.

    z3 holds the memory of the whole process against each solver's limit, so what is done with has to go at once and
    not when Python's collector comes by. Hence nothing here refers to whoever uses it.
    """

    def __init__(self, z3: Any, timeout: float) -> None:
        self.z3 = z3
        self.context = z3.Context()
        self.whole, self.light = z3.SimpleSolver(ctx=self.context), z3.SimpleSolver(ctx=self.context)
        for solver in (self.whole, self.light):
            solver.set(random_seed=0, rlimit=_EFFORT, max_memory=_MEMORY)
        self._deadline = time.thread_time() + timeout

    @property
    def left(self) -> float:
        return self._deadline - time.thread_time()

    def bind(self, constraint: Bool) -> None:
        self.whole.add(constraint)
        self.light.add(constraint)

    def check(self, solver: Any, assumed: Sequence[Bool]) -> bool | None:
        left = self.left
        if left <= 0:
            return None
        solver.set(timeout=max(1, int(left * 1000)))
        found = solver.check(*assumed)
        return True if found == self.z3.sat else False if found == self.z3.unsat else None

    def apart(self, expressions: Sequence[Bool]) -> tuple[bool | None, Any]:
        """Whether expressions can be true together, whatever the rules are, and if so a model."""
        self.light.push()
        self.light.add(*expressions)
        found = self.check(self.light, ())
        model = self.light.model() if found else None
        self.light.pop()
        return found, model


class Solver:
    """Questions about one or two plans of a point. Not to be shared between threads.

    plans: whose rules the claims name. timeout: seconds of computing time for all questions together, so that a busy
    machine gives the same answers; after it each is not settled.
    Raises ValueError where the points of two plans declare a fact or an attribute in two ways.
    """

    def __init__(self, *plans: Plan, timeout: float = 10.0) -> None:
        _agree(plans)
        import z3  # noqa: PLC0415 - a third of a second that only analysis pays

        self._z3 = z3
        self._engine = _Engine(z3, timeout)
        self._space = Space(z3, self._engine.context, self._engine.bind)
        self._history = History(self._space, self._engine.apart)
        self._literals: dict[Hashable, Bool] = {}
        self._seen: dict[int, tuple[Claim, Bool]] = {}
        self._chains: dict[tuple[int, bool], list[Bool]] = {}
        self._decide: dict[int, Callable[[Facts, Held], Verdict]] = {}
        self._decided: dict[int, tuple[Input, Verdict]] = {}
        self._plans = plans
        self._thresholds = thresholds(plans)
        self._broken = False
        self._unless_broken(self._encode, None)

    def _encode(self) -> None:
        for plan in self._plans:
            for rule in plan.rules:
                self._space.truth(rule.condition)
            for window in plan.windows:
                self._history.truth(window)
            for guard in plan.guards:
                self._space.truth(guard.condition, guard.action)

    @property
    def left(self) -> float:
        """Seconds of computing time; 0 or less: nothing more is asked."""
        return self._engine.left

    def find(self, *claims: Claim, prefer: Sequence[Claim] = ()) -> Answer:
        """An input of which all the claims hold, if there is one; one of which the first of `prefer` holds as well,
        if there is such a one, else the next."""
        return self._unless_broken(lambda: self._find(claims, prefer), Answer(None))

    def _find(self, claims: Sequence[Claim], prefer: Sequence[Claim]) -> Answer:
        for wish in (*prefer, None):
            found, model = self._ask(claims if wish is None else (*claims, wish))
            if found:
                return self._confirmed(claims, model)
        return Answer(found)

    def possible(self, *claims: Claim) -> bool | None:
        """As `find`, where no input is wanted and none is checked."""
        return self._unless_broken(lambda: self._ask(claims)[0], None)

    def equivalent(self, left: Formula, right: Formula, action: str = "") -> Answer:
        """Whether two formulas differ: `possible` is False where they have the same truth for all inputs, else the
        input tells them apart."""
        return self._unless_broken(lambda: self._equivalent(left, right, action), Answer(None))

    def _equivalent(self, left: Formula, right: Formula, action: str) -> Answer:
        one, other = self._space.truth(left, action), self._space.truth(right, action)
        if one.true.eq(other.true) and one.false.eq(other.false):
            return Answer(False)
        differ = [All((Is(left, truth, action), Not(Is(right, truth, action)))) for truth in (True, False)]
        differ += [All((Is(right, truth, action), Not(Is(left, truth, action)))) for truth in (True, False)]
        return self._find([Some(tuple(differ))], ())

    def reason(self, *claims: Claim) -> tuple[int, ...] | None:
        """Positions of claims that cannot hold together, none of which could be spared; None where they all can, or
        where that is not settled."""
        return self._unless_broken(lambda: self._reason(claims), None)

    def _reason(self, claims: Sequence[Claim]) -> tuple[int, ...] | None:
        literals = [self._literal(claim) for claim in claims]
        whole = self._engine.whole
        if self._engine.check(whole, literals) is not False:
            return None
        core = {literal.get_id() for literal in whole.unsat_core()}
        left = [position for position, literal in enumerate(literals) if literal.get_id() in core]
        for position in list(left):
            rest = [other for other in left if other != position]
            if self._engine.check(whole, [literals[other] for other in rest]) is False:
                left = rest
        return tuple(left)

    def _unless_broken(self, ask: Callable[[], _T], unsettled: _T) -> _T:
        """What z3 answers. Once it has raised, what it holds may be in pieces, and nothing more is asked of it."""
        if self._broken:
            return unsettled
        try:
            return ask()
        except self._z3.Z3Exception:
            self._broken = True
            return unsettled

    def holds(self, claim: Claim, given: Input) -> bool:
        """Whether a claim holds of an input, without z3: rules by the compiled `decide`, formulas one by one."""
        match claim:
            case Is(formula, truth, action):
                return given.truth(formula, action) is truth
            case Over(window, truth):
                return given.over(window) is truth
            case Reaches(plan, index):
                verdict = self.decide(plan, given)
                return verdict.reason not in ("rule", "unknown") or verdict.index >= index
            case All(claims):
                return all(self.holds(one, given) for one in claims)
            case Some(claims):
                return any(self.holds(one, given) for one in claims)
            case Not(inner):
                return not self.holds(inner, given)
            case Sure():
                return self._sure(claim, given)

    def decide(self, plan: Plan, given: Input) -> Verdict:
        """What the compiled rules of a plan say of an input. A claim asks that again and again, so the last answer is
        kept."""
        rules = self._decide.get(id(plan))
        if rules is None:
            rules = self._decide[id(plan)] = compile_decide(plan)
        known = self._decided.get(id(plan))
        if known is None or known[0] is not given:
            verdict = rules(given.facts_of(plan.point), given.held_of(plan))
            known = self._decided[id(plan)] = (given, verdict)
        return known[1]

    def _sure(self, sure: Sure, given: Input) -> bool:
        missing = (UNKNOWN, ABSENT) if sure.known else (UNKNOWN,)
        return not any(self._value(given, key) is mark for key in self._mentioned(sure) for mark in missing)

    def _value(self, given: Input, key: Key) -> Known:
        action, name = key
        return (given.attributes.get(action, {}) if action else given.facts).get(name, UNKNOWN)

    def _mentioned(self, sure: Sure) -> list[Key]:
        def asked(action: str, name: str) -> bool:
            return action in sure.actions if action else sure.facts is None or name in sure.facts

        return [key for key in self._space.variables if asked(*key)]

    def _ask(self, claims: Sequence[Claim]) -> tuple[bool | None, Any]:
        """Whether the claims can hold together, and if so a model. Claims about formulas alone are put to a solver that
        knows nothing of the rules, whose models are small."""
        if any(map(_about_order, claims)):
            whole = self._engine.whole
            found = self._engine.check(whole, [self._literal(claim) for claim in claims])
            return found, whole.model() if found else None
        return self._engine.apart([self._express(claim, True) for claim in claims])

    def _confirmed(self, claims: Sequence[Claim], model: Any) -> Answer:
        """What z3 has found, read, made readable and checked."""

        def confirmed(candidate: Input) -> bool:
            possible = all(candidate.possible(window) for plan in self._plans for window in plan.windows)
            return possible and all(self.holds(claim, candidate) for claim in claims)

        mentioned = set().union(*map(self._mentions, claims))
        given = polished(self._input(model, mentioned), confirmed, self._thresholds)
        return Answer(True, given) if confirmed(given) else Answer(None)

    def _mentions(self, claim: Claim) -> set[Key]:
        """The facts and attributes that it depends on; of those a rule before it, all."""
        match claim:
            case Is(formula, _, action):
                return self._space.mentions(formula, action)
            case All(claims) | Some(claims):
                return set().union(*map(self._mentions, claims))
            case Not(inner):
                return self._mentions(inner)
            case Sure():
                return set(self._mentioned(claim))
        return {key for key in self._space.variables if not key[0]}

    def _input(self, model: Any, mentioned: Collection[Key]) -> Input:
        facts: dict[str, Known] = {}
        attributes: dict[str, dict[str, Known]] = {}
        for (action, name), value in self._space.read(model, mentioned).items():
            if value is not UNKNOWN:
                (attributes.setdefault(action, {}) if action else facts)[name] = value
        plain = Input(facts, {}, attributes)
        windows = self._history.windows.values()
        held = {one.window.key: self._value_of(model, one.pair) for one in windows}
        as_now = all(held[one.window.key] is plain.truth(one.window.condition) for one in windows)
        return plain if as_now else Input(facts, held, attributes)

    def _value_of(self, model: Any, pair: Pair) -> Truth:
        if self._z3.is_true(model.eval(pair.true)):
            return True
        return False if self._z3.is_true(model.eval(pair.false)) else None

    def _literal(self, claim: Claim) -> Bool:
        """A Boolean that makes the claim so; it is not made so by the claim, which is all that a question needs."""
        seen = self._seen.get(id(claim))
        if seen is not None:
            return seen[1]
        name = key(claim)
        literal = self._literals.get(name)
        if literal is None:
            literal = self._literals[name] = self._z3.FreshBool("claim", self._space.context)
            self._engine.whole.add(self._z3.Implies(literal, self._express(claim, True)))
        self._seen[id(claim)] = (claim, literal)
        return literal

    def _express(self, claim: Claim, positive: bool) -> Bool:
        space = self._space
        match claim:
            case Is(formula, truth, action):
                return self._has(space.truth(formula, action), truth, positive)
            case Over(window, truth):
                return self._has(self._history.truth(window), truth, positive)
            case Reaches(plan, index):
                return self._reached(plan, index, positive)
            case Not(inner):
                return self._express(inner, not positive)
            case All(claims) | Some(claims):
                parts = [self._express(one, positive) for one in claims]
                return space.all(parts) if isinstance(claim, All) is positive else space.any(parts)
            case Sure():
                mine = [space.variables[key] for key in self._mentioned(claim)]
                sure = space.all(v.known if claim.known else space.any((v.known, v.absent)) for v in mine)
                return sure if positive else self._z3.Not(sure)

    def _has(self, pair: Pair, truth: Truth, positive: bool) -> Bool:
        if truth is None:
            either = self._space.any((pair.true, pair.false))
            return self._z3.Not(either) if positive else either
        wanted = pair.true if truth else pair.false
        return wanted if positive else self._z3.Not(wanted)

    def _reached(self, plan: Plan, index: int, positive: bool) -> Bool:
        """A chain of Booleans, one a rule: the search comes here (or does not) as it came to the rule before and that
        rule is false. One chain serves all questions."""
        space = self._space
        chain = self._chains.setdefault((id(plan), positive), [space.all(()) if positive else space.any(())])
        while len(chain) <= index:
            before = self._express(rule_is(plan, len(chain) - 1, False), positive)
            link = self._z3.FreshBool("reaches" if positive else "misses", space.context)
            together = space.all if positive else space.any
            self._engine.whole.add(self._z3.Implies(link, together((chain[-1], before))))
            chain.append(link)
        return chain[index]


def _about_order(claim: Claim) -> bool:
    """Whether a claim is about the order in which rules are tried."""
    match claim:
        case Reaches():
            return True
        case All(claims) | Some(claims):
            return any(map(_about_order, claims))
        case Not(inner):
            return _about_order(inner)
    return False


def _agree(plans: Sequence[Plan]) -> None:
    declared: list[Fact | Attribute] = []
    for plan in plans:
        declared += [*plan.point.facts, *plan.point.attributes]
    seen: dict[str, Fact | Attribute] = {}
    for one in declared:
        first = seen.setdefault(one.name, one)
        if (first.type, first.values, first.range) != (one.type, one.values, one.range):
            raise ValueError(f"`{one.name}` is declared in two ways, so rules about it cannot be compared")
