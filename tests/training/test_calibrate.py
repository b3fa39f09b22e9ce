import math

import numpy as np
import pytest
from scipy.stats import binom

from federation.policy.calibration import CONFIDENCE, PointCalibration
from federation.policy.fitting import LEAST, Marked, bound, budget, calibrate, confidences, of_policy, sequence, walk
from tests.training.simulated import scored

REDRAWS = 500


def wrong_alone(calibration: PointCalibration, test: Marked, max_error: float) -> tuple[int, int]:
    """How many are decided alone, and how many of these wrongly."""
    threshold = calibration.threshold(max_error)
    if threshold is None:
        return 0, 0
    alone = confidences(calibration, test) >= threshold
    return int(alone.sum()), int((alone & ~test.chosen()).sum())


def test_of_500_calibrations_at_most_5_percent_break_their_promise() -> None:
    """All is drawn anew each time: what is fitted on, what is tested on, and ten times as many to be judged on."""
    random = np.random.default_rng(4)
    broken, alone = 0, 0
    for _ in range(REDRAWS):
        found = calibrate(scored(random, 200), scored(random, 300), version=1)
        taken, wrong = wrong_alone(found, scored(random, 3000), 0.05)
        alone += taken
        broken += wrong > 0.05 * taken
    assert alone > 0.3 * REDRAWS * 3000
    assert broken <= (1 - CONFIDENCE) * REDRAWS


@pytest.mark.parametrize("max_error", [0.02, 0.05, 0.1])
def test_where_every_threshold_errs_a_little_too_much_hardly_a_calibration_lets_one_pass(max_error: float) -> None:
    """The hardest world for the promise: confidence says nothing, and every threshold is wrong by a hair. The slack is
    the number of passes that chance exceeds once in 1,000 such tests at exactly the error that is allowed for."""
    random = np.random.default_rng(5)
    thresholds = np.linspace(0.9, 0.0, 50)
    passed = 0
    for _ in range(REDRAWS):
        right = random.random(2000) >= max_error * 1.001
        steps = walk(thresholds, random.random(2000), right, budget(1))
        passed += any(step.bound <= max_error for step in steps)
    assert passed <= binom.ppf(0.999, REDRAWS, budget(1))


def test_a_bound_refuses_just_what_the_exact_binomial_test_refuses() -> None:
    wrong, accepted = np.meshgrid(np.arange(40), np.arange(1, 400, 7))
    refused = binom.cdf(wrong, accepted, 0.05) <= 0.05
    found = bound(wrong, accepted, 0.05)
    assert (refused == (found <= 0.05))[wrong <= accepted].all()


def test_59_right_answers_in_a_row_are_the_fewest_that_show_5_percent() -> None:
    """Without an error among n, the test passes where 0.95 ** n <= 0.05."""
    nothing = np.zeros(2, dtype=np.int64)
    fewer, enough = bound(nothing, np.array([58, 59]), 0.05)
    assert fewer > 0.05 >= enough


def test_a_stricter_promise_never_decides_more() -> None:
    random = np.random.default_rng(6)
    found = calibrate(scored(random, 1000), scored(random, 2000), version=1)
    thresholds = [found.threshold(error) for error in np.linspace(0.3, 0.001, 100)]
    strict = [math.inf if threshold is None else threshold for threshold in thresholds]
    assert strict == sorted(strict)
    assert strict[0] < strict[-1]


def test_a_policy_that_is_too_sure_of_itself_is_cooled_down() -> None:
    random = np.random.default_rng(7)
    cool, hot = (calibrate(scored(random, 2000, temperature=t), scored(random, 200), 1) for t in (1.0, 3.0))
    assert hot.temperature == pytest.approx(3 * cool.temperature, rel=0.15)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_confidence_of_nine_tenths_is_right_nine_times_in_ten(temperature: float) -> None:
    random = np.random.default_rng(8)
    found = calibrate(
        scored(random, 4000, temperature=temperature), scored(random, LEAST, temperature=temperature), version=1
    )
    test = scored(random, 20_000, temperature=temperature)
    sure, right = confidences(found, test), test.chosen()
    for part in np.array_split(np.argsort(sure), 10):
        assert right[part].mean() == pytest.approx(sure[part].mean(), abs=0.04)


