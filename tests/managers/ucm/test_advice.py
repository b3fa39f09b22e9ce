"""Storms of messages and steps of workflows: UCM answers what the events ask."""

from typing import Any

import pytest

from federation.records import Event, Kind, decode
from federation.replies import Rejected, Reply

from .post import Post

STORM = {
    "load": "180%",
    "trend": "5%",
    "queue_fill": "40%",
    "wait": "2m",
    "oldest": "2m",
    "critical": "5%",
    "low": "30%",
    "duplicates": "0%",
    "retries": "50%",
    "overhead": "20%",
    "standby_room": None,
}
STEP = {
    "step": "deploy",
    "trouble": "failed",
    "error": "no_answer",
    "attempts": 1,
    "elapsed": "100%",
    "recovers": "70%",
    "idempotent": True,
    "reached": "60%",
    "deployed": "60%",
    "reversible": "90%",
    "dependents": 2,
}


def ask(post: Post, kind: str, data: dict[str, Any]) -> Reply | Rejected:
    (reply,) = post.federation.post([Event(f"{kind} {data}", "test", f"elias.{kind}", "pager", None, data)])
    return reply if isinstance(reply, Rejected) else reply[0]


def test_a_storm_that_no_rule_decides_waits_for_a_choice_among_what_is_possible(post: Post) -> None:
    reply = ask(post, "message.storm", STORM)
    assert isinstance(reply, Reply)
    (record,) = post.store.read(points=["ucm.storm"], kinds=[Kind.ASKED])
    asked = decode(Kind.ASKED, record.body)
    assert {candidate.action: candidate.forbidden for candidate in asked.candidates} == {
        "throttle": None,
        "batch": None,
        "drop_low": None,
        "drop_duplicates": "nothing_twice",
        "reroute": "no_standby",
        "hold": None,
    }
    assert asked.offers == ["throttle", "batch", "drop_low", "drop_duplicates", "reroute", "hold"]


@pytest.mark.parametrize(
    ("kind", "data", "action", "clause"),
    [
        ("message.storm", STORM | {"load": "80%", "oldest": "5s"}, "hold", "keeps_up"),
        ("message.storm", STORM | {"queue_fill": 99}, "throttle", "overflows"),
        ("workflow.step", STEP | {"trouble": "late", "error": None, "elapsed": "40%"}, "hold", "in_time"),
        ("workflow.step", STEP | {"reached": "99%"}, "proceed", "as_good_as_done"),
        ("workflow.step", STEP | {"step": "validate_resources", "error": "refused"}, "roll_back", "not_valid"),
    ],
)
def test_a_clear_case_is_answered_at_once_and_does_nothing(
    post: Post, kind: str, data: dict[str, Any], action: str, clause: str
) -> None:
    reply = ask(post, kind, data)
    assert isinstance(reply, Reply)
    assert (reply.action, reply.clause, reply.mode) == (action, clause, "")
    assert post.waiting() == 0


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("message.storm", STORM | {"queue_fill": "140%"}, "queue_fill"),
        ("message.storm", STORM | {"lod": "140%"}, "load"),
        ("workflow.step", STEP | {"step": "dance"}, "dance"),
        ("workflow.step", STEP | {"attempts": 1.5}, "attempts"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_with_place_and_cure(
    post: Post, kind: str, data: dict[str, Any], said: str
) -> None:
    refused = ask(post, kind, data)
    assert isinstance(refused, Rejected)
    assert said in refused.message
    assert "data" in refused.place
    assert "elias tiki schema" in refused.cure


async def test_messages_are_delivered_while_a_storm_waits_for_an_answer(post: Post) -> None:
    ask(post, "message.storm", STORM)
    ask(post, "workflow.step", STEP)
    post.send({"hello": "world"})
    await post.act()
    assert (post.waiting(), post.target()["delivered"]) == (0, 1)
