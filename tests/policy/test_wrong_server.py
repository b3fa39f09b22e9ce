"""Whatever a server says that is not exactly what was asked becomes no answer, and never a wrong label."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from federation.errors import EliasError, Refused, Temporary
from federation.policy.question import LABELS, Prompt, Rejected
from federation.policy.vllm import Vllm

PROMPTS = [Prompt("one ?", 3), Prompt("two ?", 2)]
SHARES = (0.5, 0.3, 0.2)
Reply = tuple[int, bytes]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """As vLLM says it: label number n has the token 100 + n."""
    count = len(body["allowed_token_ids"])
    logs = {f"token_id:{100 + number}": math.log(SHARES[number]) for number in range(count)}
    choices = [
        {"index": index, "text": "A", "logprobs": {"tokens": ["token_id:100"], "top_logprobs": [dict(logs)]}}
        for index in range(len(body["prompt"]))
    ]
    return {"id": "1", "object": "text_completion", "model": body["model"], "choices": choices}


class Server:
    """Speaks HTTP on loopback. `completion` and `tokens` are what it says; `status` with what."""

    def __init__(self) -> None:
        self.completion: Callable[[dict[str, Any]], Any] = answer
        self.tokens: Callable[[str], list[int]] = lambda label: [100 + LABELS.index(label)]
        self.models: Any = {"data": [{"id": "policy"}]}
        self.status = 200
        self.seen: list[dict[str, str]] = []
        self.url = ""
        self.calls: set[asyncio.Task[Any] | None] = set()

    def says(self, path: str, body: dict[str, Any]) -> Reply:
        if path == "/health":
            said: Any = b""
        elif path == "/v1/models":
            said = self.models
        elif path == "/tokenize":
            said = {"tokens": self.tokens(body["prompt"]), "count": 1}
        else:
            said = self.completion(body)
        return self.status, said if isinstance(said, bytes) else json.dumps(said).encode()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
                self.seen.append(headers)
                raw = await reader.readexactly(int(headers.get("content-length", 0)))
                status, said = self.says(head[0].split()[1], json.loads(raw or b"{}"))
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(said)) + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    async def ended(self) -> None:
        """Once every caller has closed its connection."""
        await asyncio.gather(*(call for call in self.calls if call), return_exceptions=True)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made, "127.0.0.1", 0)
    made.url = "http://127.0.0.1:%d" % listening.sockets[0].getsockname()[1]  # noqa: UP031
    async with listening:
        yield made
        await made.ended()


@pytest.fixture
async def engine(server: Server) -> AsyncIterator[Vllm]:
    made = Vllm(server.url, "policy")
    yield made
    await made.close()


async def test_a_right_answer_is_normalised_over_the_labels_of_each_prompt(engine: Vllm) -> None:
    three, two = await engine.score(PROMPTS, 30)
    assert [math.exp(log) for log in three] == pytest.approx(SHARES)
    assert [math.exp(log) for log in two] == pytest.approx((0.625, 0.375))


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def said(body: dict[str, Any]) -> Any:
        right = answer(body)
        return change(right) or right

    return said


def logs(right: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = right["choices"][0]["logprobs"]["top_logprobs"][0]
    return found


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no JSON": lambda right: b"<html>502</html>",
    "half of it": lambda right: json.dumps(right).encode()[:-9],
    "another shape": lambda right: {"error": "no"},
    "another model": lambda right: right.update(model="base"),
    "a choice less": lambda right: right["choices"].pop(),
    "a choice more": lambda right: right["choices"].append({**right["choices"][0], "index": 2}),
    "one choice twice": lambda right: right["choices"][1].update(index=0),
    "a choice of no prompt": lambda right: right["choices"][1].update(index=7),
    "no probabilities": lambda right: right["choices"][0].update(logprobs=None),
    "two tokens": lambda right: right["choices"][0]["logprobs"].update(top_logprobs=[logs(right)] * 2),
    "a label less": lambda right: logs(right).pop("token_id:101") and None,
    "a token that is no label": lambda right: logs(right).update({"token_id:7": -1.0}),
    "labels as text": lambda right: right["choices"][0]["logprobs"].update(
        top_logprobs=[{"A": -0.1, "B": -2.4, "C": -9}]
    ),
    "raw probabilities": lambda right: logs(right).update({key: log - 2 for key, log in logs(right).items()}),
    "more than all": lambda right: logs(right).update({"token_id:100": 0.0}),
    "a probability above one": lambda right: logs(right).update({"token_id:100": 800.0}),
    "infinite": lambda right: json.dumps(right).replace(str(math.log(0.5)), "Infinity").encode(),
    "not a number": lambda right: json.dumps(right).replace(str(math.log(0.5)), "NaN").encode(),
    "words for numbers": lambda right: logs(right).update({"token_id:100": "high"}),  # type: ignore[dict-item]
    "another word at a label's place": lambda right: right["choices"][0].update(text="yes"),
    "the word of another label": lambda right: right["choices"][0].update(text="B"),
    "a choice that is no label": lambda right: right["choices"][0]["logprobs"].update(tokens=["token_id:7"]),
    "five megabytes": lambda right: b" " * 5_000_000 + json.dumps(right).encode(),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_an_answer_that_is_none_is_temporary(server: Server, engine: Vllm, kind: str) -> None:
    server.completion = changed(WRONG[kind])
    with pytest.raises(Temporary):
        await engine.score(PROMPTS, 30)
    server.completion = answer
    assert len(await engine.score(PROMPTS, 30)) == 2


async def test_choices_in_another_order_find_their_prompts(server: Server, engine: Vllm) -> None:
    server.completion = changed(lambda right: right["choices"].reverse())
    assert [len(scores) for scores in await engine.score(PROMPTS, 30)] == [3, 2]


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, Refused, "key"),
        (403, Refused, "key"),
        (400, Rejected, "HTTP 400"),
        (404, Rejected, "HTTP 404"),
        (413, Rejected, "HTTP 413"),
        (429, Temporary, "HTTP 429"),
        (500, Temporary, "HTTP 500"),
        (503, Temporary, "HTTP 503"),
        (302, Temporary, "HTTP 302"),
    ],
)
async def test_a_status_says_whose_fault_it_is(
    server: Server, engine: Vllm, status: int, error: type[EliasError], says: str
) -> None:
    await engine.score(PROMPTS, 30)
    server.status = status
    with pytest.raises(error, match=says) as raised:
        await engine.score(PROMPTS, 30)
    assert isinstance(raised.value, Rejected) is (error is Rejected)


@pytest.mark.parametrize(
    "tokens",
    [lambda label: [1, 2], lambda label: [], lambda label: [0]],
    ids=["two tokens a label", "none", "all labels are the unknown word"],
)
async def test_a_server_whose_labels_are_no_tokens_of_their_own_is_refused(
    server: Server, engine: Vllm, tokens: Callable[[str], list[int]]
) -> None:
    server.tokens = tokens
    with pytest.raises(Refused, match="serve a model with the policy's tokenizer"):
        await engine.score(PROMPTS, 30)


async def test_a_server_of_another_model_is_refused_with_those_that_it_has(server: Server, engine: Vllm) -> None:
    server.models = {"data": [{"id": "llama"}, {"id": "other"}]}
    with pytest.raises(Refused, match="no model `policy`, but `llama`, `other`"):
        await engine.score(PROMPTS, 30)


async def test_something_else_at_that_address_is_refused(server: Server, engine: Vllm) -> None:
    server.models = b"<html>It works!</html>"
    with pytest.raises(Refused, match="no server of the OpenAI protocol"):
        await engine.health()


async def test_labels_are_looked_up_once_and_again_after_a_failure(server: Server, engine: Vllm) -> None:
    for _ in range(3):
        await engine.score(PROMPTS, 30)
    assert len(server.seen) == 1 + len(LABELS) + 3
    server.status = 500
    with pytest.raises(Temporary):
        await engine.score(PROMPTS, 30)
    server.status, server.seen = 200, []
    await engine.score(PROMPTS, 30)
    assert len(server.seen) == 1 + len(LABELS) + 1


async def test_the_key_is_shown_and_no_proxy_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    engine = Vllm(server.url, "policy", key="secret")
    await engine.score(PROMPTS, 30)
    await engine.close()
    assert {seen["authorization"] for seen in server.seen} == {"Bearer secret"}


async def test_a_server_that_says_nothing_costs_the_deadline_and_no_more() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        engine = Vllm("http://127.0.0.1:%d" % listening.sockets[0].getsockname()[1], "policy")  # noqa: UP031
        with pytest.raises(Temporary, match=r"no answer within 0\.1 s"):
            await engine.score(PROMPTS, 0.1)
        await engine.close()
        await gone.wait()


async def test_nobody_at_that_address_is_temporary() -> None:
    engine = Vllm("http://127.0.0.1:1", "policy")
    with pytest.raises(Temporary, match="GET /v1/models"):
        await engine.score(PROMPTS, 30)
    await engine.close()


async def test_no_prompts_need_no_server() -> None:
    engine = Vllm("http://127.0.0.1:1", "policy")
    assert await engine.score([], 30) == []
    await engine.close()
