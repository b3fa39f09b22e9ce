"""Engines in the order in which they are asked: one that dies costs time, and no decision."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from federation.breaker import DEFAULT, Breaker, Limits, State
from federation.clock import Clock
from federation.errors import Refused, Temporary
from federation.policy.question import Engine, Prompt, Rejected, Scores


class Answer(NamedTuple):
    """policy: version of what scored. engine: name of the engine. scores: one for each prompt, in order."""

    policy: str
    engine: str
    scores: list[Scores]


class Standing(NamedTuple):
    """How an engine stands. asked: batches that it has now. problem: why it failed last; empty: it never did."""

    engine: str
    policy: str
    state: State
    asked: int
    problem: str


@dataclass
class Counts:
    """Batches since the start, by the name of the engine; they only grow.

    answered: that it answered. failed: that it did not answer, or not in its share of the time. failed_over: that it
    answered after another had failed. lost: that no engine answered in time.
    """

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failed_over: Counter[str] = field(default_factory=Counter)
    lost: int = 0


@dataclass
class _Link:
    name: str
    engine: Engine
    breaker: Breaker
    asked: int = 0
    problem: str = ""


class Chain:
    """An engine made of engines: the replicas, the least busy first, then `last`, which is always asked.

    What is left of the deadline is divided evenly among the engines that can still be asked, so a replica that hangs
    leaves time for the next; one that fails at once leaves nearly all of it. A replica whose breaker is open is passed
    over.
    """

    def __init__(
        self,
        replicas: Mapping[str, Engine],
        last: tuple[str, Engine] | None,
        clock: Clock,
        random: Random,
        limits: Limits = DEFAULT,
    ) -> None:
        self._replicas = [_Link(name, engine, Breaker(clock, random, limits)) for name, engine in replicas.items()]
        self._last = [_Link(last[0], last[1], Breaker(clock, random, Limits(failures=0)))] if last else []
        if not self._replicas and not self._last:
            raise ValueError("a chain has at least one engine")
        self.counts = Counts()

    @property
    def version(self) -> str:
        """Of the engine that is asked first. Which one answered is said by `answer`."""
        return (self._replicas or self._last)[0].engine.version

    def standing(self) -> list[Standing]:
        return [
            Standing(one.name, one.engine.version, one.breaker.state, one.asked, one.problem)
            for one in (*self._replicas, *self._last)
        ]

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        return (await self.answer(prompts, deadline)).scores

    async def answer(self, prompts: Sequence[Prompt], deadline: float) -> Answer:
        """deadline: seconds from now. Raises Temporary when no engine answered in time, with the reason of each."""
        now = asyncio.get_running_loop().time
        end = now() + deadline
        failures: list[str] = []
        tried: set[str] = set()
        while ready := self._ready(tried):
            link, share = ready[0], (end - now()) / len(ready)
            if share <= 0:
                break
            tried.add(link.name)
            try:
                scores = await self._ask(link, prompts, share)
            except (Temporary, Refused) as error:
                failures.append(f"{link.name}: {error}")
                self.counts.failed[link.name] += 1
                continue
            self.counts.answered[link.name] += 1
            self.counts.failed_over[link.name] += bool(failures)
            return Answer(link.engine.version, link.name, scores)
        self.counts.lost += 1
        raise Temporary("; ".join(failures) or "every replica of the policy is left alone for a while after failures")

    def _ready(self, tried: set[str]) -> list[_Link]:
        """Those that can still be asked, in the order in which to ask them."""
        replicas = [one for one in self._replicas if one.name not in tried and one.breaker.ready]
        # A probe goes first: a replica that came back would otherwise never be asked while another one answers.
        replicas.sort(key=lambda one: (one.breaker.state is State.CLOSED, one.asked, self.counts.answered[one.name]))
        return replicas + [one for one in self._last if one.name not in tried]

    async def _ask(self, link: _Link, prompts: Sequence[Prompt], share: float) -> list[Scores]:
        ticket = link.breaker.admit()
        link.asked += 1
        try:
            async with asyncio.timeout(share):
                scores = await link.engine.score(prompts, share)
        except Rejected as error:
            link.problem = str(error)
            link.breaker.succeeded(ticket)
            raise
        except (Temporary, Refused) as error:
            link.problem = str(error)
            link.breaker.failed(ticket)
            raise
        except TimeoutError:
            link.problem = f"no answer within {share:.3g} s"
            link.breaker.failed(ticket)
            raise Temporary(link.problem) from None
        except BaseException:
            link.breaker.abandoned(ticket)
            raise
        finally:
            link.asked -= 1
        link.breaker.succeeded(ticket)
        return scores

    async def close(self) -> None:
        for one in (*self._replicas, *self._last):
            await one.engine.close()