def test_many_questions_have_the_confidence_of_each_one() -> None:
    random = np.random.default_rng(14)
    found = calibrate(scored(random, 500), scored(random, 500), version=1)
    test = scored(random, 200)
    rows = (tuple(score for score in row if score > -math.inf) for row in test.scores.tolist())
    assert [found.confidence(row) for row in rows] == pytest.approx(confidences(found, test).tolist(), rel=1e-12)


def test_two_candidates_that_are_both_right_make_no_doubt() -> None:
    """Half of the questions have two equally good candidates and two bad ones, half have four and much luck."""
    random = np.random.default_rng(9)

    def twins(count: int) -> Marked:
        easy = np.arange(count) % 2 == 0
        scores = np.where(easy[:, None], np.log([0.495, 0.495, 0.005, 0.005]), np.log([0.48, 0.18, 0.17, 0.17]))
        luck = np.eye(4, dtype=bool)[random.choice(4, p=[0.48, 0.18, 0.17, 0.17], size=count)]
        return Marked(scores, np.where(easy[:, None], [True, True, False, False], luck))

    found = calibrate(twins(1000), twins(1000), version=1)
    assert wrong_alone(found, twins(1000), 0.05) == (500, 0)


def test_thresholds_follow_from_the_fitting_data_alone() -> None:
    """What is tested, and in which order, must not depend on what it is tested on."""
    random = np.random.default_rng(10)
    fitting = scored(random, 1000)
    first, second = (calibrate(fitting, scored(random, 1000), version=1) for _ in range(2))
    assert (first.temperature, first.weights) == (second.temperature, second.weights)
    tested = sequence(confidences(first, fitting)).tolist()
    for found in (first, second):
        assert [step.threshold for step in found.steps] == [
            t for t in tested if t in {s.threshold for s in found.steps}
        ]


@pytest.mark.parametrize(("fitted_on", "tested_on"), [(LEAST - 1, 5000), (5000, LEAST - 1)])
def test_too_little_data_decides_nothing_alone_and_says_so(fitted_on: int, tested_on: int) -> None:
    random = np.random.default_rng(11)
    point = calibrate(scored(random, fitted_on, noise=0.01), scored(random, tested_on, noise=0.01), version=1)
    weighed = point.weigh("urm.pressure", (-0.001, -7.0), 0.05)
    assert weighed.threshold is None
    assert "may not decide alone" in weighed.why


def test_a_policy_that_knows_nothing_decides_nothing_alone() -> None:
    random = np.random.default_rng(12)
    found = calibrate(scored(random, 1000, noise=50), scored(random, 1000, noise=50), version=1)
    assert found.threshold(0.05) is None


def test_all_calibrations_together_spend_no_more_than_the_first_was_allowed() -> None:
    spent = [budget(times) for times in range(1, 2000)]
    assert sum(spent) < 1 - CONFIDENCE
    assert sum(spent) == pytest.approx(1 - CONFIDENCE, rel=1e-3)
    random = np.random.default_rng(13)
    fitting, testing = scored(random, 1000), scored(random, 2000)
    first, tenth = (calibrate(fitting, testing, 1, times=times) for times in (1, 10))
    assert (tenth.times, tenth.spent) == (10, budget(10))
    assert (tenth.threshold(0.05) or 1) >= (first.threshold(0.05) or 1)


def test_calibrating_the_same_policy_again_counts_and_another_policy_begins_anew() -> None:
    random = np.random.default_rng(15)
    points = {"urm.pressure": (1, scored(random, 300), scored(random, 300))}
    first = of_policy("a", "data", points)
    second = of_policy("a", "data", points, first)
    other = of_policy("b", "data", points, second)
    assert [found.points["urm.pressure"].times for found in (first, second, other)] == [1, 2, 1]
