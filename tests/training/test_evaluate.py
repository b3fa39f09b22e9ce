from pathlib import Path

import msgspec
import numpy as np
import pytest

from federation.policy.calibration import PointCalibration, Step, load
from federation.policy.tabular import SUFFIX, Encoder, Table, Tabular
from training.evaluation.bench import Bench, Result, each, figures, overall
from training.evaluation.bootstrap import Judged, estimated, interval, intervals
from training.policy import baselines
from training.policy.baselines import Sheet
from training.policy.defaults import keep, winner
from training.scenarios.generate import generate, scenario

POINT = "ucm.storm"


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(scenario(POINT), count=300, train=400)


@pytest.fixture(scope="module")
def results(bench: Bench) -> list[Result]:
    contenders = {name: each(scorer) for name, scorer in bench.baselines()}
    against = {name: bench.contest(answer, bench.calibrated(answer)) for name, answer in contenders.items()}
    return [Result(bench, *against["trees"], against, np.array([1.0, 1.0, 2.0]), np.array([90.0, 110.0]))]


def test_the_calibration_error_of_a_case_worked_by_hand() -> None:
    """15 bins of two questions: ten bins say 0.9 and are half right, five say 0.2 and are wrong.
    (10 x |0.9 - 0.5| + 5 x |0.2 - 0|) / 15 = 1 / 3."""
    sure = np.array([0.9] * 20 + [0.2] * 10)
    right = np.array([True, False] * 10 + [False] * 10)
    assert estimated(Judged(sure, right, right, np.zeros(30)))["ece"] == pytest.approx(1 / 3)


def test_accuracy_is_of_what_is_decided_alone_and_regret_of_everything() -> None:
    found = figures(
        Judged(
            np.array([0.9, 0.9, 0.6, 0.5]),
            np.array([True, False, False, False]),
            np.array([True, True, False, False]),
            np.array([0.0, 2.0, 4.0, 6.0]),
        )
    )
    assert (found.accuracy, found.coverage, found.right, found.regret) == (0.5, 0.5, 0.25, 3.0)


def test_nothing_decided_alone_has_no_accuracy() -> None:
    nothing = Judged(np.array([0.5]), np.array([True]), np.array([False]), np.array([0.0]))
    assert figures(nothing).accuracy is None


def test_an_interval_covers_the_difference_that_there_is_and_no_other() -> None:
    low, high = interval(np.random.default_rng(1).normal(0.5, 1, size=2000))
    assert 0.4 < low < 0.5 < high < 0.6


TRUTH = {"accuracy": 0.9, "coverage": 0.5, "right": 0.8, "regret": 1.0}


@pytest.fixture(scope="module")
def reached() -> list[dict[str, tuple[float, float]]]:
    """Intervals of 100 sets of answers, drawn where the truth is known."""
    found = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        alone = random.random(300) < 0.5
        right = random.random(300) < np.where(alone, 0.9, 0.7)
        found.append(intervals(Judged(np.full(300, 0.8), right, alone, random.exponential(size=300))))
    return found


@pytest.mark.parametrize("name", TRUTH)
def test_an_interval_holds_the_truth_about_as_often_as_it_says(
    name: str, reached: list[dict[str, tuple[float, float]]]
) -> None:
    held = sum(one[name][0] <= TRUTH[name] <= one[name][1] for one in reached)
    assert held >= 88  # of 100 at 95 % fewer come about once in 200 times


def test_the_interval_of_the_calibration_error_does_not_count_the_noise_twice() -> None:
    """Confidence 0.9 where half is right: the error is 0.4, and 15 bins of 20 questions see some more."""
    found = []
    for seed in range(50):
        right = np.random.default_rng(seed).random(300) < 0.5
        found.append(intervals(Judged(np.full(300, 0.9), right, right, np.zeros(300)))["ece"])
    assert sum(low <= 0.4 <= high for low, high in found) >= 42
    sure = np.random.default_rng(1).random(300)
    perfect = Judged(sure, np.random.default_rng(2).random(300) < sure, sure > 2, np.zeros(300))
    low, high = intervals(perfect)["ece"]
    assert 0 <= low < high < estimated(perfect)["ece"] * 1.5


