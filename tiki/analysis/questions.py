"""What is asked of the rules of one point: gaps, overlaps, rules that never or always hold or are never reached, and
what the guards take away."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from tiki.analysis.boxes import Box, box, meet
from tiki.analysis.claims import All, Claim, Is, Reaches, Some, Sure, decides, forbids, passes, rule_is, stops
from tiki.analysis.inputs import Input
from tiki.analysis.polish import thresholds
from tiki.analysis.solver import Answer, Solver
from tiki.plan import FactTerm, Plan, Verdict, tests

MOST_OVERLAPS = 100
"""Overlaps that are listed of one point."""

_AT_ONCE = 64
"""Rules that one question about overlaps is about."""

_KNOWN = (Sure(known=True),)


class Outcome(StrEnum):
    PROVED = "proved"
    REFUTED = "refuted"
    UNSETTLED = "not settled"


class Question(StrEnum):
    """What a result is about."""

    UNDECIDED = "undecided"
    UNKNOWN = "unknown"
    NEVER = "never"
    ALWAYS = "always"
    UNREACHED = "unreached"
    OVERLAP = "overlap"
    NEVER_FORBIDS = "never forbids"
    REMOVES = "removes"
    OVERRIDDEN = "overridden"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class Result:
    """One statement about the rules and what became of it.

    clauses: what it is about. statement: what was to be proved. input, example: where it is refuted, an input for
    which it does not hold, and the same in TIKI. by: clauses that take part: those that take an unreached rule's
    inputs, the one that decides where two overlap, those that an unknown fact may stop.
    """

    question: Question
    clauses: tuple[str, ...]
    statement: str
    outcome: Outcome
    input: Input | None = None
    example: str = ""
    by: tuple[str, ...] = ()

    @property
    def doubtful(self) -> bool:
        """Whether an author should look at it: a refuted gap, or a proof that something is in vain."""
        gap = self.question in (Question.UNDECIDED, Question.UNKNOWN)
        return self.outcome is (Outcome.REFUTED if gap else Outcome.PROVED)


@dataclass(frozen=True)
class Analysis:
    """Everything that was asked of one point. more_overlaps: there are others beside those that are listed."""

    point: str
    results: tuple[Result, ...]
    more_overlaps: bool = False

    @property
    def settled(self) -> bool:
        return all(result.outcome is not Outcome.UNSETTLED for result in self.results)

    def of(self, question: Question) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.question is question)


Progress = Callable[[int, int], None]


def analyse(plan: Plan, timeout: float = 10.0, progress: Progress = lambda done, total: None) -> Analysis:
    """Asks everything. timeout: seconds for the point; what is not settled by then says so. progress: told how many of
    how many clauses are done; what it raises ends the analysis."""
    false = [rule_is(plan, index, False) for index in range(len(plan.rules))]
    asked = _Asked(plan, Solver(plan, timeout=timeout), false)
    total = len(plan.rules) + len(plan.guards)
    results = list(asked.gaps())
    for index in range(len(plan.rules)):
        progress(index, total)
        results += asked.rule(index)
    overlaps = list(islice(asked.overlaps(), MOST_OVERLAPS + 1))
    for index in range(len(plan.guards)):
        progress(len(plan.rules) + index, total)
        results += asked.guard(index)
    results += asked.actions()
    return Analysis(plan.point.name, tuple(results + overlaps[:MOST_OVERLAPS]), len(overlaps) > MOST_OVERLAPS)


@dataclass(frozen=True)
class _Asked:
    plan: Plan
    solver: Solver
    false: Sequence[Claim]
    """That each rule is false."""
    takers: set[int] = field(default_factory=set)

    def gaps(self) -> Iterator[Result]:
        plan, end = self.plan, len(self.plan.rules)
        statement = "a rule or `otherwise` decides whenever all facts are known or absent"
        if plan.last.reason == "undecided":
            found = self.solver.find(decides(plan, end), prefer=_KNOWN)
            yield self._refutable(Question.UNDECIDED, (), statement, found)
        else:
            yield Result(Question.UNDECIDED, (), statement, Outcome.PROVED)
        found = self.solver.find(Some(tuple(stops(plan, index) for index in range(end))))
        may = [index for index in range(end) if found.possible and self.solver.possible(stops(plan, index))]
        stopping = tuple(plan.rules[index].name for index in may)
        yield self._refutable(Question.UNKNOWN, (), "no unknown fact ends the search", found, stopping)

    def rule(self, index: int) -> Iterator[Result]:
        plan, name = self.plan, self.plan.rules[index].name
        reached = self.solver.find(decides(plan, index), prefer=_KNOWN)
        true = reached if reached.possible else self.solver.find(rule_is(plan, index, True), prefer=_KNOWN)
        yield self._refutable(Question.NEVER, (name,), f"`{name}` is never true", true)
        if true.possible is False:
            return
        # False stays false however the unknown facts turn out, so an input that makes it so needs no unknown one.
        mine, now = _facts(plan, index), Is(plan.rules[index].condition, False)
        wishes = (All((now, Sure(known=True, facts=mine))), now, Sure(known=True, facts=mine))
        always = self.solver.find(rule_is(plan, index, False), Sure(facts=mine), prefer=wishes)
        statement = f"`{name}` is true whenever its facts are known or absent"
        yield self._refutable(Question.ALWAYS, (name,), statement, always)
        takers = self._takers(index) if reached.possible is False else ()
        yield self._refutable(Question.UNREACHED, (name,), f"`{name}` never decides", reached, takers)

    def _takers(self, index: int) -> tuple[str, ...]:
        """The clauses that take all inputs of a rule that is never reached. Those that took another rule's are tried
        first, for it is often the same few."""
        mine = rule_is(self.plan, index, True)
        for tried in (sorted(self.takers), range(index)):
            core = self.solver.reason(*(self.false[earlier] for earlier in tried), mine)
            if core is not None:
                found = [tried[position] for position in core if position < len(tried)]
                self.takers.update(found)
                return tuple(self.plan.rules[earlier].name for earlier in found)
        return ()

    def overlaps(self) -> Iterator[Result]:
        """Pairs of rules that choose differently and are true together, the earlier one first."""
        limits = thresholds((self.plan,))
        # What keeps a rule in force makes it true outside its condition.
        boxes: list[Box] = [{} if rule.window is not None else box(rule.condition, limits) for rule in self.plan.rules]
        choices = [choice(rule.verdict) for rule in self.plan.rules]
        for index in range(len(boxes)):
            later = [
                other
                for other in range(index + 1, len(boxes))
                if choices[other] != choices[index] and meet(boxes[index], boxes[other])
            ]
            yield from self._overlaps(index, later)

    def _overlaps(self, index: int, later: list[int]) -> Iterator[Result]:
        plan = self.plan
        while later:
            both = All(
                (rule_is(plan, index, True), Some(tuple(rule_is(plan, other, True) for other in later[:_AT_ONCE])))
            )
            found = self._first(All((both, Reaches(plan, index))), both)
            if found.input is None:
                if found.possible is None:
                    yield self._overlap(index, later[0], found)
                later = later[_AT_ONCE:]
                continue
            true = [other for other in later if self.solver.holds(rule_is(plan, other, True), found.input)]
            yield from (self._overlap(index, other, found) for other in true)
            later = [other for other in later if other not in true]

    def _overlap(self, index: int, other: int, found: Answer) -> Result:
        first, second = self.plan.rules[index], self.plan.rules[other]
        winner = () if found.input is None else (self.solver.decide(self.plan, found.input).clause,)
        statement = f"`{first.name}` and `{second.name}` are never true together"
        return self._refutable(Question.OVERLAP, (first.name, second.name), statement, found, winner)

    def guard(self, index: int) -> Iterator[Result]:
        guard = self.plan.guards[index]
        found = self.solver.find(Is(guard.condition, True, guard.action), prefer=_KNOWN)
        yield self._refutable(Question.NEVER_FORBIDS, (guard.name,), f"`{guard.name}` never forbids", found)
        for name, deciding in self._choosing(guard.action):
            statement = f"`{guard.name}` takes nothing away where `{name}` chooses or offers {guard.action}"
            found = self._first(
                All((deciding, Is(guard.condition, True, guard.action))), All((deciding, forbids(guard)))
            )
            yield self._refutable(Question.REMOVES, (guard.name, name), statement, found)

    def actions(self) -> Iterator[Result]:
        plan = self.plan
        for action in sorted({guard.action for guard in plan.guards}):
            mine = tuple(guard.name for guard in plan.guards if guard.action == action)
            found = self.solver.find(passes(plan, action))
            yield self._refutable(Question.FORBIDDEN, mine, f"no candidate of {action} passes", found, (action,))
            if found.possible is not False:
                for name, deciding in self._choosing(action):
                    found = self.solver.find(deciding, passes(plan, action))
                    statement = f"no candidate of {action} passes where `{name}` chooses or offers it"
                    yield self._refutable(Question.OVERRIDDEN, (name,), statement, found, (action,))

    def _choosing(self, action: str) -> Iterator[tuple[str, Claim]]:
        """The clauses that choose or offer an action, and when they decide; none that never does."""
        plan = self.plan
        verdicts = [rule.verdict for rule in plan.rules] + [plan.last]
        for index, verdict in enumerate(verdicts):
            offers = action in (verdict.action, *verdict.actions)
            if offers and self.solver.possible(decides(plan, index)) is not False:
                yield verdict.clause, decides(plan, index)

    def _first(self, *claims: Claim) -> Answer:
        """An input for the first claim for which there is one; the last is the widest."""
        found = Answer(None)
        for claim in claims:
            found = self.solver.find(claim, prefer=_KNOWN)
            if found.possible:
                break
        return found

    def _refutable(
        self, question: Question, clauses: tuple[str, ...], statement: str, found: Answer, by: tuple[str, ...] = ()
    ) -> Result:
        """A statement that an input refutes."""
        outcome = {True: Outcome.REFUTED, False: Outcome.PROVED, None: Outcome.UNSETTLED}[found.possible]
        example = "" if found.input is None else found.input.text(self.plan)
        return Result(question, clauses, statement, outcome, found.input, example, by)


def _facts(plan: Plan, index: int) -> frozenset[str]:
    """The facts that a rule asks, those of what keeps it true included."""
    rule = plan.rules[index]
    stay = None if rule.window is None else plan.windows[rule.window].stay
    terms = (term for formula in (rule.condition, stay) if formula for test in tests(formula) for term in test.terms)
    return frozenset(term.fact.name for term in terms if isinstance(term, FactTerm))


def alike(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts come to the same: the same action with the same arguments, the same list or tier."""
    return choice(one) == choice(other)


def choice(verdict: Verdict) -> str:
    """What is chosen, without who chose it: `shed_load(victim=newest)`, `consult [migrate, hold]`, `tier operator`."""
    if verdict.kind == "consult":
        return f"consult [{', '.join(verdict.actions)}]"
    if verdict.tier is not None:
        return f"tier {verdict.tier}"
    args = ", ".join(f"{name}={value}" for name, value in sorted(verdict.args.items()))
    return f"{verdict.action}({args})" if args else str(verdict.action)
