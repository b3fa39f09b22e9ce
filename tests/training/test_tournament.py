"""Who is called better, and that it is seldom somebody who is not."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.errors import Refused, Temporary
from federation.policy import artefacts, calibration, card
from federation.policy.calibration import Calibration
from federation.policy.promotions import Estimate
from federation.policy.question import Question, Scores
from federation.policy.registry import Line, Stage, Trial
from federation.policy.tier import SHIPPED
from federation.settings import Settings
from managers.uim.cli.app import app
from tests.policy.shelf import like_shipped
from training.cli.tournament import enrol
from training.dataset.simulated import logged
from training.scenarios.generate import scenario
from training.scenarios.scenario import Example
from training.tournament.assignment import by_manager, result
from training.tournament.contest import LEAST_DIFFERING, Match, Pair, compare, scores, winner
from training.tournament.entrants import Entrant, Field, field
from training.tournament.play import OnRecord, Played, Simulated, play

POINT = "uam.restart"
PLACE = scenario(POINT)
PATIENT = 3600.0
CHAMPION = "0" * 64

Answer = Callable[[Sequence[Question]], list[Scores]]


def worlds(count: int, points: int, policies: int, gain: float, seed: int) -> list[Match]:
    """At each point all policies are equal but the last, which gains this much; a third of the questions is hard, and
    there they answer alike."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(points):
        apart = random.normal(size=(count, policies)) * (random.random((count, 1)) > 0.3)
        rewards = random.normal(size=(count, 1)) + apart
        rewards[:, -1] += gain
        found.append(Match(f"p{number}", tuple("abcdefgh"[:policies]), rewards))
    return found


def test_where_all_are_alike_a_tournament_in_twenty_at_most_calls_anybody_better() -> None:
    """Nine pairs, 80 tournaments: were it one in twenty, more than 10 have a chance of 0.3 %."""
    wrong = sum(any(pair.better for pair in compare(worlds(100, 3, 3, 0.0, seed), seed)) for seed in range(80))
    assert wrong <= 10


def test_who_gains_is_found_with_an_interval_around_what_it_gains() -> None:
    pairs = compare(worlds(1500, 3, 4, 0.3, 1))
    for point in ("p0", "p1", "p2"):
        best = winner("a", [pair for pair in pairs if pair.point == point])
        assert best is not None
        assert (best.one, best.other) == ("d", "a")
        assert best.low is not None
        assert best.high is not None
        assert 0 < best.low < 0.3 < best.high
    assert scores(pairs)["d"] == (9, 0, 0)
    assert next(iter(scores(pairs))) == "d"


def test_more_policies_make_it_harder_to_win() -> None:
    few, many = (compare(worlds(500, points, 2, 0.2, 3))[0] for points in (1, 20))
    assert many.gain == few.gain
    assert many.low is not None
    assert few.low is not None
    assert many.low < few.low


def test_a_handful_of_other_answers_is_not_compared_and_does_not_hide_the_rest() -> None:
    (match,) = worlds(800, 1, 3, 0.4, 5)
    alone = compare([match])
    twin = match.rewards[:, :1] + (np.arange(800) < LEAST_DIFFERING - 1)[:, None] * 9.0
    found = compare([match, Match("twins", ("a", "twin"), np.hstack([match.rewards[:, :1], twin]))])
    assert found[:-1] == alone
    assert (found[-1].low, found[-1].better, found[-1].differing) == (None, "", LEAST_DIFFERING - 1)


def test_a_pair_turned_says_the_same_from_the_other_side() -> None:
    pair = Pair("p", "b", "a", 0.5, 0.2, 0.8, 100, 300)
    assert pair.turned() == Pair("p", "a", "b", -0.5, -0.8, -0.2, 100, 300)
    assert pair.better == pair.turned().better == "b"
    assert winner("b", [pair]) is None
    assert winner("a", [pair.turned()]) == pair


# -- at a point -----------------------------------------------------------------------------------------------------


SHIPPED_VERSION = card.version_of(SHIPPED)
CALIBRATED = calibration.load(SHIPPED / artefacts.CALIBRATION, SHIPPED_VERSION)


def entrant(
    version: str, answer: Answer, points: dict[str, int] | None = None, known: Calibration | None = CALIBRATED
) -> Entrant:
    made_for = {POINT: PLACE.point.schema.version} if points is None else points
    return Entrant(version, "made", "made", None, made_for, known, lambda _: answer)


def even(questions: Sequence[Question]) -> list[Scores]:
    return [(-math.log(len(q.candidates)),) * len(q.candidates) for q in questions]


