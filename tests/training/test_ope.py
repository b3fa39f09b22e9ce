"""What another policy would have reached: that the estimates hold the truth, and that they are refused where they
cannot.
"""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from benchmarks.ope import SETTINGS, World, covered
from federation.errors import Refused
from federation.points import DecisionPoint
from managers.roster import POINTS
from managers.uim.cli.app import app
from training.dataset.example import Logged
from training.dataset.simulated import logged
from training.dataset.store import Recipe, write
from training.ope import estimators
from training.ope.estimators import ESTIMATORS, Name, Sample, estimate, gain, interval, sample, switch_threshold
from training.ope.outcome import LEAST, OutcomeModel, cross_fitted, doubly_robust
from training.ope.support import LEAST_EFFECTIVE, supported, usable
from training.scenarios.generate import scenario
from training.scenarios.scenario import Example

POINT = "uam.restart"
COUNT = 500


@pytest.fixture(scope="module")
def point() -> DecisionPoint:
    return scenario(POINT).point


@pytest.fixture(scope="module")
def asked() -> list[Example]:
    return list(scenario(POINT).examples("train", COUNT, completions=32))


@pytest.fixture(scope="module")
def log(asked: list[Example]) -> list[Logged]:
    return logged(scenario(POINT), asked, lambda questions: [_even(len(q.candidates)) for q in questions], explore=0.5)


@pytest.fixture(scope="module")
def predicted(point: DecisionPoint, log: list[Logged]) -> list[np.ndarray]:
    return cross_fitted(point.schema, log, folds=2)


def _even(count: int) -> tuple[float, ...]:
    return tuple(-float(np.log(count)) for _ in range(count))


def _last(examples: list[Logged]) -> list[list[float]]:
    """A policy that takes the last candidate."""
    return [[float(at == len(e.propensities) - 1) for at in range(len(e.propensities))] for e in examples]


def _code(refused: pytest.ExceptionInfo[Refused]) -> str:
    assert refused.value.cure
    return refused.value.code


# -- estimators ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["mild", "wrong model"])
def test_the_intervals_hold_the_truth_as_often_as_they_say(setting: str) -> None:
    """93 to 97 % within what chance does once in 1,000 tests; `python -m benchmarks.ope` is the long form."""
    runs = 40
    for found in covered(setting, SETTINGS[setting], runs, decisions=500):
        low, high = binom.ppf(0.0005, runs, 0.93), binom.ppf(0.9995, runs, 0.97)
        assert low <= round(found.share * runs) <= high, found
        assert abs(found.bias) < 4 * found.deviation / runs**0.5 + 0.01, found


@pytest.fixture(scope="module")
def drawn() -> Sample:
    return World(SETTINGS["mild"]).sample(1500, np.random.default_rng(3))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_policy_that_decided_is_estimated_at_what_it_reached(drawn: Sample, name: Name) -> None:
    own = drawn._replace(target=drawn.logging)
    found = estimate(name, own)
    assert own.effective() == pytest.approx(len(own.taken))
    assert found.low < own.rewards.mean() < found.high
    if name in ("ips", "snips"):
        assert found.value == pytest.approx(own.rewards.mean())


def test_a_model_that_is_right_makes_the_interval_narrow(drawn: Sample) -> None:
    widths = {name: found.high - found.low for name in ESTIMATORS if (found := estimate(name, drawn))}
    assert widths["dr"] < widths["ips"]
    assert widths["switch-dr"] <= widths["dr"] * 1.01


def test_more_of_a_constant_reward_moves_snips_and_dr_by_as_much(drawn: Sample) -> None:
    more = drawn._replace(rewards=drawn.rewards + 100, predicted=drawn.predicted + 100)
    for name in ("snips", "dr", "switch-dr"):
        before, after = estimate(name, drawn), estimate(name, more)
        for one, other in zip(msgspec.structs.astuple(before)[:3], msgspec.structs.astuple(after)[:3], strict=True):
            assert other == pytest.approx(one + 100, abs=1e-6)


