"""Who is on call when, in local time, through changes of the clocks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.clock import SECOND
from federation.escalation import Layer, Schedule
from federation.sections import DAYS
from managers.uim.cases.schedules import on_call, shifts

ZONES = ("UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def layer(people: str, starts: str = "2026-01-05T09:00", **more: object) -> Layer:
    return Layer.model_validate({"people": people.split(), "starts": starts, **more})


def schedule(*layers: Layer, zone: str = "UTC", overrides: tuple[dict[str, str], ...] = ()) -> Schedule:
    return Schedule.model_validate({"timezone": zone, "layers": layers, "overrides": overrides})


@pytest.mark.parametrize(
    ("moment", "person"),
    [
        ("2026-01-05T08:59", ""),
        ("2026-01-05T09:00", "ada"),
        ("2026-01-12T08:59", "ada"),
        ("2026-01-12T09:00", "bob"),
        ("2026-01-19T09:00", "ada"),
        ("2026-03-30T08:59", "bob"),  # the clocks were put forward the day before
        ("2026-03-30T09:00", "ada"),
        ("2026-10-26T08:59", "bob"),  # and back the day before
        ("2026-10-26T09:00", "ada"),
    ],
)
def test_a_turn_begins_at_the_same_local_time_all_year(moment: str, person: str) -> None:
    weekly = schedule(layer("ada bob"), zone="Europe/Zurich")
    assert on_call(weekly, at(moment, "Europe/Zurich")) == person


@pytest.mark.parametrize(
    ("moment", "person"),
    [
        ("2026-01-09T12:00", "day"),  # a Friday
        ("2026-01-09T19:00", "night"),
        ("2026-01-10T03:00", "night"),
        ("2026-01-10T12:00", "always"),  # Friday's night has ended, Saturday has no hours
        ("2026-01-12T03:00", "always"),  # Sunday's night does not begin
    ],
)
def test_later_layers_go_before_earlier_ones_in_their_hours(moment: str, person: str) -> None:
    week = ["mon", "tue", "wed", "thu", "fri"]
    three = schedule(
        layer("always"),
        layer("day", days=week, opens="09:00", closes="18:00"),
        layer("night", starts="2026-01-05T18:00", days=week, opens="18:00", closes="09:00"),
    )
    assert on_call(three, at(moment)) == person


def test_an_override_goes_before_every_layer_and_the_last_one_before_the_others() -> None:
    away = (
        {"person": "eve", "starts": "2026-02-01T00:00", "ends": "2026-02-10T00:00"},
        {"person": "joe", "starts": "2026-02-05T00:00", "ends": "2026-02-06T00:00"},
    )
    weekly = schedule(layer("ada"), overrides=away)
    moments = ("2026-01-31T23:59", "2026-02-01T00:00", "2026-02-05T12:00", "2026-02-06T00:00", "2026-02-10T00:00")
    assert [on_call(weekly, at(moment)) for moment in moments] == ["ada", "eve", "joe", "eve", "ada"]


def test_a_handover_in_the_hour_that_comes_twice_happens_once() -> None:
    daily = schedule(layer("ada bob", starts="2026-10-24T02:30", rotate="1d"), zone="Europe/Zurich")
    night = at("2026-10-25T00:00", "Europe/Zurich")
    people = [shift.person for shift in shifts(daily, night, night + 8 * HOUR)]
    assert people == ["ada", "bob"]


@pytest.mark.parametrize("wrong", [{"starts": "2026-01-05T09:00+01:00"}, {"rotate": "10m"}, {"days": []}])
def test_a_layer_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"local time|greater|at least"):
        layer("ada", **wrong)  # type: ignore[arg-type]


# -- any schedule -------------------------------------------------------------------------------------------------

times = st.times().map(lambda t: t.replace(second=0, microsecond=0).isoformat())
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda m: m.replace(microsecond=0))


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    people = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4))
    return Layer.model_validate(
        {
            "people": people,
            "starts": draw(moments),
            "rotate": draw(
                st.one_of(st.integers(1, 72).map(lambda h: h * 3600.0), st.sampled_from((1e5, 86400.0 * 7)))
            ),
            "days": draw(st.sets(st.sampled_from(DAYS), min_size=1).map(sorted)),
            "opens": draw(times),
            "closes": draw(times),
        }
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    stands = []
    for starts in draw(st.lists(moments, max_size=3)):
        ends = starts + timedelta(hours=draw(st.integers(1, 200)))
        stands.append({"person": draw(st.sampled_from("xyz")), "starts": starts, "ends": ends})
    zone = draw(st.sampled_from(ZONES))
    return Schedule.model_validate(
        {"timezone": zone, "layers": draw(st.lists(layers(), max_size=3)), "overrides": stands}
    )


instants = moments.map(lambda m: round(m.replace(tzinfo=UTC).timestamp()) * SECOND)


@given(schedules(), instants, st.integers(1, 10 * 24))
def test_shifts_leave_no_gap_and_neighbours_differ(plan: Schedule, starts: int, hours: int) -> None:
    found = shifts(plan, starts, starts + hours * HOUR)
    assert found[0].starts == starts
    assert found[-1].ends == starts + hours * HOUR
    for one, following in pairwise(found):
        assert one.ends == following.starts
        assert one.person != following.person


@given(schedules(), instants, st.integers(1, 10 * 24), st.floats(0, 1, exclude_max=True))
def test_whoever_is_on_call_is_whose_shift_it_is(plan: Schedule, starts: int, hours: int, share: float) -> None:
    moment = starts + int(hours * HOUR * share)
    (mine,) = (s for s in shifts(plan, starts, starts + hours * HOUR) if s.starts <= moment < s.ends)
    assert on_call(plan, moment) == mine.person


@given(layers(), st.sampled_from(ZONES), st.integers(0, 400))
def test_people_take_turns_in_their_order(rotation: Layer, zone: str, turn: int) -> None:
    whole = rotation.model_copy(update={"days": DAYS, "closes": rotation.opens})
    plan = Schedule(timezone=zone, layers=(whole,))
    begins = whole.starts.replace(tzinfo=ZoneInfo(zone)).timestamp() + turn * whole.rotate
    middle = round((begins + whole.rotate / 2) * SECOND)  # clocks are changed by less than half a turn of two hours
    expected = whole.people[turn % len(whole.people)]
    assert on_call(plan, middle) == expected or whole.rotate <= 2 * 3600


@given(schedules(), instants)
def test_an_override_in_force_always_counts(plan: Schedule, moment: int) -> None:
    def instant(local: datetime) -> float:
        return local.replace(tzinfo=ZoneInfo(plan.timezone)).timestamp() * SECOND

    standing = [s.person for s in plan.overrides if instant(s.starts) <= moment < instant(s.ends)]
    if standing:
        assert on_call(plan, moment) == standing[-1]