def knowing(examples: Sequence[Example]) -> Answer:
    """Chooses what turns out to be best."""
    best = {id(e.question): max(range(len(e.right)), key=e.right.__getitem__) for e in examples}

    def answer(questions: Sequence[Question]) -> list[Scores]:
        return [_sure(best[id(q)], len(q.candidates)) for q in questions]

    return answer


def _sure(choice: int, count: int) -> Scores:
    return tuple(math.log(0.99) if at == choice else math.log(0.01 / (count - 1)) for at in range(count))


EXAMPLES = list(PLACE.examples("test", 200, completions=8))


def at_once(
    *entrants: Entrant, lines: dict[str, Line] | None = None, deadline: float = PATIENT
) -> tuple[Field, Played]:
    made = Field(list(entrants), None, [], lines or {}, [])
    return made, play(made, PLACE.point, lambda: Simulated(EXAMPLES), deadline)


def test_who_knows_better_is_proposed_and_the_policy_of_the_settings_stays_behind_it() -> None:
    made, played = at_once(entrant(CHAMPION, even), entrant("1" * 64, knowing(EXAMPLES)))
    (one,) = result(made, [played]).assignments
    assert (one.now, one.proposed, one.failover, one.manager) == ("0" * 12, "1" * 12, "0" * 12, "uam")
    assert one.estimate is not None
    assert 0 < one.estimate.low < one.estimate.improvement
    assert one.estimate.decisions == 200
    assert by_manager([one]) == {"uam": {"1" * 12: [POINT]}}


def test_a_champion_that_nobody_beats_stays() -> None:
    made, played = at_once(entrant(CHAMPION, knowing(EXAMPLES)), entrant("1" * 64, even))
    (one,) = result(made, [played]).assignments
    assert (one.proposed, one.estimate) == (one.now, None)


def test_the_champion_is_who_was_promoted_there_and_a_trial_is_told() -> None:
    line = Line(2, 2, "1" * 64, ("",), Trial(2, "2" * 64, Stage.SHADOW, 0.0, 0, 0))
    three = (entrant(CHAMPION, even), entrant("1" * 64, even), entrant("2" * 64, knowing(EXAMPLES)))
    made, played = at_once(*three, lines={POINT: line})
    (one,) = result(made, [played]).assignments
    assert (one.now, one.proposed, one.trial, one.failover) == ("1" * 12, "2" * 12, "2" * 12, "0" * 12)
    assert "in the shadow" in one.why


def test_a_champion_that_is_not_at_hand_is_not_replaced_by_guesswork() -> None:
    made, played = at_once(entrant(CHAMPION, even), lines={POINT: Line(1, 1, "9" * 64)})
    (one,) = result(made, [played]).assignments
    assert (one.now, one.proposed) == ("9" * 12, "9" * 12)
    assert "not at hand" in one.why


def test_what_is_not_fit_does_not_compete_and_the_reason_is_told() -> None:
    def short(questions: Sequence[Question]) -> list[Scores]:
        return [scores[:-1] for scores in even(questions)]

    def loud(questions: Sequence[Question]) -> list[Scores]:
        return [tuple(0.0 for _ in scores) for scores in even(questions)]

    def mute(questions: Sequence[Question]) -> list[Scores]:
        raise Temporary("no time")

    version = PLACE.point.schema.version
    expected = {
        "1": ("not made for this point", entrant("1" * 64, even, {})),
        "2": (f"for version {version + 1} of the point", entrant("2" * 64, even, {POINT: version + 1})),
        "3": ("not calibrated", entrant("3" * 64, even, known=None)),
        "4": ("not calibrated", entrant("4" * 64, even, known=Calibration("4" * 64, "", {}))),
        "5": ("are allowed", entrant("5" * 64, short)),
        "6": ("do not sum to 1", entrant("6" * 64, loud)),
        "7": ("does not answer: no time", entrant("7" * 64, mute)),
    }
    _, played = at_once(entrant(CHAMPION, even), *(one for _, one in expected.values()))
    assert played.match is None
    assert {out.policy[0]: out.point for out in played.out} == dict.fromkeys(expected, POINT)
    for out in played.out:
        assert expected[out.policy[0]][0] in out.reason


def test_what_is_too_slow_does_not_compete_but_a_champion_is_in_force_all_the_same() -> None:
    _, played = at_once(entrant(CHAMPION, even), entrant("1" * 64, even), deadline=0.0)
    assert [(out.policy, "policy.deadline" in out.reason) for out in played.out] == [("1" * 12, True)]