def test_the_switch_leaves_out_the_corrections_that_would_drown_the_rest() -> None:
    """One decision in fifty has a weight of 1,000 on a candidate that the model knows well."""
    random = np.random.default_rng(0)
    count = 500
    heavy = np.arange(count) % 50 == 0
    logging = np.column_stack([np.where(heavy, 0.0001, 0.5), np.where(heavy, 0.9999, 0.5)])
    target = np.column_stack([np.where(heavy, 0.1, 0.5), np.where(heavy, 0.9, 0.5)])
    taken = np.where(heavy & (np.arange(count) < 150), 0, 1)
    rewards = 0.5 + random.normal(0, 0.1, count)
    made = Sample(taken, rewards, logging, target, np.full((count, 2), 0.5))
    assert switch_threshold(made) < 1000
    assert estimate("switch-dr", made).high - estimate("switch-dr", made).low < 0.1
    assert estimate("dr", made).high - estimate("dr", made).low > 0.1


def test_a_gain_is_told_more_exactly_than_two_rewards_apart(drawn: Sample) -> None:
    better = gain(drawn._replace(target=drawn.logging))
    assert better.low <= 0 <= better.high
    apart = estimate("dr", drawn), estimators.logged(drawn)
    assert gain(drawn).value == pytest.approx(apart[0].value - apart[1].value)


def test_the_same_decisions_give_the_same_interval_wider_than_the_normal_one_where_much_hangs_on_few() -> None:
    def wider(values: np.ndarray) -> float:
        found = interval(values)
        assert found == interval(values)
        return float((found.high - found.low) / (2 * 1.96 * values.std() / len(values) ** 0.5))

    random = np.random.default_rng(1)
    assert wider(random.normal(size=4000)) == pytest.approx(1, abs=0.002)
    assert wider(random.pareto(2, 200)) > 1.1


def test_the_ends_of_an_interval_worked_by_hand() -> None:
    """Of yes and no, empirical likelihood is the binomial one; half of each has the least kurtosis, 1: no doubt about
    the spread, so the limit is that of the normal distribution."""
    found = interval(np.arange(100) % 2.0)
    for end in (found.low, found.high):
        assert 2 * 50 * (np.log(0.5 / end) + np.log(0.5 / (1 - end))) == pytest.approx(1.959964**2, rel=1e-4)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_an_interval_reaches_farther_to_where_the_heavy_weights_lie() -> None:
    random = np.random.default_rng(2)
    found = interval(random.pareto(1.5, 300) * (random.random(300) < 0.9))
    assert found.high - found.value > 1.25 * (found.value - found.low)


@pytest.mark.parametrize(("odd", "proven"), [(1, False), (3, False), (6, True)])
def test_a_few_decisions_that_differ_prove_no_gain(odd: int, proven: bool) -> None:
    """Six to one side and none to the other, one would say of two policies; three are chance."""
    found = interval((np.arange(1000) < odd).astype(float))
    assert (found.low > 0) is proven


@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_the_unit_of_the_rewards_changes_nothing_else(unit: float) -> None:
    random = np.random.default_rng(3)
    weights, rewards = random.pareto(2, 200), random.normal(size=200)
    one, other = interval(weights * rewards, weights), interval(weights * rewards * unit, weights)
    for before, after in zip(msgspec.structs.astuple(one)[:3], msgspec.structs.astuple(other)[:3], strict=True):
        assert after / unit == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize("reward", [0.0, 0.1, -3e9])
def test_rewards_that_never_differ_leave_no_doubt(reward: float) -> None:
    weights = np.linspace(0, 3, 50)
    for found in (interval(np.full(50, reward)), interval(weights * reward, weights)):
        assert (found.low, found.high) == (found.value, found.value)
        assert found.value == pytest.approx(reward)


@pytest.mark.parametrize("values", [[0.0, 1.0], [1.0, 2.0, 4.0], [1.0] * 5 + [1e9]])
def test_of_too_few_decisions_an_interval_has_no_end(values: list[float]) -> None:
    found = interval(np.array(values))
    assert (found.value, found.low, found.high) == (np.mean(values), -np.inf, np.inf)


def test_one_weight_beside_which_the_others_are_nothing_tells_nothing() -> None:
    weights = np.full(200, 1e-6)
    weights[0] = 50
    found = interval(weights * (np.arange(200) % 2), weights)
    assert (found.low, found.high) == (-np.inf, np.inf)


# -- what can be told ------------------------------------------------------------------------------------------------


def test_decisions_of_others_are_left_out_and_counted(point: DecisionPoint, log: list[Logged]) -> None:
    other = msgspec.structs.replace(log[0], tier="operator", propensities=())
    silent = msgspec.structs.replace(log[1], reward=None)
    found = usable(point, [other, silent, *log[2:]])
    assert (len(found.examples), found.elsewhere, found.missing) == (COUNT - 2, 1, 1)


