"""Analysis against brute force: every input of a domain that has all thresholds, values on both sides of each, absent
and unknown, tried one by one with the compiled rules.

The default looks at a few specs; the full run, about ten minutes of computing time, is

    ANALYSED_SPECS=2000 pytest tests/tiki/test_analysis_brute_force.py --timeout 3600
"""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import lab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiki import ABSENT, UNKNOWN, Known, Program, Truth
from tiki.analysis import Outcome, Question, analyse, choice, compare
from tiki.plan import Window

SPECS = int(os.environ.get("ANALYSED_SPECS", "120"))
PROVED, REFUTED, UNSETTLED = Outcome.PROVED, Outcome.REFUTED, Outcome.UNSETTLED
unhurried = settings(max_examples=SPECS, deadline=None, suppress_health_check=list(HealthCheck))

_OPERATORS = ("<", "<=", ">", ">=", "==", "!=")
_LEAVES = {
    "memory": st.builds("memory {} {}%".format, st.sampled_from(_OPERATORS), st.sampled_from((50, 90))),
    "gpu": st.one_of(
        st.builds("gpu {} {}%".format, st.sampled_from(_OPERATORS), st.sampled_from((50, 90))),
        st.just("gpu in [50%, 90%]"),
    ),
    "queue": st.builds("queue {} {}".format, st.sampled_from(_OPERATORS), st.sampled_from(("4", "4.5", "10"))),
    "load": st.builds("{} {} load".format, st.sampled_from(("4", "10.5")), st.sampled_from(_OPERATORS)),
    "state": st.sampled_from(("state == lost", "state != ready", "state in [lost, draining]", "state in zones")),
    "busy": st.sampled_from(("busy", "busy == false")),
    "labels": st.sampled_from(("lost in labels", "spot in labels")),
}
_TOGETHER = {
    ("memory", "gpu"): ("memory > gpu", "gpu == memory", "memory != gpu"),
    ("queue", "load"): ("queue > load", "load == queue", "load >= queue"),
    ("labels", "state"): ("state in labels",),
}
_CHOICES = ("shed_load", "scale_out", "migrate", "hold", "consult [migrate, hold]", "consult [shed_load, hold]")
_PERCENTS: tuple[Known, ...] = (30.0, 40.0, 50.0, 60.0, 70.0, 90.0, 95.0, 99.0)
DOMAINS: dict[str, tuple[Known, ...]] = {
    "memory": _PERCENTS,
    "gpu": _PERCENTS,
    "queue": (1, 2, 4, 5, 6, 10, 11, 12, 13),
    "load": (0.5, 1.0, 1.5, 4.0, 4.25, 4.5, 4.75, 5.5, 6.0, 10.0, 10.25, 10.5, 11.0, 11.5, 12.5),
    "state": ("ready", "draining", "lost"),
    "busy": (True, False),
    "labels": tuple(
        names for size in range(5) for names in itertools.combinations(("draining", "lost", "ready", "spot"), size)
    ),
}
ATTRIBUTES: tuple[Known, ...] = (0, 1, 2, ABSENT, UNKNOWN)
_AT_MOST: dict[Truth, tuple[Truth, ...]] = {True: (True, False, None), None: (None, False), False: (False,)}


@st.composite
def specs(draw: st.DrawFn, many: int = 1) -> list[tuple[tuple[str, ...], ...]]:
    """Bullets of so many specs about the same one to three facts, and the facts."""
    facts = draw(st.lists(st.sampled_from(sorted(_LEAVES)), min_size=1, max_size=3, unique=True))
    leaves = [_LEAVES[fact] for fact in facts] + [st.builds("{} is absent".format, st.sampled_from(facts))]
    leaves += [st.sampled_from(texts) for both, texts in _TOGETHER.items() if set(both) <= set(facts)]
    conditions = st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.builds("not ({})".format, inner),
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
        ),
        max_leaves=4,
    )
    window = draw(st.sampled_from(("", "", " for 30s", " for 60s", "clear", "clear for")))
    rules = draw(st.lists(conditions, min_size=1, max_size=4))
    guard = st.one_of(conditions, st.sampled_from(("target.gpu_free < job.gpu", "target.gpu_free < 1")))
    found = []
    for _ in range(many):
        bullets = [f"when {rule}: {draw(st.sampled_from(_CHOICES))}" for rule in rules]
        if window.startswith("clear") and "memory" in facts:
            bullets.append(
                f"when memory > 90%{window[5:] and ' for 30s'}, clear at 50%: {draw(st.sampled_from(_CHOICES))}"
            )
        elif window.startswith(" for"):
            bullets[-1] = bullets[-1].replace(": ", f"{window}: ", 1)
        bullets += [f"never migrate when {text}" for text in draw(st.lists(guard, max_size=2))]
        bullets += draw(st.sampled_from(([], ["otherwise: hold"], ["otherwise: scale_out"])))
        bullets.append(draw(st.sampled_from(("fallback: request_operator", "fallback: hold"))))
        found.append(tuple(bullets))
        if draw(st.booleans()):
            rules = [*rules[1:], draw(conditions)]
    return [tuple(facts), *found]


