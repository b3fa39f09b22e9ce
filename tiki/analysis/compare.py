"""What two plans of one point decide differently: regions of input with an example each, candidates that guards newly
forbid or allow, and whether a `consult` asks elsewhere than before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tiki.analysis.claims import All, Claim, Not, Reaches, Some, Sure, decides, forbids, passes, stops
from tiki.analysis.inputs import Input
from tiki.analysis.lived import Lives
from tiki.analysis.questions import Outcome, choice
from tiki.analysis.solver import Solver
from tiki.analysis.words import condition_of
from tiki.merge import declared
from tiki.plan import Plan, Verdict
from tiki.values import show

MOST_DIFFERENCES = 50
"""Regions that are listed of one point."""


@dataclass(frozen=True)
class Difference:
    """Inputs of which the old plan says one thing and the new one another.

    input, example: one of them, and the same in TIKI. condition: TIKI words for which it is so, "" where a few words do
    not say it. exactly: for no other input. unknown_only: it takes a fact that is unknown. certain: there is such an
    input; else z3 has found one whose windows no samples are known to lead to.
    """

    old: Verdict
    new: Verdict
    input: Input
    example: str
    condition: str
    exactly: bool
    unknown_only: bool
    certain: bool = True


@dataclass(frozen=True)
class GuardChange:
    """Candidates of an action that the guards of one plan forbid and those of the other let through.
    forbidden: by the new one."""

    action: str
    forbidden: bool
    input: Input
    example: str


@dataclass(frozen=True)
class SettingChange:
    """A setting that the point's manager or the language reads, or the cooldown of a rule; "" where it is not set."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """equivalent: whether rules, guards and what is consulted are the same for all inputs; not settled, where that is
    open, where no difference is certain or where there are more than are listed. consults: whether every `consult` asks
    on the same inputs for the same actions as before; refuted where it does not, with `consult_example`: then what was
    promised of a policy's errors there was promised of other inputs."""

    point: str
    equivalent: Outcome
    differences: tuple[Difference, ...]
    guards: tuple[GuardChange, ...]
    settings: tuple[SettingChange, ...]
    consults: Outcome
    consult_example: str
    complete: bool


def compare(old: Plan, new: Plan, timeout: float = 10.0) -> Comparison:
    """timeout: seconds of computing time. Raises ValueError where the plans are about two points, or about one of which
    a fact or an attribute was declared anew."""
    if old.point.name != new.point.name:
        raise ValueError(f"{old.point.name} and {new.point.name} are two points")
    solver = Solver(old, new, timeout=timeout)
    asked = _Asked(old, new, solver, Lives(solver, (old, new)))
    open_: list[bool] = []
    differences = list(islice(asked.differences(open_), MOST_DIFFERENCES + 1))
    guards = tuple(asked.guards(open_))
    complete = not open_ and len(differences) <= MOST_DIFFERENCES
    consults, example = asked.consults()
    differ = bool(guards) or any(one.certain for one in differences)
    same = complete and not differences
    return Comparison(
        point=new.point.name,
        equivalent=Outcome.REFUTED if differ else Outcome.PROVED if same else Outcome.UNSETTLED,
        differences=tuple(differences[:MOST_DIFFERENCES]),
        guards=guards,
        settings=tuple(_settings(old, new)),
        consults=consults,
        consult_example=example,
        complete=complete,
    )


@dataclass(frozen=True)
class _Outcome:
    """One thing that a plan may say, and when."""

    verdict: Verdict
    when: Claim


def _outcomes(plan: Plan) -> list[_Outcome]:
    """An unknown rule ends the search wherever it stands: one outcome for all."""
    found = [_Outcome(rule.verdict, decides(plan, index)) for index, rule in enumerate(plan.rules)]
    if plan.rules:
        unknown = Some(tuple(stops(plan, index) for index in range(len(plan.rules))))
        found.append(_Outcome(plan.rules[0].unknown, unknown))
    return [*found, _Outcome(plan.last, Reaches(plan, len(plan.rules)))]