def test_where_decisions_interfere_nothing_is_estimated(log: list[Logged]) -> None:
    points = {point.name: point for point in POINTS}
    for name in ("ufm.placement", "ufm.routing", "ufm.dispatch", "urm.admission"):
        with pytest.raises(Refused, match="change what comes of one another") as refused:
            usable(points[name], log)
        assert "blocks of time" in refused.value.cure


@pytest.mark.parametrize(
    ("change", "every", "code"),
    [
        ({"propensities": ()}, COUNT, "no-propensities"),
        ({"reward": None}, 1, "no-outcomes"),
        ({"reward": None}, 4, "few-outcomes"),
        ({"tier": "operator"}, 1, "no-outcomes"),
    ],
)
def test_a_log_that_lacks_what_is_needed_is_refused(
    point: DecisionPoint, log: list[Logged], change: dict[str, object], every: int, code: str
) -> None:
    lacking = [msgspec.structs.replace(e, **change) if at % every == 0 else e for at, e in enumerate(log)]
    with pytest.raises(Refused) as refused:
        usable(point, lacking)
    assert _code(refused) == code


def test_a_policy_that_takes_what_never_could_have_been_taken_is_refused(
    point: DecisionPoint, log: list[Logged], predicted: list[np.ndarray]
) -> None:
    closed = list(log)
    spread = [0.0, *([1 / (len(log[7].propensities) - 1)] * (len(log[7].propensities) - 1))]
    closed[7] = msgspec.structs.replace(log[7], propensities=tuple(spread), choice=1)
    first = [[1.0, *([0.0] * (len(e.propensities) - 1))] for e in closed]
    with pytest.raises(Refused, match="in 1 of 500 decisions") as refused:
        supported(point, closed, first, predicted)
    assert _code(refused) == "no-support"
    assert closed[7].decision in str(refused.value)


def test_too_few_decisions_like_its_own_are_refused(
    point: DecisionPoint, log: list[Logged], predicted: list[np.ndarray]
) -> None:
    few = log[: int(LEAST_EFFECTIVE)]
    with pytest.raises(Refused, match="are needed") as refused:
        supported(point, few, _last(few), predicted[: len(few)])
    assert _code(refused) == "few-effective"


def test_one_weight_that_outweighs_all_others_is_refused(
    point: DecisionPoint, log: list[Logged], predicted: list[np.ndarray]
) -> None:
    last = len(log[7].propensities) - 1
    rare = [(1 - 1e-5) / last] * last + [1e-5]
    heavy = [*log[:7], msgspec.structs.replace(log[7], propensities=tuple(rare), choice=last), *log[8:]]
    assert supported(point, log, _last(log), predicted).effective() > LEAST_EFFECTIVE
    with pytest.raises(Refused, match="tell as much about this policy as 1 of its own") as refused:
        supported(point, heavy, _last(heavy), predicted)
    assert _code(refused) == "few-effective"


def test_a_simulated_world_reaches_what_was_estimated(
    point: DecisionPoint, log: list[Logged], asked: list[Example], predicted: list[np.ndarray]
) -> None:
    truth = np.mean([np.mean([outcome[-1] for outcome in example.outcomes]) for example in asked])
    made = supported(point, log, _last(log), predicted)
    for name in ESTIMATORS:
        found = estimate(name, made)
        wide = found.high - found.low
        assert found.low - wide / 2 < truth < found.high + wide / 2, name


# -- the model of the outcome ----------------------------------------------------------------------------------------


def test_a_model_knows_more_than_the_mean_and_predicts_every_candidate(
    asked: list[Example], log: list[Logged], predicted: list[np.ndarray]
) -> None:
    truth = [np.mean(example.outcomes, axis=0) for example in asked]
    assert [len(one) for one in predicted] == [len(one) for one in truth]
    all_truth = np.concatenate(truth)
    missed = np.mean((np.concatenate(predicted) - all_truth) ** 2)
    assert missed < 0.6 * all_truth.var()
    rewards = [e.reward for e in log if e.reward is not None]
    assert min(rewards) <= min(map(min, predicted))
    assert max(map(max, predicted)) <= max(rewards)