@dataclass(frozen=True)
class Case:
    """One input and what the compiled rules make of it."""

    truths: tuple[Truth, ...]
    decided: int
    """Index of the rule that is true, -1 at the end of the page, -2 where an unknown rule stops."""
    stopped: int
    forbidding: frozenset[frozenset[int]]
    """For each candidate of migrate the guards that forbid it."""
    held: tuple[Truth, ...]


class Brute:
    def __init__(self, bullets: tuple[str, ...]) -> None:
        self.program = lab.program(*bullets)
        self.plan = self.program.plan
        rules = [bullet for bullet in bullets if bullet.startswith("when")]
        guards = [bullet for bullet in bullets if bullet.startswith("never")]
        self.alone = [lab.program(_bare(rule), "otherwise: hold", "fallback: request_operator") for rule in rules]
        self.guards = [lab.program(guard, "otherwise: hold", "fallback: hold") for guard in guards]

    def case(self, facts: tuple[Known, ...], held: tuple[Truth, ...]) -> Case:
        verdict = self.program.decide(facts, held)
        truths = tuple(
            held[rule.window] if rule.window is not None else _truth(alone, facts)
            for rule, alone in zip(self.plan.rules, self.alone, strict=True)
        )
        decided = {"rule": verdict.index, "unknown": -2}.get(verdict.reason, -1)
        return Case(truths, decided, verdict.index if decided == -2 else -1, self._forbidding(facts), held)

    def _forbidding(self, facts: tuple[Known, ...]) -> frozenset[frozenset[int]]:
        if not self.guards:
            return frozenset()
        return frozenset(
            frozenset(at for at, one in enumerate(self.guards) if one.forbids(facts, (), "migrate", {}, attributes))
            for attributes in CANDIDATES
        )


CANDIDATES = [
    {name: None if value is ABSENT else value for name, value in pair if value is not UNKNOWN}
    for free, wanted in itertools.product(ATTRIBUTES, repeat=2)
    for pair in [(("target.gpu_free", free), ("job.gpu", wanted))]
]


def _bare(rule: str) -> str:
    return re.sub(r"( for \d+s)?(, clear at \d+%)?: ", ": ", rule, count=1)


def _truth(alone: Program, facts: tuple[Known, ...]) -> Truth:
    return {"rule": True, "otherwise": False, "unknown": None}[alone.decide(facts, ()).reason]


def inputs(facts: tuple[str, ...]) -> Iterator[tuple[Known, ...]]:
    domains = [(*DOMAINS[fact], ABSENT, UNKNOWN) for fact in facts]
    for values in itertools.product(*domains):
        known = dict(zip(facts, values, strict=True))
        yield tuple(known.get(fact.name, UNKNOWN) for fact in lab.POINT.facts)


def holdings(program: Program, facts: tuple[Known, ...]) -> Iterator[tuple[Truth, ...]]:
    """What the windows may be, whatever came before: as `tiki.windows.judge` has it."""
    now = program._samples(facts) if program.windows else ()
    kinds = [_over(window, now[2 * at], now[2 * at + 1]) for at, window in enumerate(program.windows)]
    return itertools.product(*kinds)


def _over(window: Window, now: Truth, stay: Truth) -> list[Truth]:
    over = _AT_MOST[now] if window.duration else (now,)
    kept = (False,) if window.stay is None else _AT_MOST[stay]
    pairs = itertools.product(over, kept)
    return sorted({True if True in p else None if None in p else False for p in pairs}, key=repr)


def cases(brute: Brute, facts: tuple[str, ...]) -> list[Case]:
    tried = inputs(facts)
    return [brute.case(known, held) for known in tried for held in holdings(brute.program, known)]


@unhurried
@given(specs())
def test_every_answer_is_what_trying_all_inputs_says(drawn: list[tuple[str, ...]]) -> None:
    facts, bullets = drawn
    brute = Brute(bullets)
    tried = cases(brute, facts)
    rules = brute.plan.rules
    found = analyse(brute.plan, timeout=60)
    assert found.settled
    answers = {(result.question, result.clauses): result for result in found.results}

    def outcome(question: Question, *clauses: str) -> bool:
        return answers[question, clauses].outcome is REFUTED

    undecided = brute.plan.last.reason == "undecided" and any(case.decided == -1 for case in tried)
    assert outcome(Question.UNDECIDED) == undecided
    stopping = tuple(rule.name for at, rule in enumerate(rules) if any(case.stopped == at for case in tried))
    assert outcome(Question.UNKNOWN) == bool(stopping)
    assert answers[Question.UNKNOWN, ()].by == stopping
    for at, rule in enumerate(rules):
        true = any(case.truths[at] is True for case in tried)
        assert outcome(Question.NEVER, rule.name) == true
        if true:
            assert outcome(Question.ALWAYS, rule.name) == any(case.truths[at] is False for case in tried)
            assert outcome(Question.UNREACHED, rule.name) == any(case.decided == at for case in tried)
    overlaps = {
        (rules[one].name, rules[other].name)
        for one, other in itertools.combinations(range(len(rules)), 2)
        if choice(rules[one].verdict) != choice(rules[other].verdict)
        and any(case.truths[one] is case.truths[other] is True for case in tried)
    }
    assert {result.clauses for result in found.of(Question.OVERLAP) if result.outcome is REFUTED} == overlaps
    _guards(brute, tried, answers)
    for result in found.results:
        _shows(brute, result)


