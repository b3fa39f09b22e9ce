"""Questions of a simulated world behind the spec of its point."""

import pytest
from lamp import POINT, SPEC, WORLD, lamps

from federation.records import Candidate
from training.scenarios.generate import digest_of
from training.scenarios.rules import Rules
from training.scenarios.scenario import SPLITS, rights, rounded, split_of
from training.scenarios.world import Seen

LAMPS = lamps()
PROPOSED = (Candidate("small"), Candidate("large"), Candidate("torch", {}, {"lamp.smoke": 1.0}), Candidate("hold"))


def offered(light, price, candidates=PROPOSED, spec=SPEC):
    consulted = lamps(spec).consulted(Seen({"light": light, "price": price, "guests": 1}, candidates))
    return consulted and [candidate.action for candidate in consulted[0].candidates]


def test_what_a_rule_answers_is_no_question():
    assert offered(light=70, price=5) is None


def test_what_the_spec_consults_on_is_offered_with_the_terminal_action_and_nothing_else():
    assert offered(light=20, price=5) == ["small", "large", "hold"]


def test_what_a_guard_forbids_is_not_offered():
    assert offered(light=20, price=9.5) == ["small", "hold"]


def test_a_situation_that_leaves_no_choice_is_no_question():
    assert offered(20, 9.5, (Candidate("large"), Candidate("torch"), Candidate("hold"))) is None


def test_a_question_has_the_settings_of_the_spec_and_the_facts_as_the_record_has_them():
    spec = SPEC.replace("- decides: lab.lamp", "- decides: lab.lamp\n- dark: 50%")
    question, at = lamps(spec).consulted(Seen({"light": 20, "price": None}, PROPOSED))
    assert question.settings["dark"] == 50.0
    assert question.facts == {"light": 20.0, "price": None}
    assert at == (0, 1, 3)


def test_outcomes_are_those_of_the_candidates_offered():
    for example in LAMPS.examples("train", 50):
        actions = [candidate.action for candidate in example.question.candidates]
        assert all(outcome[actions.index("hold")] == 0.0 for outcome in example.outcomes)
        assert len(example.right) == len(actions) == len(example.outcomes[0])


def test_right_is_whatever_comes_within_epsilon_of_the_best():
    assert rights((1.0, 0.96, 0.9), 0.05) == (True, True, False)
    for example in LAMPS.examples("test", 20):
        shares = [sum(rights(o, WORLD.epsilon)[i] for o in example.outcomes) / 64 for i in range(len(example.right))]
        assert list(example.right) == shares
        assert example.happened(WORLD.epsilon) == rights(example.outcomes[0], WORLD.epsilon)


@pytest.mark.parametrize("split", SPLITS)
def test_a_slice_is_the_same_drawn_alone(split):
    whole = list(LAMPS.examples(split, 12))
    assert list(lamps().examples(split, 4, start=5)) == whole[5:9]
    assert list(LAMPS.examples(split, 3)) == whole[:3]


def test_fewer_completions_are_the_first_of_more():
    few, more = (next(LAMPS.examples("test", 1, completions=n)) for n in (2, 5))
    assert few.question == more.question
    assert few.outcomes == more.outcomes[:2]


def test_splits_share_no_question_and_not_one_that_looks_like_it():
    seen = {split: {rounded(e.question) for e in LAMPS.examples(split, 200, completions=1)} for split in SPLITS}
    assert sum(map(len, seen.values())) == len(set().union(*seen.values()))
    assert all(len(questions) > 190 for questions in seen.values())


def test_every_question_has_its_split_by_content_in_proportion():
    assert sum(split.share for split in SPLITS.values()) == 256
    questions = [example.question for example in LAMPS.examples("temperature", 50)]
    assert {split_of(question) for question in questions} == {"temperature"}


def test_the_family_held_out_is_in_held_out_alone():
    families = {split: {e.family for e in LAMPS.examples(split, 10, completions=1)} for split in SPLITS}
    assert families.pop("held_out") == {WORLD.held_out}
    assert all(found == {"evening", "feast"} for found in families.values())


def test_a_spec_that_never_consults_is_named():
    with pytest.raises(RuntimeError, match=r"lab\.lamp: .* family evening"):
        next(lamps("## LAB Lamp Spec\n- decides: lab.lamp\n- otherwise: hold\n").examples("train", 1))


@pytest.mark.parametrize(
    ("facts", "action"),
    [({"light": 9, "guests": 5}, "large"), ({"light": 9, "guests": 2}, "small"), ({"light": 9}, "hold")],
)
def test_rules_alone_choose_among_what_is_offered_and_hold_where_they_cannot_tell(facts, action):
    question, _ = LAMPS.consulted(Seen({"price": 1.0, **facts}, PROPOSED))
    assert question.candidates[Rules(WORLD).choose(question)].action == action


def test_rules_alone_take_the_terminal_action_where_their_choice_is_forbidden():
    question, _ = LAMPS.consulted(Seen({"light": 9, "guests": 5, "price": 9.5}, PROPOSED))
    assert question.candidates[Rules(WORLD).choose(question)].action == POINT.terminal


@pytest.mark.parametrize("changed", range(4))
def test_the_digest_changes_with_a_world_a_spec_the_version_of_a_point_or_an_example(changed):
    parts = [{"lamp.py": "epsilon = 0.05"}, {"lab/lamp.tiki": SPEC}, {"lab.lamp": 1}, {"lab.lamp train": "[]"}]
    before = digest_of(*parts)
    assert digest_of(*map(dict, parts)) == before
    name, value = next(iter(parts[changed].items()))
    parts[changed] = {name: value * 2}
    assert digest_of(*parts) != before
