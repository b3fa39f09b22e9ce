import pytest

from managers.ulm.comparison import Summary, compare, confidence


def test_timings_that_overlap_give_a_difference_and_how_sure_it_is() -> None:
    found = compare([100.0, 101.0, 99.0, 100.0], [144.0, 146.0, 145.0, 145.0])
    assert (round(found.slower or 0), found.samples) == (45, 8)
    assert found.confidence is not None
    assert found.confidence > 99.99


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # Student's own sleep data (Biometrika 1908), drug 1 and 2: Welch's t = -1.8608, df = 17.776, p = 0.07939.
        (
            [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
            [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
            100 * (1 - 0.07939 / 2),
        ),
        ([5.0, 5.0], [5.0, 5.0], 50.0),
        ([5.0, 5.0], [6.0, 6.0], 100.0),
        ([6.0, 6.0], [5.0, 5.0], 0.0),
    ],
    ids=["sleep", "equal", "all slower", "all faster"],
)
def test_the_confidence_is_that_of_welchs_test(before: list[float], after: list[float], expected: float) -> None:
    assert compare(before, after).confidence == pytest.approx(expected, abs=0.001)


def test_one_timing_on_a_side_gives_no_confidence() -> None:
    assert compare([100.0], [145.0, 146.0]).confidence is None


def test_a_baseline_of_nothing_gives_no_percentage() -> None:
    assert compare([0.0, 0.0], [1.0, 1.0]).slower is None


def test_more_timings_make_the_same_difference_surer() -> None:
    few, many = (confidence(Summary(100.0, 900.0, n), Summary(110.0, 900.0, n)) for n in (5.0, 50.0))
    assert 50 < few < many < 100
