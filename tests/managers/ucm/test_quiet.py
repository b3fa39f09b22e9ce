"""Quiet hours: what waits, until when, in local time, and what overtakes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from federation.clock import SECOND
from federation.targets import PRIORITIES, Quiet, Webhook
from managers.ucm.quiet import first_chance, quiet_until

from .conftest import PATIENCE
from .post import Post, Server

ZURICH = "Europe/Zurich"
NIGHT = Quiet(begins=time(22), ends=time(7), timezone=ZURICH)
WEEKEND = Quiet(begins=time(0), ends=time(0), days=("sat", "sun"), timezone=ZURICH, passes="critical")


def at(text: str, zone: str = ZURICH) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


# 2026-03-29 is a Sunday; at 02:00 the clocks of Zurich are put to 03:00. 2026-10-25: at 03:00 to 02:00.
@pytest.mark.parametrize(
    ("hours", "priority", "now", "until"),
    [
        ([NIGHT], "normal", "2026-03-25T21:59:59", None),
        ([NIGHT], "normal", "2026-03-25T22:00:00", "2026-03-26T07:00:00"),
        ([NIGHT], "low", "2026-03-26T06:59:59", "2026-03-26T07:00:00"),
        ([NIGHT], "low", "2026-03-26T07:00:00", None),
        ([NIGHT], "high", "2026-03-26T03:00:00", None),
        ([NIGHT], "critical", "2026-03-26T03:00:00", None),
        ([NIGHT], "normal", "2026-03-28T23:00:00", "2026-03-29T07:00:00"),
        ([NIGHT], "normal", "2026-10-25T01:00:00", "2026-10-25T07:00:00"),
        ([WEEKEND], "high", "2026-03-27T23:59:59", None),
        ([WEEKEND], "high", "2026-03-28T00:00:00", "2026-03-30T00:00:00"),
        ([WEEKEND], "critical", "2026-03-28T12:00:00", None),
        ([NIGHT, WEEKEND], "normal", "2026-03-27T23:00:00", "2026-03-30T07:00:00"),
        ([NIGHT, WEEKEND], "high", "2026-03-27T23:00:00", None),
        ([NIGHT, WEEKEND], "high", "2026-03-28T03:00:00", "2026-03-30T00:00:00"),
        ([], "low", "2026-03-26T03:00:00", None),
        ([NIGHT.model_copy(update={"days": ("mon",)})], "low", "2026-03-24T06:00:00", "2026-03-24T07:00:00"),
        ([NIGHT.model_copy(update={"days": ("mon",)})], "low", "2026-03-25T06:00:00", None),
    ],
)
def test_what_is_not_urgent_waits_until_the_hours_end(
    hours: list[Quiet], priority: Any, now: str, until: str | None
) -> None:
    assert quiet_until(hours, PRIORITIES.index(priority), at(now)) == (at(until) if until else None)


def test_a_night_is_an_hour_shorter_when_the_clock_is_put_forward() -> None:
    begin, end = at("2026-03-28T22:00:00"), at("2026-03-29T07:00:00")
    assert quiet_until([NIGHT], 1, begin) == end
    assert end - begin == 8 * 3600 * SECOND


def test_hours_that_never_end_do_not_take_for_ever_to_find() -> None:
    always = Quiet(begins=time(0), ends=time(0))
    now = at("2026-03-26T03:00:00")
    assert (quiet_until([always], 0, now) or 0) > now
    assert first_chance([always], 3, now) == now


@pytest.fixture
async def office(tmp_path: Path, server: Server) -> AsyncIterator[Post]:
    """At seven in the evening, UTC."""
    quiet = (Quiet(begins=time(20), ends=time(8)),)
    post = Post(
        tmp_path,
        hook=Webhook(kind="webhook", url=server.url, timeout=PATIENCE, quiet=quiet),
    )
    now = datetime.fromtimestamp(post.clock.now() / SECOND, UTC)
    post.clock.advance((19 - now.hour) % 24 * 3600 - now.minute * 60 - now.second)
    yield post
    await post.close()


async def test_at_night_only_what_is_urgent_is_sent_and_in_the_morning_the_rest(office: Post, server: Server) -> None:
    office.send("in the evening", priority="low")
    await office.act()
    await office.pass_time(2 * 3600, step=600)
    assert office.send("a reminder", priority="low").clause == "quiet_hours"
    assert office.send("a question").action == "hold"
    assert office.send("an outage", priority="critical").action == "deliver"
    await office.act()
    assert [got.json for got in server.got] == ["in the evening", "an outage"]
    assert office.target()["quiet_until"] is not None
    await office.pass_time(10 * 3600, step=600)
    assert [got.json for got in server.got] == ["in the evening", "an outage"]
    await office.pass_time(2 * 3600, step=600)
    assert [got.json for got in server.got[2:]] == ["a reminder", "a question"]
    assert office.target()["quiet_until"] is None


async def test_a_retry_waits_for_the_morning_too(office: Post, server: Server) -> None:
    await office.pass_time(3600 - 1, step=3599)
    server.answers.append(503)
    office.send("x")
    await office.act()
    await office.pass_time(3600, step=60)
    assert len(server.got) == 1
    await office.pass_time(12 * 3600, step=600)
    assert len(server.got) == 2


async def test_a_manager_that_is_made_anew_in_the_night_does_not_forget_what_waits(office: Post) -> None:
    await office.pass_time(2 * 3600, step=600)
    office.send("x")
    before = office.store.head().size
    await office.pass_time(3600, step=1)
    asked = [record for record in office.store.read(after=before) if record.header.kind == "asked"]
    assert (office.waiting(), asked) == (1, [])


async def test_what_waited_for_days_is_not_too_old_to_be_sent(tmp_path: Path, server: Server) -> None:
    days: Any = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    post = Post(
        tmp_path,
        hook=Webhook(kind="webhook", url=server.url, quiet=(Quiet(begins=time(0), ends=time(0), days=days[:6]),)),
    )
    now = datetime.fromtimestamp(post.clock.now() / SECOND, UTC)
    post.clock.advance((7 - now.weekday()) * 86400)
    post.send("x")
    await post.pass_time(5 * 86400, step=3600)
    assert (post.waiting(), server.got) == (1, [])
    await post.pass_time(86400 * 1.5, step=3600)
    assert [got.json for got in server.got] == ["x"]
    await post.close()
