"""Advisors are asked over HTTP, in order, within a deadline and a budget; what is not an answer goes to the next."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from federation.advisors.budget import Budget
from federation.advisors.panel import Panel
from federation.advisors.provider import LONGEST_ANSWER, Advisor
from federation.advisors.question import LONGEST_WORDS, Advice
from federation.advisors.settings import AdvisorSettings, Provider
from federation.breaker import State
from federation.clock import VirtualClock
from federation.errors import Refused
from tests.advisors.asking import POINT, claude, other, panel, text
from tests.advisors.stub import Body, Hangs, Prose, Reply, Says, Status, Stub

PATIENCE = 60.0
BUSY = Status(429, "rate_limit_error", headers={"Retry-After": "0"})
Make = Callable[[Stub, Path], Provider]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Stub]:
    with Stub(Says("B", "the second one")) as made:
        yield made


async def ask(panel: Panel, deadline: float = PATIENCE) -> Advice:
    return await panel.advise(POINT, text(), deadline)


@pytest.mark.parametrize("make", [claude, other])
async def test_an_answer_comes_with_its_words_its_tokens_and_its_cost(stub: Stub, tmp_path: Path, make: Make) -> None:
    stub.replies = [Says("B", "the wind is calm", 0.8, tokens=(2000, 1500, 100))]
    priced = make(stub, tmp_path).model_copy(
        update={"input_price": 3.0, "cached_price": 0.3, "written_price": 3.75, "output_price": 15.0}
    )
    async with panel(priced) as advisors:
        advice = await ask(advisors)
    assert (advice.choice, advice.words, advice.confidence) == (1, "the wind is calm", 0.8)
    assert (advice.provider, advice.model) == (priced.kind, priced.model)
    spent = advice.spent
    assert (spent.calls, spent.input_tokens, spent.cached_tokens, spent.output_tokens) == (1, 2000, 1500, 100)
    assert spent.cost == pytest.approx((500 * 3.0 + 1500 * 0.3 + 100 * 15.0) / 1e6)
    assert advice.brief == text().digest


@pytest.mark.parametrize("make", [claude, other])
async def test_it_may_ask_for_a_person_and_says_why(stub: Stub, tmp_path: Path, make: Make) -> None:
    stub.replies = [Says("ask a person", "the gauges contradict each other", 0.9)]
    async with panel(make(stub, tmp_path)) as advisors:
        advice = await ask(advisors)
    assert (advice.choice, advice.words, advice.problem) == (None, "the gauges contradict each other", "")


async def test_a_long_reason_is_cut(stub: Stub, tmp_path: Path) -> None:
    stub.replies = [Says(reason="very " * 500)]
    async with panel(claude(stub, tmp_path)) as advisors:
        assert len((await ask(advisors)).words) == LONGEST_WORDS


BAD: dict[str, Reply] = {
    "a candidate that was not offered": Says("D"),
    "a label that nobody knows": Says("Z"),
    "two labels": Says("AB"),
    "no label": Says(""),
    "the name of an action": Says("cool"),
    "a confidence above one": Says(confidence=1.5),
    "a confidence in words": Says(raw={"choice": "A", "reason": "", "confidence": "high"}),
    "a field that was not asked for": Says(raw={"choice": "A", "reason": "", "confidence": 1, "action": "rm -rf"}),
    "a field less": Says(raw={"choice": "A"}),
    "a list": Says(raw={"choice": ["A"], "reason": "", "confidence": 1}),
    "two answers": Says(times=2),
    "prose": Prose(),
    "no JSON": Body(b"<html>502</html>"),
    "half of it": Body(b'{"id": "msg'),
    "another shape": Body(b'{"type": "message"}'),
    "a list at the top": Body(b"[]"),
    "longer than may be": Body(b" " * (LONGEST_ANSWER + 1)),
}


@pytest.mark.parametrize("make", [claude, other])
@pytest.mark.parametrize("kind", BAD)
async def test_what_is_no_answer_is_asked_again_and_then_of_the_next(
    stub: Stub, second: Stub, tmp_path: Path, make: Make, kind: str
) -> None:
    stub.replies = [BAD[kind]]
    async with panel(make(stub, tmp_path), other(second, tmp_path), retries=1) as advisors:
        advice = await ask(advisors)
        (first, _) = advisors.standing()
    assert advice.words == "the second one"
    assert (len(stub.bodies), len(second.bodies), advice.spent.calls) == (2, 1, 3)
    assert (first.failed, first.answered) == (2, 0)
    assert first.problem


async def test_the_second_attempt_may_do(stub: Stub, tmp_path: Path) -> None:
    stub.replies = [Says("Z"), Says("C")]
    async with panel(claude(stub, tmp_path)) as advisors:
        advice = await ask(advisors)
    assert (advice.choice, advice.spent.calls, advice.spent.input_tokens) == (2, 2, 4000)


@pytest.mark.parametrize("reply", [Prose("", "refusal"), Prose("I cannot help with that.", "refusal")])
async def test_a_refusal_is_not_repeated_but_the_next_is_asked(
    stub: Stub, second: Stub, tmp_path: Path, reply: Reply
) -> None:
    stub.replies = [reply]
    async with panel(claude(stub, tmp_path), other(second, tmp_path)) as advisors:
        assert (await ask(advisors)).words == "the second one"
        assert advisors.standing()[0].problem == "it declined to answer"
    assert len(stub.bodies) == 1


@pytest.mark.parametrize("make", [claude, other])
@pytest.mark.parametrize("code", [429, 500, 502, 503, 529])
async def test_a_provider_that_is_busy_or_ill_is_asked_again(stub: Stub, tmp_path: Path, make: Make, code: int) -> None:
    stub.replies = [Status(code, headers={"Retry-After": "0"}), Says()]
    async with panel(make(stub, tmp_path)) as advisors:
        assert (await ask(advisors)).choice == 0
    assert len(stub.bodies) == 2


@pytest.mark.parametrize(("code", "kind"), [(401, "authentication_error"), (403, "permission_error"), (404, "no")])
async def test_a_key_or_a_model_that_is_wrong_is_not_tried_again(
    stub: Stub, second: Stub, tmp_path: Path, code: int, kind: str
) -> None:
    stub.replies = [Status(code, kind)]
    async with panel(claude(stub, tmp_path), other(second, tmp_path)) as advisors:
        assert (await ask(advisors)).words == "the second one"
        assert f"HTTP {code}" in advisors.standing()[0].problem
    assert len(stub.bodies) == 1


async def test_retry_after_is_waited_for_where_there_is_time_and_the_next_is_asked_where_there_is_not(
    stub: Stub, second: Stub, tmp_path: Path
) -> None:
    clock = VirtualClock()
    stub.replies = [Status(429, "rate_limit_error", headers={"Retry-After": "3600"})]
    async with panel(claude(stub, tmp_path), other(second, tmp_path), clock=clock) as advisors:
        assert (await ask(advisors)).words == "the second one"
        assert (await ask(advisors)).words == "the second one"
        assert len(stub.bodies) == 1
        clock.advance(3600)
        stub.replies = [Says(reason="I am back")]
        assert (await ask(advisors)).words == "I am back"


async def test_a_provider_that_hangs_leaves_time_for_the_next(stub: Stub, second: Stub, tmp_path: Path) -> None:
    stub.replies = [Hangs()]
    async with panel(claude(stub, tmp_path), other(second, tmp_path)) as advisors:
        assert (await ask(advisors, deadline=4.0)).words == "the second one"
        assert "no answer within" in advisors.standing()[0].problem


async def test_where_all_hang_there_is_no_advice_after_the_deadline(stub: Stub, tmp_path: Path) -> None:
    stub.replies = [Hangs()]
    async with panel(claude(stub, tmp_path), other(stub, tmp_path)) as advisors:
        advice = await ask(advisors, deadline=4.0)
    assert (advice.choice, advice.provider, advice.spent.calls) == (None, "", 2)
    assert advice.problem.count("no answer within") == 2


async def test_nobody_at_that_address_is_told(tmp_path: Path) -> None:
    gone = Provider(kind="openai", model="gone", base_url="http://127.0.0.1:1/v1")
    async with panel(gone, retries=0) as advisors:
        assert (await ask(advisors)).problem == "gone: it cannot be reached"


async def test_a_redirect_is_not_followed(stub: Stub, second: Stub, tmp_path: Path) -> None:
    stub.replies = [Status(307, headers={"Location": f"{second.url}/v1/messages"})]
    async with panel(claude(stub, tmp_path), retries=0) as advisors:
        assert (await ask(advisors)).choice is None
    assert second.bodies == []


async def test_one_that_keeps_failing_is_left_alone_and_probed_later(stub: Stub, second: Stub, tmp_path: Path) -> None:
    clock = VirtualClock()
    stub.replies = [Status(500)]
    async with panel(claude(stub, tmp_path), other(second, tmp_path), clock=clock, retries=0) as advisors:
        for _ in range(5):
            assert (await ask(advisors)).words == "the second one"
        assert (len(stub.bodies), advisors.standing()[0].state) == (3, State.OPEN)
        clock.advance(60)
        stub.replies = [Says(reason="I am back")]
        assert (await ask(advisors)).words == "I am back"
        assert advisors.standing()[0].state is State.CLOSED


async def test_where_everybody_is_left_alone_there_is_no_advice(stub: Stub, tmp_path: Path) -> None:
    stub.replies = [Status(500)]
    async with panel(claude(stub, tmp_path), retries=5) as advisors:
        assert "HTTP 500" in (await ask(advisors)).problem
        assert "left alone" in (await ask(advisors)).problem
    assert len(stub.bodies) == 3


LIMITS = {
    "calls": {"calls_a_day": 3},
    "calls at the point": {"point_calls_a_day": 3},
    "cost": {"cost_a_day": 0.02},
    "cost at the point": {"point_cost_a_day": 0.02},
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_budget_that_is_used_up_stops_calls_until_the_next_day(stub: Stub, tmp_path: Path, limit: str) -> None:
    clock = VirtualClock()
    priced = claude(stub, tmp_path, input_price=4.0, output_price=0.0)  # 0.008 dollars a call
    async with panel(priced, clock=clock, **LIMITS[limit]) as advisors:
        for _ in range(3):
            assert (await ask(advisors)).choice == 0
        refused = await ask(advisors)
        assert (refused.choice, refused.brief, refused.spent.calls) == (None, "", 0)
        assert "used up" in refused.problem
        assert len(stub.bodies) == 3
        clock.advance(86_400)
        assert (await ask(advisors)).choice == 0


async def test_attempts_that_fail_count_against_the_budget_too(stub: Stub, tmp_path: Path) -> None:
    stub.replies = [Says("Z")]
    async with panel(claude(stub, tmp_path), calls_a_day=2, retries=5) as advisors:
        advice = await ask(advisors)
    assert (len(stub.bodies), advice.spent.calls, "used up" in advice.problem) == (2, 2, True)


async def test_the_constant_part_is_the_same_in_every_request_and_marked_for_the_cache(
    stub: Stub, tmp_path: Path
) -> None:
    async with panel(claude(stub, tmp_path)) as advisors:
        await ask(advisors)
        await ask(advisors)
    first, again = stub.bodies
    assert (first["system"], first["tools"]) == (again["system"], again["tools"])
    assert first["system"][0]["cache_control"]["type"] == "ephemeral"


async def test_the_key_is_shown_to_its_provider_alone_and_nothing_else_of_the_environment(
    stub: Stub, second: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "planted-in-the-environment")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", second.url)
    stub.replies = [BUSY, Says()]
    async with panel(claude(stub, tmp_path), other(stub, tmp_path)) as advisors:
        await ask(advisors)
    assert second.bodies == []
    assert "planted" not in str(stub.headers) + str(stub.bodies)


async def test_where_no_provider_can_be_used_the_advice_says_why() -> None:
    clock, settings = VirtualClock(), AdvisorSettings()
    missing = ["claude-stub is skipped: there is no key"]
    advisors = Panel([], settings, Budget(settings), clock, Random(1), missing)
    advice = await ask(advisors)
    assert (advice.problem, advice.brief, advice.spent.calls) == (missing[0], "", 0)


def test_a_key_that_is_not_there_is_refused_with_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(Refused, match="NO_SUCH_KEY: there is no key"):
        Advisor(Provider(kind="anthropic", model="m", key_env="NO_SUCH_KEY"))