def test_every_contender_answers_the_same_questions(results: list[Result]) -> None:
    entry = results[0].entry()
    assert set(entry.baselines) == {"random", "majority", "rule_only", "logistic", "trees"}
    assert entry.held_out is not None
    assert {one.questions for one in (entry, entry.held_out, *entry.baselines.values())} == {300}
    assert entry.baselines["trees"].regret_saved == (0.0, 0.0)
    assert entry.baselines["random"].regret_saved[0] > 0
    told = msgspec.to_builtins(entry)
    by_chance, by_rule = (told["baselines"][name]["right"] for name in ("random", "rule_only"))
    assert by_chance < by_rule <= told["best_reachable"] + 0.05


def test_the_figures_are_named_as_the_page_names_them(results: list[Result]) -> None:
    told = msgspec.to_builtins({"overall": overall(results), POINT: results[0].entry()})
    for entry in told.values():
        assert {"accuracy", "coverage", "ece", "regret", "best_reachable", "held_out", "baselines"} <= set(entry)
    assert told["overall"]["baselines"]["random"]["regret"] == pytest.approx(1)
    for entry in told.values():
        assert entry["latency"] == {"p50": 1.0, "p99": pytest.approx(1.98)}
        assert entry["tokens"] == {"mean": 100.0, "longest": 110}
        for name in ("coverage", "ece", "right", "regret"):
            low, high = entry["intervals"][name]
            assert low <= entry[name] <= high
        assert ("accuracy" in entry["intervals"]) == (entry["accuracy"] is not None)


def test_without_a_calibration_nothing_is_decided_alone(bench: Bench) -> None:
    judged, _ = bench.contest(each(baselines.chance()), None)
    assert not judged.alone.any()


def test_a_threshold_decides_alone_from_itself_on(bench: Bench) -> None:
    """With these weights the confidence is the share of the best label among best and second."""
    calibration = PointCalibration(1, 1.0, (0, 1, -1, 0), (Step(0.5, 300, 0, bench.max_error),), 300, 300, 1, 0.03)
    judged, _ = bench.contest(each(baselines.rules(bench.scenario.world)), calibration)
    assert judged.alone.all()


def test_exported_trees_say_what_scikit_learn_says() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(2)
    rows = random.normal(size=(500, 6))
    rows[random.random(rows.shape) < 0.1] = np.nan
    labels = np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) > 0
    booster = HistGradientBoostingClassifier(max_iter=20).fit(rows, labels)
    assert baselines.exported(booster).values(rows) == pytest.approx(booster.decision_function(rows))


def test_a_fitted_model_answers_the_same_from_its_file(bench: Bench, tmp_path: Path) -> None:
    examples = list(generate(POINT, "train", 200))
    sheet = Sheet(bench.point, examples)
    for model in (baselines.fit_linear(bench.point, sheet, sheet), baselines.fit_trees(sheet, sheet)):
        table = Table(POINT, bench.point.version, "data", model)
        (tmp_path / f"{POINT}{SUFFIX}").write_bytes(msgspec.json.encode(table))
        kept = Tabular(tmp_path)
        assert kept.covers(bench.point)
        scorer = baselines.tabular(bench.point, model)
        for example in examples[:20]:
            said = kept.score(bench.point, example.question)
            assert said == pytest.approx(scorer(example.question))
            assert sum(np.exp(said)) == pytest.approx(1)


def test_rows_do_not_hang_on_the_order_of_the_candidates() -> None:
    encoder = Encoder(scenario(POINT).point.schema)
    for example in generate(POINT, "validation", 20):
        question = example.question
        turned = question._replace(candidates=question.candidates[::-1])
        np.testing.assert_array_equal(encoder.rows(turned), encoder.rows(question)[::-1])


def test_a_model_that_beats_the_policy_is_kept_with_a_calibration_of_its_own(tmp_path: Path) -> None:
    place = scenario(POINT)
    beaten = winner(place, each(baselines.chance()), train=300, count=200)
    assert beaten is not None
    keep(tmp_path, {POINT: place}, {POINT: beaten.model}, "data", 300)
    kept = Tabular(tmp_path)
    assert kept.covers(place.point.schema)
    assert load(tmp_path / "calibration.json", kept.version).covers(POINT, place.point.schema.version)
    assert winner(place, each(baselines.tabular(place.point.schema, beaten.model)), train=300, count=200) is None