def _same(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts are one outcome."""
    return (one.clause, one.reason) == (other.clause, other.reason)


@dataclass(frozen=True)
class _Asked:
    old: Plan
    new: Plan
    solver: Solver
    lives: Lives

    def differences(self, open_: list[bool]) -> Iterator[Difference]:
        before, after = _outcomes(self.old), _outcomes(self.new)
        differ = Some(tuple(self._only(before, after, said) for said in _choices(before)))
        seen: list[Claim] = []
        for wish in ((Sure(),), ()):
            while True:
                found = self.solver.find(differ, *seen, *wish)
                if found.input is None:
                    break
                old, new = (self.solver.decide(plan, found.input) for plan in (self.old, self.new))
                region = All((_of(before, old), _of(after, new)))
                seen.append(Not(region))
                yield self._difference(old, new, region, found.input, unknown_only=not wish)
            if found.possible is None:
                open_.append(True)

    def _only(self, here: Sequence[_Outcome], there: Sequence[_Outcome], said: str) -> Claim:
        """This is chosen here and not there."""
        return All((_chosen(here, said), Not(_chosen(there, said))))

    def _difference(self, old: Verdict, new: Verdict, region: Claim, given: Input, unknown_only: bool) -> Difference:
        short = self.solver.find(region, prefer=(Sure(known=True), Sure())).input or given
        condition, exactly = condition_of(self.solver, region, short, (self.old, self.new))
        lived = self.lives.leading_to(region, short) or self.lives.leading_to(region, given)
        shown, certain = lived or short, lived is not None or bool(condition)
        text = shown.text(self.old, self.new)
        return Difference(old, new, shown, text, condition, exactly, unknown_only, certain)

    def guards(self, open_: list[bool]) -> Iterator[GuardChange]:
        for action in sorted({guard.action for plan in (self.old, self.new) for guard in plan.guards}):
            for one, other in ((self.old, self.new), (self.new, self.old)):
                wishes = (Sure((action,), known=True), Sure((action,)))
                found = self.solver.find(passes(one, action), _forbidden(other, action), prefer=wishes)
                if found.input is not None:
                    yield GuardChange(action, other is self.new, found.input, found.input.text(self.old, self.new))
                elif found.possible is None:
                    open_.append(True)

    def consults(self) -> tuple[Outcome, str]:
        before, after = _outcomes(self.old), _outcomes(self.new)
        changed: list[Claim] = []
        lists = {one.verdict.actions for one in (*before, *after) if one.verdict.kind == "consult"}
        for actions in sorted(lists):
            said = f"consult [{', '.join(actions)}]"
            changed += [self._only(before, after, said), self._only(after, before, said)]
            for action in actions:
                for one, other in ((self.old, self.new), (self.new, self.old)):
                    changed.append(All((_chosen(before, said), passes(one, action), _forbidden(other, action))))
        asks = Some(tuple(changed))
        found = self.solver.find(asks, prefer=(Sure(known=True), Sure()))
        if found.input is None:
            return Outcome.PROVED if found.possible is False else Outcome.UNSETTLED, ""
        lived = self.lives.leading_to(asks, found.input)
        return (Outcome.UNSETTLED, "") if lived is None else (Outcome.REFUTED, lived.text(self.old, self.new))


def _choices(outcomes: Sequence[_Outcome]) -> list[str]:
    return sorted({choice(one.verdict) for one in outcomes})


def _chosen(outcomes: Sequence[_Outcome], said: str) -> Claim:
    return Some(tuple(one.when for one in outcomes if choice(one.verdict) == said))


def _of(outcomes: Sequence[_Outcome], verdict: Verdict) -> Claim:
    return next(one.when for one in outcomes if _same(one.verdict, verdict))


def _forbidden(plan: Plan, action: str) -> Claim:
    return Some(tuple(forbids(guard) for guard in plan.guards if guard.action == action))


def _settings(old: Plan, new: Plan) -> Iterator[SettingChange]:
    known = declared(new.point)
    for name, setting in known.items():
        before, after = (plan.settings.get(name) for plan in (old, new))
        if before != after:
            shown = ("" if value is None else show(setting.type, value) for value in (before, after))
            yield SettingChange(name, *shown)
    cooldowns = {rule.name: rule.cooldown for rule in old.rules}
    for rule in new.rules:
        if rule.name in cooldowns and cooldowns[rule.name] != rule.cooldown:
            shown = ("" if value is None else f"{value:g}s" for value in (cooldowns[rule.name], rule.cooldown))
            yield SettingChange(f"cooldown of {rule.name}", *shown)
