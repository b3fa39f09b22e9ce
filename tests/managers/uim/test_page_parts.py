"""What pages are put together from: figures in words, charts, similarity, comparisons."""

import pytest

from federation.records import Header, Kind
from managers.uim.access import Person, Role
from managers.uim.api.load import Trends
from managers.uim.cases.handling import Result
from managers.uim.web import answering, ledger, specs, svg, words

from .conftest import House


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d"), (-3, "0 s")]
)
def test_a_duration_has_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(45, "0:45"), (725, "12:05"), (3723, "1:02:03"), (-1, "0:00")])
def test_a_countdown_keeps_its_width(seconds: float, text: str) -> None:
    assert words.clock(seconds) == text


@pytest.mark.parametrize(("part", "text"), [(1, "100 %"), (0.004, "0.4 %"), (0.05, "5 %"), (0.123, "12 %"), (0, "0 %")])
def test_a_small_share_is_not_rounded_to_nothing(part: float, text: str) -> None:
    assert words.share(part) == text


@pytest.mark.parametrize(("role", "reads"), [(Role.VIEWER, False), (Role.OPERATOR, False), (Role.ADMIN, True)])
def test_who_came_in_is_read_by_those_who_keep_the_accounts(role: Role, reads: bool) -> None:
    person = Person("ada", role, role.scopes, "session", "ada")
    assert ledger.may_read(person, Header(7, 0, 1, "uim", 1, Kind.ACCESS, "", "grace", "")) is reads
    assert ledger.may_read(person, Header(8, 0, 1, "urm", 1, Kind.ASKED, "urm.package", "numpy", "d"))


def test_of_two_percentages_the_first_is_what_was_seen() -> None:
    assert words.percents({"load": "97%", "limit": "80%"}) == (97.0, 80.0)
    assert words.percents({"load": "unknown", "limit": "80%"}) is None


def test_a_line_is_drawn_of_three_values_with_a_gap_where_one_is_missing() -> None:
    assert svg.sparkline([1, 2], "two") == ""
    assert svg.sparkline([1, 2, None, 4], "load").count("M") == 2
    assert "nan" not in svg.sparkline([5, 5, 5], "still")


def test_words_in_a_chart_cannot_become_markup() -> None:
    assert "<b>" not in svg.columns([1, 2], '"><b>x')
    assert "<b>" not in svg.stack([('"><b>', 1.0)], "")


def test_a_comparison_of_bundles_shows_changed_files_alone() -> None:
    found = specs.compare({"a": "1\n2\n", "b": "same"}, {"a": "1\n3\n", "b": "same", "c": "new"})
    assert list(found) == ["a", "c"]
    assert [(line.kind, line.text) for line in found["a"]][1:] == [("same", "1"), ("del", "2"), ("add", "3")]


def test_what_became_of_many_answers_is_told_in_a_sentence() -> None:
    done = [Result(id=str(n), subject="", status="answered", action="relieve") for n in range(3)]
    late = Result(id="4", subject="", status="refused", message="it was answered by eli before")
    assert answering.told([*done, late]) == "3 answered relieve; 1 left: it was answered by eli before."
    assert answering.told([]) == "Nothing was open any more."


def test_the_load_of_a_node_is_kept_while_it_is_there(house: House) -> None:
    trends = Trends(house.link)
    for cpu in (10.0, None, 30.0):
        trends.take([{"name": "n1", "report": {"cpu": cpu}}])
    assert trends.of("n1") == {"cpu": [10.0, None, 30.0]}
    trends.take([])
    assert trends.of("n1") == {}
