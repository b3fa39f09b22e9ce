"""An order is sent until it is answered."""

import asyncio
import logging

import pytest

from federation.clock import SECOND, VirtualClock
from federation.errors import Temporary
from federation.records import Outcome
from federation.runtime.delivery import OUTAGE, SELDOM, SOON, deliver

HOUR = 3600.0
LOG = logging.getLogger("elias.test")


class Executor:
    """Is away during `outages` (seconds from the beginning); takes `needs` seconds for what it is asked while it is
    there, and has to be asked again where it goes away meanwhile."""

    def __init__(self, *outages: tuple[float, float], needs: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.asked: list[float] = []
        self._outages, self._needs, self._began = outages, needs, self.clock.now()

    @property
    def now(self) -> float:
        return (self.clock.now() - self._began) / SECOND

    async def send(self) -> Outcome:
        self.asked.append(self.now)
        if any(begins <= self.now < ends for begins, ends in self._outages):
            raise Temporary("elias.ulm does not answer")
        gone = min((begins for begins, _ in self._outages if begins > self.now), default=float("inf"))
        self.clock.advance(min(self._needs, gone - self.now))
        if self.now >= gone:
            raise Temporary("elias.ulm does not answer")
        return Outcome("done")

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def answer(self, until: float | None = None) -> Outcome | None:
        ends = None if until is None else self._began + round(until * SECOND)
        return asyncio.run(deliver(self.send, ends, self.clock, LOG, self.sleep))


@pytest.mark.parametrize("away", [1.0, 60.0, 200 * HOUR])
def test_an_outcome_arrives_soon_after_its_executor_is_back(away: float) -> None:
    executor = Executor((0.0, away))
    assert executor.answer() == Outcome("done")
    assert executor.now <= away + min(away, SELDOM) + SOON


def test_who_stays_away_is_asked_less_and_less_often_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor((0.0, HOUR))
    executor.answer()
    assert len(executor.asked) <= HOUR / SELDOM + 10
    (told,) = caplog.messages
    assert "elias.ulm does not answer" in told


def test_a_restart_is_not_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor((0.0, OUTAGE / 2))
    executor.answer()
    assert caplog.messages == []


def test_each_outage_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor((0.0, 60.0), (2 * HOUR, 2 * HOUR + 60), needs=3 * HOUR)
    assert executor.answer() == Outcome("done")
    assert len(caplog.messages) == 2
    second = [at for at in executor.asked if at > 2 * HOUR]
    assert second[0] == 2 * HOUR + SOON


def test_a_node_that_is_gone_has_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    executor = Executor((0.0, HOUR))
    assert executor.answer(until=35.0) is None
    assert 35.0 < executor.now <= 35.0 + 2 * SOON
    assert len(caplog.messages) == 1


def test_a_node_that_is_late_is_still_asked_what_it_did() -> None:
    executor = Executor((0.0, 34.0))
    assert executor.answer(until=35.0) == Outcome("done")
