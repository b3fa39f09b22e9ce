"""A question to ask advisors about, and a panel that asks it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from federation.advisors.brief import Brief, Known, brief
from federation.advisors.budget import Budget
from federation.advisors.panel import Panel
from federation.advisors.provider import Advisor
from federation.advisors.question import Question
from federation.advisors.settings import AdvisorSettings, Provider
from federation.clock import VirtualClock
from federation.records import Asked, Candidate, Event
from tests.advisors.stub import KEY, Stub
from tests.federation.lab import FURNACE, SPEC

POINT = FURNACE.name


def question(spec: str = SPEC, subject: str = "f1", **facts: Any) -> Question:
    candidates = [
        Candidate("cool", {"by": "gently"}),
        Candidate("vent", {}, {"window.wind": 5.0}),
        Candidate("hold"),
    ]
    event = Event("e1", "test", "lab.measured", subject, None, {})
    known = {"heat": 80.0, **facts}
    asked = Asked(event, known, [], None, None, candidates, "b" * 32, 1, 0, waits="advisor", clause="warm")
    return Question("d" * 32, POINT, subject, asked, None, spec)


def text() -> Brief:
    return brief(FURNACE, question(), [], Known())


def claude(stub: Stub, folder: Path, **more: Any) -> Provider:
    return Provider(kind="anthropic", model="claude-stub", base_url=stub.url, key_file=_key(folder), **more)


def other(stub: Stub, folder: Path, **more: Any) -> Provider:
    return Provider(kind="openai", model="other-stub", base_url=f"{stub.url}/v1", key_file=_key(folder), **more)


def _key(folder: Path) -> Path:
    path = folder / "key"
    path.write_text(f"{KEY}\n")
    return path


@asynccontextmanager
async def panel(*providers: Provider, clock: VirtualClock | None = None, **how: Any) -> AsyncIterator[Panel]:
    settings = AdvisorSettings(providers=providers, **how)
    clock = clock or VirtualClock()
    made = Panel([Advisor(p) for p in providers], settings, Budget(settings, clock.now()), clock, Random(1))
    try:
        yield made
    finally:
        await made.close()