def test_what_came_of_an_example_has_no_part_in_its_own_prediction(point: DecisionPoint, log: list[Logged]) -> None:
    few = log[:120]
    family = few[5].family
    changed = [msgspec.structs.replace(e, reward=1e6) if e.family == family else e for e in few]
    before, after = cross_fitted(point.schema, few), cross_fitted(point.schema, changed)
    for example, one, other in zip(few, before, after, strict=True):
        if example.family == family:
            assert np.array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_same_examples_give_the_same_model(point: DecisionPoint, log: list[Logged]) -> None:
    questions = [example.question for example in log[:20]]
    one, two = (OutcomeModel.fit(point.schema, log[:200]) for _ in range(2))
    assert (one.kind, one.error) == (two.kind, two.error)
    for a, b in zip(one.predict(questions), two.predict(questions), strict=True):
        assert np.array_equal(a, b)
    assert one.predict([]) == []


def test_too_few_outcomes_are_refused(point: DecisionPoint, log: list[Logged]) -> None:
    for few in (log[: LEAST - 1], [msgspec.structs.replace(e, family="one") for e in log[:100]]):
        with pytest.raises(Refused, match="are needed to learn from") as refused:
            cross_fitted(point.schema, few)
        assert _code(refused) == "few-outcomes"


def test_a_doubly_robust_reward_worked_by_hand(log: list[Logged]) -> None:
    example = next(e for e in log if len(e.propensities) >= 2)
    chances = (0.25, 0.75, *([0.0] * (len(example.propensities) - 2)))
    one = msgspec.structs.replace(example, choice=0, reward=3.0, propensities=chances)
    said = np.ones(len(chances))
    assert doubly_robust([one], [said], clip=50)[0].tolist() == [9.0, *said[1:].tolist()]
    assert doubly_robust([one], [said], clip=2)[0].tolist() == [5.0, *said[1:].tolist()]
    for unknown in ({"reward": None}, {"propensities": ()}):
        assert np.array_equal(doubly_robust([msgspec.structs.replace(one, **unknown)], [said])[0], said)
    assert said.tolist() == [1.0] * len(chances)


def test_doubly_robust_rewards_are_right_on_average_though_the_model_is_wrong(
    asked: list[Example], log: list[Logged]
) -> None:
    wrong = [np.full(len(example.propensities), 5.0) for example in log]
    found = np.array([one[-1] for one in doubly_robust(log, wrong)])
    truth = np.mean([np.mean([outcome[-1] for outcome in example.outcomes]) for example in asked])
    assert abs(found.mean() - truth) < 4 * found.std() / len(found) ** 0.5


def test_rows_of_different_lengths_are_one_table() -> None:
    made = sample([1.0, 0.0], [0, 2], [[0.5, 0.5], [0.2, 0.3, 0.5]], [[1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 2.0]] * 2)
    assert made.weights().tolist() == [2.0, 2.0]
    assert made.logging.shape == (2, 3)


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, log: list[Logged]) -> Path:
    splits = {"train": log[:200], "validation": log[200:220], "test": log[220:]}
    return write(tmp_path_factory.mktemp("data"), Recipe({POINT: 1}), splits)


def run(*arguments: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["policy", "estimate", *arguments])
    return found.exit_code, found.stdout, found.stderr


def test_the_command_estimates_the_shipped_policy_on_logged_decisions(folder: Path) -> None:
    code, out, _ = run("--data", str(folder), "--split", "all")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[1] for row in rows] == ["logged", *ESTIMATORS, "gain"]
    assert rows[0][4] == str(COUNT)
    assert LEAST_EFFECTIVE <= float(rows[0][5]) <= COUNT
    for _, _, value, about, *_ in rows:
        low, high = map(float, about.split(" to "))
        assert low < float(value) < high


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("--split", "held_out"), "choose test or all"),
        (("--points", "no.such"), f"choose among: {POINT}"),
    ],
)
def test_what_is_not_there_is_refused_with_a_cure(folder: Path, arguments: tuple[str, ...], cure: str) -> None:
    found = CliRunner().invoke(app, ["policy", "estimate", "--data", str(folder), *arguments])
    assert isinstance(found.exception, Refused)
    assert found.exception.cure == cure


def test_a_point_of_which_the_log_cannot_tell_says_why(tmp_path: Path, log: list[Logged]) -> None:
    splits = {"train": log[:300], "validation": [], "test": log[300:330]}
    code, out, _ = run("--data", str(write(tmp_path, Recipe({POINT: 1}), splits)), "--json")
    assert code == 1
    assert json.loads(out)["points"][POINT]["refused"] == "few-effective"
