"""Silences in a real Alertmanager, made and ended by the orders of `ufm.alert`."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.clock import SECOND, SystemClock
from federation.effects import Order
from federation.targets import Alertmanager
from managers.ucm import alertmanager as ucm
from tests.ports import free_port

from .monitoring import alertmanager

USER, PASSWORD = "elias", "test"
WEB = f"basic_auth_users:\n  {USER}: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay\n"
LABELS = {"alertname": "NodeDown", "instance": "gpu-4:9100", "why": 'a "quoted" \\ größer'}


@pytest.fixture(params=["open", "behind a password"])
def settings(request: Any, tmp_path: Path) -> Iterator[Alertmanager]:
    locked = request.param != "open"
    (tmp_path / "password").write_text(PASSWORD)
    login = {"user": USER, "secret_file": tmp_path / "password"} if locked else {}
    with alertmanager(tmp_path, free_port(), web=WEB if locked else "") as url:
        yield Alertmanager.model_validate({"url": url, "timeout": 60, **login})


def order(action: str, decision: str = "3f9a", **args: Any) -> Order:
    return Order(decision, "ufm.alert", "x", action, args, f"alert.{action}", 1, 1, 0, {"labels": LABELS})


def silences(settings: Alertmanager) -> list[dict[str, Any]]:
    login = (settings.user, settings.secret()) if settings.user else None
    found: list[dict[str, Any]] = httpx.get(f"{settings.url}/api/v2/silences", auth=login).json()
    return found


async def test_a_silence_is_of_this_alert_alone_and_ends_by_itself(settings: Alertmanager) -> None:
    doers = ucm.doers(settings, SystemClock())
    began = time.time()
    outcome = await doers["alert.silence"].do(order("silence", duration=3600.0))
    (silence,) = silences(settings)
    assert (outcome.status, outcome.data["silence"]) == ("done", silence["id"])
    assert {m["name"]: m["value"] for m in silence["matchers"]} == LABELS
    assert not any(m["isRegex"] for m in silence["matchers"])
    assert "3f9a" in silence["comment"]
    ends = datetime.fromisoformat(silence["endsAt"]).timestamp()
    assert began + 3599 <= ends <= time.time() + 3601
    assert abs(outcome.data["until"] / SECOND - ends) < time.time() - began + 1


async def test_an_interrupted_one_is_found_again_by_its_decision(settings: Alertmanager) -> None:
    silence = ucm.doers(settings, SystemClock())["alert.silence"]
    made = await silence.do(order("silence", duration=3600.0))
    found = await silence.probe(order("silence", duration=3600.0))
    assert (found.status, found.data["silence"]) == ("done", made.data["silence"])
    assert (await silence.probe(order("silence", "another", duration=3600.0))).status == "failed"
    assert len(silences(settings)) == 1


async def test_a_silence_is_ended_before_its_time(settings: Alertmanager) -> None:
    doers = ucm.doers(settings, SystemClock())
    made = (await doers["alert.silence"].do(order("silence", duration=3600.0))).data["silence"]
    ending = order("unsilence", "b", silence=made)
    assert (await doers["alert.unsilence"].probe(ending)).status == "failed"
    assert (await doers["alert.unsilence"].do(ending)).status == "done"
    assert [silence["status"]["state"] for silence in silences(settings)] == ["expired"]
    assert (await doers["alert.unsilence"].probe(ending)).status == "done"


def test_without_an_alertmanager_nobody_knows_how_to_silence() -> None:
    assert ucm.doers(Alertmanager(), SystemClock()) == {}
