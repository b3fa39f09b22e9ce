"""Evaluations that are kept, and compared pair by pair."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from federation.errors import Refused
from training.evaluation.bench import answers, figured
from training.evaluation.bootstrap import Judged
from training.evaluation.compare import Difference, differences
from training.evaluation.result import AtPoint, Evaluation, Kept, Reached, Source, Worth
from training.evaluation.store import every, named, read, write
from training.ope.estimators import interval

SOURCE = Source("simulated", "d" * 64, "test", 600)


def judged(seed: int, right: float, count: int = 600) -> Judged:
    """Questions that are the same for every policy: the harder ones are answered rightly by the better policies."""
    random = np.random.default_rng(seed)
    hard, luck = random.random(count), random.random(count)
    good = hard < right
    sure = np.where(good, 0.7 + luck * 0.3, 0.4 + luck * 0.3)
    return Judged(sure, good, sure > 0.8, np.where(good, 0.0, 1.0 + luck))


def evaluation(right: dict[str, float], name: str = "policy", source: Source = SOURCE) -> Evaluation:
    """right: by point, the share of the answers."""
    found = {point: judged(number, share) for number, (point, share) in enumerate(right.items())}
    return Evaluation(
        policy="p" * 64,
        name=name,
        at="2026-11-22T04:00:00+00:00",
        source=source,
        calibrated="d" * 64,
        overall=Reached(**figured(judged(0, 0.5))),
        points={point: AtPoint(**figured(one), max_error=0.05, unit="jobs") for point, one in found.items()},
        answers={point: answers(one) for point, one in found.items()},
    )


def said(before: Evaluation, after: Evaluation) -> dict[tuple[str, str], Difference]:
    return {(one.point, one.figure): one for one in differences(before, after)}


def test_what_is_kept_is_named_by_its_content_and_read_back_as_it_was(tmp_path: Path) -> None:
    one = evaluation({"a": 0.9})
    path = write(tmp_path / "evaluations", one)
    assert path.stem == one.digest
    assert read(path) == one
    assert write(tmp_path / "evaluations", one) == path
    assert list((tmp_path / "evaluations").iterdir()) == [path]


def test_what_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, evaluation({"a": 0.9}))
    path.write_text(path.read_text().replace("policy", "better", 1))
    with pytest.raises(Refused) as refused:
        read(path)
    assert (refused.value.code, refused.value.place) == ("evaluation.changed", str(path))


def test_the_beginning_of_an_id_names_one_if_it_names_no_other(tmp_path: Path) -> None:
    one, other = (write(tmp_path, evaluation({"a": share})) for share in (0.8, 0.9))
    assert named(tmp_path, one.stem[:12]) == one
    assert [id_ for id_, _ in every(tmp_path)] == sorted([one.stem, other.stem])
    for unclear in ("", "xyz"):
        with pytest.raises(Refused) as refused:
            named(tmp_path, unclear)
        assert refused.value.message == f"there is no policy and no evaluation `{unclear}`"


def test_a_policy_that_is_better_at_one_point_is_called_so_there_and_nowhere_else() -> None:
    found = said(evaluation({"a": 0.8, "b": 0.8}), evaluation({"a": 0.9, "b": 0.8}))
    regret = found["a", "regret"]
    assert regret.verdict == found["a", "right"].verdict == "better"
    assert regret.low < regret.difference < regret.high < 0
    assert {one.verdict for (point, _), one in found.items() if point == "b"} == {""}
    assert {figure for point, figure in found if point == "overall"} == {
        "accuracy", "coverage", "ece", "right", "regret"
    }  # fmt: skip


def test_the_other_way_round_it_is_worse() -> None:
    found = said(evaluation({"a": 0.9}), evaluation({"a": 0.8}))
    assert found["a", "regret"].verdict == found["a", "right"].verdict == "worse"


def test_a_policy_is_neither_better_nor_worse_than_itself() -> None:
    one = evaluation({"a": 0.9, "b": 0.7})
    assert {(each.verdict, each.difference) for each in differences(one, one)} == {("", 0.0)}


def test_of_policies_that_are_alike_some_figure_is_called_different_in_few_comparisons() -> None:
    wrong = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        pair = []
        for _ in range(2):
            one = evaluation({name: 0.5 for name in "abc"})
            pair.append(msgspec.structs.replace(one, answers={name: _alike(random) for name in "abc"}))
        wrong += any(each.verdict for each in differences(*pair))
    assert wrong <= 6  # of 40 at 5 % more come about once in 300 times


def _alike(random: np.random.Generator) -> object:
    right = random.random(200) < 0.8
    return answers(Judged(random.random(200), right, random.random(200) < 0.5, np.where(right, 0.0, 1.0)))


@pytest.mark.parametrize(
    "source", [Source("simulated", "e" * 64, "test", 600), Source("simulated", "d" * 64, "test", 700)]
)
def test_evaluations_on_other_questions_are_not_compared(source: Source) -> None:
    with pytest.raises(Refused) as refused:
        differences(evaluation({"a": 0.8}), evaluation({"a": 0.9}, source=source))
    assert refused.value.code == "evaluation.unlike"


def test_what_was_allowed_another_error_is_not_compared() -> None:
    before, after = evaluation({"a": 0.8}), evaluation({"a": 0.8})
    lenient = {name: msgspec.structs.replace(one, max_error=0.1) for name, one in after.points.items()}
    with pytest.raises(Refused, match=r"at `a`, one may have 5 % wrong, the other 10 %") as refused:
        differences(before, msgspec.structs.replace(after, points=lenient))
    assert (refused.value.code, "--max-error" in refused.value.cure) == ("evaluation.unlike", True)


def test_evaluations_at_other_points_are_not_compared() -> None:
    with pytest.raises(Refused, match="no decision point in common"):
        differences(evaluation({"a": 0.8}), evaluation({"b": 0.9}))


def test_estimated_rewards_and_the_probe_are_compared_item_by_item() -> None:
    random = np.random.default_rng(1)
    shared = random.normal(size=400)

    def with_reward(more: float, nats: float) -> Evaluation:
        each = shared + more + random.normal(size=400) * 0.1
        estimate = interval(each)
        worth = Worth(
            decisions=400, effective=300, logged=estimate, doubly_robust=estimate, gain=estimate, each=each.tolist()
        )
        one = evaluation({"a": 0.8})
        point = msgspec.structs.replace(one.points["a"], worth=worth)
        items = (np.linspace(0.5, 1.5, 40) + nats + random.normal(size=40) * 0.01).tolist()
        return msgspec.structs.replace(one, points={"a": point}, kept=Kept(0.9, 0.25, 1.0, items))

    found = said(with_reward(0.0, 0.0), with_reward(0.1, 0.2))
    assert found["a", "reward"].verdict == "better"
    assert found["general ability", "nats"].verdict == "worse"
