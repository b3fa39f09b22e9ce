import math
from pathlib import Path

import msgspec
import pytest

from federation.errors import Refused
from federation.policy.calibration import Calibration, PointCalibration, Step, load, save, tempered

STEPS = (Step(0.95, 400, 1, 0.01), Step(0.9, 600, 6, 0.02), Step(0.7, 900, 30, 0.05))
POINT = PointCalibration(2, 1.0, (0.0, 1.0, -1.0, 0.0), STEPS, 500, 1000, 1, 0.03)
CALIBRATION = Calibration("a" * 64, "b" * 64, {"urm.resource_pressure": POINT})


def logs(*probabilities: float) -> tuple[float, ...]:
    return tuple(math.log(p) for p in probabilities)


@pytest.mark.parametrize(
    ("max_error", "threshold"),
    [(0.005, None), (0.01, 0.95), (0.019, 0.95), (0.02, 0.9), (0.049, 0.9), (0.05, 0.7), (0.5, 0.7)],
)
def test_an_error_that_was_not_tested_for_takes_the_nearest_stricter_one(
    max_error: float, threshold: float | None
) -> None:
    assert POINT.threshold(max_error) == threshold


def test_a_question_above_the_threshold_is_decided_alone_and_one_below_is_not() -> None:
    sure = POINT.weigh("urm.resource_pressure", logs(0.02, 0.9, 0.08), 0.05)
    unsure = POINT.weigh("urm.resource_pressure", logs(0.3, 0.5, 0.2), 0.05)
    assert (sure.choice, sure.threshold, unsure.threshold) == (1, 0.7, 0.7)
    assert sure.confidence == pytest.approx(0.9 / 0.98)
    assert unsure.confidence == pytest.approx(0.5 / 0.8)
    assert sure.why == "the policy is 91.8 % sure, and from 70 % on, at most 5 % of its answers are wrong"
    assert unsure.why == "the policy is 62.5 % sure, and only from 70 % on, at most 5 % of its answers are wrong"


def test_where_every_answer_may_be_taken_no_threshold_is_named() -> None:
    anyhow = msgspec.structs.replace(POINT, steps=(Step(0.0, 1000, 30, 0.04),))
    weighed = anyhow.weigh("urm.resource_pressure", logs(0.3, 0.5, 0.2), 0.05)
    assert weighed.why == "the policy is 62.5 % sure, and however sure it is, at most 5 % of its answers are wrong"


def test_a_promise_that_the_data_does_not_show_is_not_made() -> None:
    weighed = POINT.weigh("urm.resource_pressure", logs(0.999, 0.001), 0.005)
    assert weighed.threshold is None
    assert "1000 questions do not show that at most 0.5 %" in weighed.why


def test_a_newer_version_of_a_point_is_not_covered() -> None:
    covered = [CALIBRATION.covers("urm.resource_pressure", version) for version in (1, 2, 3)]
    assert covered == [False, True, False]
    assert not CALIBRATION.covers("uam.restart", 2)


@pytest.mark.parametrize("scores", [logs(0.5, 0.5), logs(1 - 1e-9, 1e-9), (0.0, -800.0, -900.0)])
def test_any_scores_give_a_probability(scores: tuple[float, ...]) -> None:
    weighed = POINT.weigh("urm.resource_pressure", scores, 0.05)
    assert weighed.choice == 0
    assert 0 < weighed.confidence < 1


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_probabilities_at_a_temperature_sum_to_1_in_the_same_order(temperature: float) -> None:
    cooled = tempered(logs(0.2, 0.7, 0.1), temperature)
    assert math.fsum(math.exp(log) for log in cooled) == pytest.approx(1)
    assert sorted(range(3), key=cooled.__getitem__) == [2, 0, 1]


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(CALIBRATION, tmp_path / "calibration.json")
    assert load(tmp_path / "calibration.json", "a" * 64) == CALIBRATION


def test_the_calibration_of_another_policy_is_refused(tmp_path: Path) -> None:
    save(CALIBRATION, tmp_path / "calibration.json")
    with pytest.raises(Refused, match="of policy aaaaaaaaaaaa, not of cccccccccccc") as refused:
        load(tmp_path / "calibration.json", "c" * 64)
    assert "elias train policy" in refused.value.cure


@pytest.mark.parametrize("text", ["", "{}", '{"policy": 1}', "[1, 2"])
def test_what_is_no_calibration_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        load(path, "a" * 64)
    assert refused.value.place == str(path)


def test_a_missing_calibration_is_refused_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no calibration"):
        load(tmp_path / "calibration.json", "a" * 64)