def test_on_record_a_better_policy_wins_by_what_is_estimated_of_it() -> None:
    examples = list(PLACE.examples("train", 420, completions=4))
    log = logged(PLACE, examples, even, explore=0.6)
    first = entrant(CHAMPION, lambda questions: [_sure(0, len(q.candidates)) for q in questions])
    made = Field([first, entrant("1" * 64, knowing(examples))], None, [], {}, [])
    played = play(made, PLACE.point, lambda: OnRecord(PLACE.point, log[60:], log[:60]), PATIENT)
    (one,) = result(made, [played]).assignments
    assert one.proposed == "1" * 12


def test_a_point_whose_decisions_interfere_is_left_to_a_canary() -> None:
    place = scenario("ufm.dispatch")
    examples = list(place.examples("train", 40, completions=1))
    log = logged(place, examples, even, explore=0.5)
    known = {"ufm.dispatch": place.point.schema.version}
    made = Field([entrant(CHAMPION, even, known), entrant("1" * 64, even, known)], None, [], {}, [])
    played = play(made, place.point, lambda: OnRecord(place.point, log, log), PATIENT)
    (one,) = result(made, [played]).assignments
    assert (one.proposed, one.estimate) == (one.now, None)
    assert "change what comes of one another" in one.why


# -- who may enter --------------------------------------------------------------------------------------------------


def signed_only(folder: Path) -> Settings:
    (folder / "trust").mkdir()
    settings = {"state": folder, "policy": {"require_signature": True}, "bundles": {"trust": folder / "trust"}}
    return Settings.model_validate(settings)


def test_the_policy_of_the_settings_is_first_and_a_broken_folder_is_left_out_with_its_reason(tmp_path: Path) -> None:
    good, broken = (like_shipped(tmp_path, number) for number in (1, 2))
    (broken / card.WEIGHTS).write_bytes(b"changed")
    found = field(Settings(state=tmp_path / "state"), None, [good, broken, good])
    assert [one.origin for one in found.entrants] == ["settings", str(good)]
    assert found.entrants[0].version == SHIPPED_VERSION
    (out,) = found.out
    assert (out.policy, out.point) == (str(broken), "")
    assert card.WEIGHTS in out.reason


def test_without_a_signature_a_folder_stays_out_where_one_is_needed(tmp_path: Path) -> None:
    settings = signed_only(tmp_path)
    found = field(settings, None, [like_shipped(tmp_path, 1)])
    assert len(found.entrants) == 1
    assert "sign" in found.out[0].cure


def test_models_of_numbers_are_the_champion_where_they_are_the_default(tmp_path: Path) -> None:
    found = field(Settings(state=tmp_path), None, [])
    assert found.tables is not None
    storm, restart = scenario("ucm.storm").point.schema, PLACE.point.schema
    assert found.champion(storm) == found.tables.version
    assert found.champion(restart) == found.entrants[0].version


def test_too_many_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.tournament.entrants.MOST", 1)
    with pytest.raises(Refused, match="2 policies would compete"):
        field(Settings(state=tmp_path), None, [like_shipped(tmp_path, 1)])


# -- the command ----------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str) -> Result:
    (folder / "elias.yaml").write_text(f"state: {folder / 'state'}\n")
    return CliRunner().invoke(app, ["-c", str(folder / "elias.yaml"), "policy", "tournament", *arguments])


def test_the_command_tells_who_stands_where_before_anything_was_started(tmp_path: Path) -> None:
    given = like_shipped(tmp_path, 1)
    made = run(tmp_path, str(given), "--point", "ucm.storm", "--count", "120", "--json")
    assert made.exit_code == 0, made.exception
    told = json.loads(made.stdout)
    (one,) = told["assignments"]
    assert one["failover"] == SHIPPED_VERSION[:12]
    assert one["now"] == one["proposed"] == told["policies"][-1]["policy"][:12]
    assert [each["origin"] for each in told["policies"]] == ["settings", str(given), "tables"]
    assert {(pair["point"], pair["questions"]) for pair in told["pairs"]} == {("ucm.storm", 120)}
    assert set(told["managers"]) == {"ucm"}


def test_a_point_at_which_nothing_is_asked_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    refused = run(tmp_path, "--point", "ucm.sturm").exception
    assert isinstance(refused, Refused)
    assert "ucm.storm" in refused.cure


def test_what_a_winner_gains_is_written_into_its_folder_and_a_signature_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = like_shipped(tmp_path, 1)
    settings = signed_only(tmp_path)
    enrol(settings, {folder: {POINT: Estimate(12.0, 3.0, 1.1, 1000)}})
    assert artefacts.read(folder).estimates == {POINT: Estimate(12.0, 3.0, 1.1, 1000)}
    assert "elias policy sign" in capsys.readouterr().err
