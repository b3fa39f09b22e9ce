"""Examples from a ledger that a real desk has written."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from federation.counsel import Heard
from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy.rendering import render
from federation.policy.tier import question_of
from federation.records import Event, Kind, Outcome, decode
from tests.policy.plant import SPEC, VALVE, Question, Works
from training.dataset import store
from training.dataset.build import COPY, Request, build
from training.dataset.collect import Left, collect
from training.dataset.example import Logged
from training.dataset.scrub import scrub

SURE = Question((-6.0, -7.0, -5.0, -0.011), 3)
"""The policy is sure of `hold`."""
UNSURE = Question((-1.3, -1.4, -1.5, -1.4), 1)
"""It would open; `close` is right."""

HASTY = """
## PLANT Valve Spec
- decides: plant.valve
- fallback: close
- timeout: 60s
- high: when pressure > 90%: hold
- otherwise: consult [open, close, flush, hold]
"""

Make = Callable[..., Works]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Works] = []

    def works(*settings: str, spec: str = SPEC) -> Works:
        folder = tmp_path / f"works{len(made)}"
        folder.mkdir()
        made.append(Works(folder, spec + "".join(f"- {line}\n" for line in settings)))
        return made[-1]

    yield works
    for one in made:
        one.close()


def found(works: Works, **more: object) -> list[Logged]:
    every = collect(works.store, works.points, works.store.head(), names=[VALVE.name], **more)  # type: ignore[arg-type]
    return [one for one in every if isinstance(one, Logged)]


def post(works: Works, pressure: float) -> None:
    name = f"p{works.store.head().size}"
    works.federation.post([Event(name, "test", "plant.measured", "valve", None, {"pressure": pressure})])


def reasons(works: Works) -> list[str]:
    every = collect(works.store, works.points, works.store.head(), names=[VALVE.name])
    return [one.why for one in every if isinstance(one, Left)]


async def test_what_the_policy_chose_comes_with_scores_and_the_exact_propensities(make: Make) -> None:
    works = make("explore: 40%")
    taken, explored = works.ask([SURE, SURE], iter([0.9, 0.9, 0.3, 0.3]).__next__)
    await works.federation.act()
    best, other = found(works)
    assert (best.decision, best.tier, best.choice, best.preferred) == (taken, "policy", 3, 3)
    assert best.propensities == pytest.approx((0.2, 0.2, 0.0, 0.6))
    assert best.logs == SURE.scores
    assert (other.decision, other.choice, other.preferred) == (explored, 1, 3)
    assert not other.overridden
    assert (best.status, other.status) == ("", "done")


def test_what_a_person_answered_instead_of_an_unsure_policy_is_an_override(make: Make) -> None:
    works = make()
    (decision,) = works.ask([UNSURE], lambda: 0.5)
    works.answer({decision: UNSURE})
    (example,) = found(works)
    assert (example.tier, example.choice, example.preferred, example.overridden) == ("operator", 1, 0, True)
    assert example.propensities == ()
    assert [math.exp(log) for log in example.logs] == pytest.approx([math.exp(log) for log in UNSURE.scores])


def test_an_outcome_brings_its_reward_and_silence_what_the_point_says_of_it(make: Make) -> None:
    works = make("explore: 100%")
    failed, silent = works.ask([SURE, SURE], lambda: 0.1)
    works.federation.outcome(failed, Outcome("failed", "stuck", reward=-1.5))
    one, two = found(works)
    assert (one.status, one.reward) == ("failed", -1.5)
    assert (two.decision, two.status, two.reward) == (silent, "", None)
    works.minutes(2)
    _, two = found(works)
    assert (two.status, two.reward) == ("unknown", None)


def test_rules_fall_backs_and_time_outs_are_no_examples_and_are_counted(make: Make) -> None:
    works = make(spec=HASTY)
    post(works, 95)
    post(works, 80)
    works.minutes(3)
    post(works, 80)
    heard = {decision: Heard(consult.offered, None) for decision, consult in works.federation.consults().items()}
    works.federation.hear(heard)
    assert found(works) == []
    assert reasons(works) == ["a rule answered", "nobody answered", "a fall-back answered"]


def test_records_after_the_head_are_not_seen(make: Make) -> None:
    works = make("explore: 100%")
    (decision,) = works.ask([SURE], lambda: 0.1)
    head = works.store.head()
    works.federation.outcome(decision, Outcome("done", reward=1.0))
    (before,) = collect(works.store, works.points, head, names=[VALVE.name])
    assert isinstance(before, Logged)
    assert (before.status, before.reward) == ("", None)


def test_what_no_longer_fits_the_point_is_left_out_and_counted(make: Make, tmp_path: Path) -> None:
    works = make()
    works.ask([SURE] * 3, lambda: 0.5)
    actions = tuple(one for one in VALVE.schema.actions if one.name != "flush")
    now = VALVE.schema.model_copy(update={"version": 4, "actions": actions, "facts": ()})
    points = {**works.points, VALVE.name: DecisionPoint(now, VALVE.events, {})}
    with pytest.raises(Refused, match=r"specs cannot be read any more: 3"):
        build(works.store, points, Request([VALVE.name]), tmp_path / "sets")


def test_a_fact_that_is_declared_no_more_leaves_the_rest(make: Make, tmp_path: Path) -> None:
    works = make()
    works.ask([SURE] * 3, lambda: 0.5)
    now = VALVE.schema.model_copy(update={"version": 4, "facts": ()})
    points = {**works.points, VALVE.name: DecisionPoint(now, VALVE.events, VALVE.effects)}
    data = store.load(build(works.store, points, Request([VALVE.name]), tmp_path / "sets"))
    assert {example.version for example in data.train} == {3}
    assert {tuple(example.question.facts) for example in data.train} == {()}
    assert sum(data.recipe.dropped[VALVE.name].values()) == 3


def test_the_same_ledger_and_request_give_the_same_bytes_also_when_the_ledger_has_grown(
    make: Make, tmp_path: Path
) -> None:
    works = make("explore: 40%")
    random = Random(1)
    works.ask([SURE] * 40, random.random)
    size = works.store.head().size
    one = build(works.store, works.points, Request([VALVE.name]), tmp_path / "one")
    works.ask([SURE] * 40, random.random)
    two = build(works.store, works.points, Request([VALVE.name], upto=size), tmp_path / "two")
    assert one.name == two.name
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }
    assert store.load(one).recipe.ledger is not None
    assert build(works.store, works.points, Request([VALVE.name]), tmp_path / "one") != one


def test_near_copies_are_thinned_out_and_counted(make: Make, tmp_path: Path) -> None:
    works = make()
    works.ask([SURE] * 30, lambda: 0.5)
    folder = build(works.store, works.points, Request([VALVE.name], copies=5), tmp_path / "sets")
    recipe = store.read_recipe(folder)
    assert sum(split.examples for split in recipe.splits.values()) == 5
    assert recipe.left_out[VALVE.name][COPY] == 25


def test_the_policy_reads_the_same_text_as_when_it_was_asked(make: Make) -> None:
    works = make()
    (decision,) = works.ask([UNSURE], lambda: 0.5)
    works.answer({decision: UNSURE})
    (example,) = found(works)
    (asked,) = [decode(Kind.ASKED, r.body) for r in works.store.decision(decision) if r.header.kind == Kind.ASKED]
    clean = scrub(VALVE.schema, example).example.question
    program = works.bundle.programs[VALVE.name]
    assert render(VALVE.schema, clean) == render(VALVE.schema, question_of(program, asked))
    assert msgspec.json.encode(clean)


def test_where_nothing_was_decided_the_next_step_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        build(make().store, {VALVE.name: VALVE}, Request(), tmp_path / "sets")
    assert refused.value.cure
    with pytest.raises(Refused, match=r"no decision point `plant.pump`"):
        build(make().store, {VALVE.name: VALVE}, Request(["plant.pump"]), tmp_path / "sets")


async def test_of_a_point_whose_world_has_changed_the_answers_of_before_are_left_out(make: Make) -> None:
    works = make()
    (old,) = works.ask([SURE], iter([0.9, 0.9]).__next__)
    works.clock.advance(60)
    changed = works.clock.now()
    (new,) = works.ask([SURE], iter([0.9, 0.9]).__next__)
    assert old != new
    assert [one.decision for one in found(works, changed={VALVE.name: changed})] == [new]
    assert len(found(works, changed={"plant.pump": changed})) == 2