def _guards(brute: Brute, tried: list[Case], answers: dict) -> None:
    plan = brute.plan
    clauses = [(at, rule.verdict) for at, rule in enumerate(plan.rules)] + [(-1, plan.last)]
    choosing = [(at, verdict.clause) for at, verdict in clauses if "migrate" in (verdict.action, *verdict.actions)]
    names = tuple(guard.name for guard in plan.guards)
    if not names:
        return
    passing = any(frozenset() in case.forbidding for case in tried)
    assert (answers[Question.FORBIDDEN, names].outcome is REFUTED) == passing
    for at, clause in choosing:
        here = [case for case in tried if case.decided == at]
        if not here:
            assert (Question.OVERRIDDEN, (clause,)) not in answers
            continue
        for guard, name in enumerate(names):
            removes = any(guard in forbidding for case in here for forbidding in case.forbidding)
            assert (answers[Question.REMOVES, (name, clause)].outcome is REFUTED) == removes
        if passing:
            passes = any(frozenset() in case.forbidding for case in here)
            assert (answers[Question.OVERRIDDEN, (clause,)].outcome is REFUTED) == passes


def _shows(brute: Brute, result) -> None:
    """The example, read back from its text, shows what it is said to show."""
    if result.outcome is not REFUTED or "over time" in result.example:
        return
    facts = read_back(brute.program, result.example)
    verdict = brute.program.decide(facts, brute.program.unwatched(facts))
    match result.question:
        case Question.UNREACHED:
            assert verdict.clause == result.clauses[0]
        case Question.UNDECIDED | Question.UNKNOWN:
            assert verdict.reason == {"undecided": "undecided", "unknown": "unknown"}[result.question.value]
        case Question.OVERLAP:
            assert verdict.clause == result.by[0]


def read_back(program: Program, example: str) -> tuple[Known, ...]:
    words = dict(re.findall(r"([\w.]+)=(\[[^\]]*\]|\"[^\"]*\"|\S+)", example))
    given = {name: None if text == "absent" else text for name, text in words.items() if "." not in name}
    return program.facts_from({name: value and value.strip('"') for name, value in given.items()})


@unhurried
@given(specs(many=2))
def test_two_specs_differ_where_trying_all_inputs_says_so(drawn: list[tuple[str, ...]]) -> None:
    facts, *both = drawn
    old, new = (Brute(bullets) for bullets in both)
    found = compare(old.plan, new.plan, timeout=60)
    assert found.complete
    expected, guards, consulted = set(), set(), False
    keys = [[window.key for window in one.plan.windows] for one in (old, new)]
    if keys[0] and keys[1] and keys[0] != keys[1]:
        return  # two windows see the same samples: what that makes impossible, the test of histories is about
    for known in inputs(facts):
        for held in holdings(old.program if keys[0] else new.program, known):
            said = [one.program.decide(known, held if key else ()) for one, key in zip((old, new), keys, strict=True)]
            if choice(said[0]) != choice(said[1]):
                expected.add(tuple((one.clause, one.reason) for one in said))
            consulted |= choice(said[0]) != choice(said[1]) and "consult" in (said[0].kind, said[1].kind)
    assert {
        ((one.old.clause, one.old.reason), (one.new.clause, one.new.reason)) for one in found.differences
    } == expected
    assert not consulted or found.consults is REFUTED
    for one in found.guards:
        guards.add(one.forbidden)
    assert guards == _forbidden_anew(old, new, facts)
    # What a window says is tried here whether or not a history leads there, and none makes `x or not x, for 30s` false.
    # Such a difference is not claimed.
    shown = guards or not (keys[0] or keys[1]) or any(one.certain for one in found.differences)
    same = not expected and not guards
    assert found.equivalent is (PROVED if same else REFUTED if shown else UNSETTLED)


def _forbidden_anew(old: Brute, new: Brute, facts: tuple[str, ...]) -> set[bool]:
    found = set()
    for known in inputs(facts):
        for attributes in CANDIDATES:
            forbidden = [one.program.forbids(known, (), "migrate", {}, attributes) is not None for one in (old, new)]
            if forbidden[0] != forbidden[1]:
                found.add(forbidden[1])
    return found
