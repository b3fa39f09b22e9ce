"""The advisors in their order: the first that answers within the deadline and the budget has the word."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, Protocol

from federation.advisors.brief import Brief
from federation.advisors.budget import Budget
from federation.advisors.provider import Failure, Said
from federation.advisors.question import ASK, Advice, Spent
from federation.advisors.settings import AdvisorSettings, Provider
from federation.breaker import Breaker, Limits, State
from federation.clock import SECOND, Clock
from federation.policy.question import LABELS

LIMITS = Limits(failures=3, window=120.0, cool_down=15.0, longest=600.0)
"""A cloud model that is ill stays so for minutes, and each attempt costs a person's time."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds before the same question is sent again, doubled from one to the other


class Advisor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> Provider: ...

    async def ask(self, brief: Brief) -> tuple[Said, Spent]: ...

    async def close(self) -> None: ...


class Standing(NamedTuple):
    """How an advisor stands. problem: why it failed last; empty: it never did. today's money is the budget's."""

    kind: str
    model: str
    state: State
    answered: int
    failed: int
    problem: str


@dataclass
class _Seat:
    advisor: Advisor
    breaker: Breaker
    rests_until: int = 0  # ledger time (ns): the provider named it (Retry-After)
    answered: int = 0
    failed: int = 0
    problem: str = ""


class _UsedUp(Exception):
    """The budget of the day."""


@dataclass
class _Round:
    """One question on its way. spent: by all attempts so far."""

    point: str
    brief: Brief
    spent: Spent = field(default_factory=Spent)


class Panel:
    """missing: why some of the providers named in the settings are not among the advisors."""

    def __init__(
        self,
        advisors: Sequence[Advisor],
        settings: AdvisorSettings,
        budget: Budget,
        clock: Clock,
        random: Random,
        missing: Iterable[str] = (),
    ) -> None:
        self.budget = budget
        self.missing = tuple(missing)
        self._seats = [_Seat(advisor, Breaker(clock, random, LIMITS)) for advisor in advisors]
        self._settings = settings
        self._clock = clock
        self._random = random

    async def advise(self, point: str, brief: Brief, deadline: float) -> Advice:
        """The advice, or why there is none. deadline: seconds from now; what is left of it is divided evenly among the
        advisors that can still be asked, so one that hangs leaves time for the next."""
        now = asyncio.get_running_loop().time
        begun = now()
        end = begun + deadline
        asking = _Round(point, brief)
        problems = list(self.missing) if not self._seats else []
        tried: set[int] = set()
        while seats := [one for one in self._seats if id(one) not in tried and self._ready(one)]:
            seat, share = seats[0], (end - now()) / len(seats)
            tried.add(id(seat))
            if share <= 0:
                break
            try:
                said = await self._answer(seat, asking, share)
            except Failure as failure:
                problems.append(f"{seat.advisor.name}: {failure}")
            except _UsedUp as used:
                problems.append(str(used))
                break
            else:
                return _advice(seat.advisor, said, asking, now() - begun)
        problem = "; ".join(problems) or "every advisor is left alone for a while after failures"
        digest = brief.digest if asking.spent.calls else ""
        return Advice(problem=problem, brief=digest, spent=asking.spent, seconds=now() - begun)

    def standing(self) -> list[Standing]:
        return [
            Standing(
                one.advisor.provider.kind, one.advisor.name, one.breaker.state, one.answered, one.failed, one.problem
            )
            for one in self._seats
        ]

    async def close(self) -> None:
        for one in self._seats:
            await one.advisor.close()

    def _ready(self, seat: _Seat) -> bool:
        return seat.breaker.ready and self._clock.now() >= seat.rests_until

    async def _answer(self, seat: _Seat, asking: _Round, share: float) -> Said:
        """Asked again while that may help and there is time. Raises Failure, _UsedUp."""
        now = asyncio.get_running_loop().time
        end = now() + share
        attempt = 0
        while True:
            try:
                return await self._attempt(seat, asking, end - now())
            except Failure as failure:
                seat.failed, seat.problem = seat.failed + 1, str(failure)
                pause = self._pause(attempt) if failure.after is None else failure.after
                if failure.after is not None:
                    seat.rests_until = self._clock.now() + round(failure.after * SECOND)
                attempt += 1
                last = not failure.again or attempt > self._settings.retries or now() + pause >= end
                if last or not seat.breaker.ready:
                    raise
                await asyncio.sleep(pause)

    async def _attempt(self, seat: _Seat, asking: _Round, limit: float) -> Said:
        clock, budget = self._clock, self.budget
        if refusal := budget.refusal(asking.point, clock.now()):
            raise _UsedUp(refusal)
        budget.begin(asking.point, clock.now())
        asking.spent += Spent(calls=1)
        ticket = seat.breaker.admit()
        try:
            async with asyncio.timeout(limit):
                said, spent = await seat.advisor.ask(asking.brief)
        except Failure as failure:
            self._pay(asking, failure.spent)
            (seat.breaker.failed if failure.ill else seat.breaker.abandoned)(ticket)
            raise
        except TimeoutError:
            seat.breaker.failed(ticket)
            raise Failure(f"no answer within {limit:.3g} s", ill=True, spent=Spent()) from None
        except BaseException:
            seat.breaker.abandoned(ticket)
            raise
        self._pay(asking, spent)
        seat.breaker.succeeded(ticket)
        seat.answered += 1
        return said

    def _pay(self, asking: _Round, spent: Spent) -> None:
        asking.spent += spent
        self.budget.spend(asking.point, spent, self._clock.now())

    def _pause(self, attempt: int) -> float:
        """Exponential with full jitter (Brooker, AWS Architecture Blog, 2015)."""
        return self._random.random() * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt)


def _advice(advisor: Advisor, said: Said, asking: _Round, seconds: float) -> Advice:
    brief = asking.brief
    choice = None if said.label == ASK else brief.offered[LABELS.index(said.label)]
    return Advice(
        provider=advisor.provider.kind,
        model=advisor.name,
        choice=choice,
        confidence=said.confidence,
        words=said.words,
        brief=brief.digest,
        spent=asking.spent,
        seconds=seconds,
    )
