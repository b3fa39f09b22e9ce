"""A vLLM server as an engine, over the OpenAI protocol: a question is one token, chosen among the labels alone.

All prompts of a batch go in one request that allows as many labels as the prompt with most of them. What a prompt with
fewer needs is the softmax over its own: it follows from the answer by normalising over them, and is the same as if
only they had been allowed.

What the server says is believed only when it is exactly what was asked: for every prompt one set of the allowed labels,
with probabilities that sum to 1 as far as float32 goes. They do not where the server runs without
`--logprobs-mode processed_logprobs`, and it is then refused: probabilities that somebody else cut off and rescaled
are not ours to guess at.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec

from federation.errors import Refused, Temporary
from federation.policy.question import LABELS, Prompt, Rejected, Scores
from federation.settings import PolicySettings

TOLERANCE = 1e-3
"""How far the probabilities of the allowed labels may be from 1 in sum."""
MAX_BYTES = 1 << 20
"""Of an answer that is no answer to prompts: a list of models may be long."""
BYTES_A_PROMPT = 4096
"""Of an answer: 16 labels with their log-probabilities take some 700."""
LOAD = 60.0
"""Seconds for a server to read an adapter from its disk."""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Logs(msgspec.Struct):
    tokens: list[str]
    top_logprobs: list[dict[str, float]]


class _Choice(msgspec.Struct):
    index: int
    text: str
    logprobs: _Logs


class _Completion(msgspec.Struct):
    model: str
    choices: list[_Choice]


T = TypeVar("T")

_MODELS = msgspec.json.Decoder(_Models)
_TOKENS = msgspec.json.Decoder(_Tokens)
_COMPLETION = msgspec.json.Decoder(_Completion)


class _Unknown(Rejected):
    """HTTP 404: the server does not know the model, or the path."""


class Vllm:
    """One server.

    url: such as `http://127.0.0.1:8700`. model: the name under which it serves the policy, or the adapter; it is the
    version that answers go by, so a name stands for one set of weights in one precision. adapter: folder of a LoRA
    adapter, as the server sees it, which is loaded under the name `model` where the server does not have it. key: what
    the server was told with `--api-key`; empty: none.
    """

    def __init__(self, url: str, model: str, *, adapter: str = "", key: str = "") -> None:
        self._model = model
        self._adapter = adapter
        self._labels: tuple[int, ...] | None = None
        self._lock = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=None,  # noqa: S113 - every call stands below a deadline
            limits=httpx.Limits(max_connections=64),
            trust_env=False,  # no proxy sees what is asked
        )

    @property
    def version(self) -> str:
        return self._model

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        """Raises also Refused: the server is not one that can be asked, with the cure."""
        if not prompts:
            return []
        async with _within(deadline):
            try:
                return await self._ask(prompts)
            except _Unknown:  # it was started again since, without the adapter
                return await self._ask(prompts)

    async def _ask(self, prompts: Sequence[Prompt]) -> list[Scores]:
        model, labels = await self._ready()
        labels = labels[: max(prompt.labels for prompt in prompts)]
        body = {
            "model": model,
            "prompt": [prompt.text for prompt in prompts],
            "max_tokens": 1,
            "temperature": 0.0,
            "repetition_penalty": 1.0,  # a model's generation_config.json would set it otherwise
            "allowed_token_ids": labels,
            "logprobs": len(labels),
            "return_tokens_as_token_ids": True,
            "skip_special_tokens": False,  # a label may be one
        }
        raw = await self._call("POST", "/v1/completions", body, MAX_BYTES + BYTES_A_PROMPT * len(prompts))
        try:
            return _read(raw, model, labels, prompts)
        except (msgspec.MsgspecError, ValueError) as error:
            self._labels = None
            raise Temporary(f"the server's answer is not one: {error}") from None

    async def load(self, version: str, path: str) -> None:
        """Serve a LoRA adapter from a folder of the server's, and ask that one from now on.

        Raises Temporary and Refused; what was asked before is then still asked.
        """
        async with _within(LOAD), self._lock:
            if version not in await self._served():
                await self._load(version, path)
            self._model, self._adapter, self._labels = version, path, None

    async def health(self, deadline: float = 5.0) -> None:
        """Asks a question. Raises Temporary when the server is away, Refused when it is none that can be asked."""
        await self.score([Prompt(LABELS[0], 2)], deadline)

    async def close(self) -> None:
        await self._http.aclose()

    async def _ready(self) -> tuple[str, tuple[int, ...]]:
        """The model and the ids of its labels, looked up once, and again after a failure: it may be another server."""
        async with self._lock:
            if self._labels is None:
                served = await self._served()
                if self._model not in served:
                    if not self._adapter:
                        what = f"the server has no model `{self._model}`, but {', '.join(f'`{one}`' for one in served)}"
                        raise Refused("vllm-model", what, cure="set `policy.model`, or `policy.adapter` to load it")
                    await self._load(self._model, self._adapter)
                self._labels = await self._look_up()
            return self._model, self._labels

    async def _served(self) -> list[str]:
        return [one.id for one in _decoded(_MODELS, await self._call("GET", "/v1/models")).data]

    async def _load(self, version: str, path: str) -> None:
        try:
            await self._call("POST", "/v1/load_lora_adapter", {"lora_name": version, "lora_path": path})
        except Rejected as error:
            cure = "start the server with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            raise Refused("vllm-adapter", f"the server does not load `{path}`: {error}", cure=cure) from None

    async def _look_up(self) -> tuple[int, ...]:
        labels: list[int] = []
        for label in LABELS:
            body = {"model": self._model, "prompt": label, "add_special_tokens": False}
            tokens = _decoded(_TOKENS, await self._call("POST", "/tokenize", body)).tokens
            if len(tokens) != 1 or tokens[0] in labels:
                what = f"the label `{label}` is no token of its own in `{self._model}` (tokens {tokens[:8]})"
                raise Refused("vllm-labels", what, cure="serve a model with the policy's tokenizer")
            labels += tokens
        return tuple(labels)

    async def _call(self, method: str, path: str, body: object = None, limit: int = MAX_BYTES) -> bytes:
        """The answer's body. Raises Temporary, Rejected (it does not like what was sent) and Refused (it asks for a
        key)."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content else {}
        try:
            async with self._http.stream(method, path, content=content, headers=headers) as reply:
                raw = bytearray()
                async for piece in reply.aiter_raw():  # not decompressed: its size is what came
                    raw += piece
                    if len(raw) > limit:
                        raise Temporary(f"an answer of more than {limit} bytes")
        except (httpx.HTTPError, httpx.StreamError, Temporary) as error:
            self._labels = None
            raise Temporary(f"{method} {path}: {error or type(error).__name__}") from None
        if reply.status_code == httpx.codes.OK:
            return bytes(raw)
        said = f"{method} {path}: HTTP {reply.status_code}: {raw[:200].decode(errors='replace')}"
        if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Refused("vllm-key", said, cure="put the server's key into the file that `policy.key_file` names")
        if reply.status_code != httpx.codes.BAD_REQUEST:
            self._labels = None
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise _Unknown(said)
        if reply.is_client_error and reply.status_code != httpx.codes.TOO_MANY_REQUESTS:
            raise Rejected(said)
        raise Temporary(said)


def replicas(settings: PolicySettings) -> dict[str, Vllm]:
    """The servers of the settings, by URL. Raises Refused when the key cannot be read."""
    key = read_key(settings.key_file) if settings.key_file else ""
    return {url: Vllm(url, settings.model, adapter=settings.adapter, key=key) for url in settings.replicas}


def read_key(path: Path) -> str:
    """The key in a file of one line. Raises Refused."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        cure = "a file with one line, the key, which only ELIAS can read"
        raise Refused("vllm-key", f"the key cannot be read: {error}", place=str(path), cure=cure) from None


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Temporary(f"no answer within {seconds:.3g} s") from None


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.MsgspecError as error:
        cure = "name a vLLM server, by its address without a path"
        raise Refused("vllm-server", f"this is no server of the OpenAI protocol: {error}", cure=cure) from None


def _read(raw: bytes, model: str, labels: Sequence[int], prompts: Sequence[Prompt]) -> list[Scores]:
    """The scores in an answer. Raises MsgspecError and ValueError where it is not one to what was asked."""
    said = _COMPLETION.decode(raw)
    if said.model != model:
        raise ValueError(f"it is of the model `{said.model[:100]}`")
    choices = sorted(said.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(len(prompts))):
        raise ValueError(f"{len(choices)} choices to {len(prompts)} prompts")
    keys = [f"token_id:{label}" for label in labels]
    return [_scores(choice, keys, prompt) for choice, prompt in zip(choices, prompts, strict=True)]


def _scores(choice: _Choice, keys: Sequence[str], prompt: Prompt) -> Scores:
    said = choice.logprobs
    if len(said.top_logprobs) != 1 or said.top_logprobs[0].keys() != set(keys):
        raise ValueError("it is about other tokens than the labels; is `--logprobs-mode processed_logprobs` set?")
    # Another tokenizer, since the labels were looked up, has other words at these ids.
    if len(said.tokens) != 1 or said.tokens[0] not in keys or LABELS[keys.index(said.tokens[0])] != choice.text.strip():
        raise ValueError(f"its token {said.tokens} reads `{choice.text[:20]}`, which is not that label")
    logs = [said.top_logprobs[0][key] for key in keys]
    total = math.fsum(map(math.exp, logs)) if max(logs) < 1 else math.inf
    if not abs(total - 1) <= TOLERANCE:
        raise ValueError(f"the labels' probabilities sum to {total:.6g}; is `--logprobs-mode processed_logprobs` set?")
    own = logs[: prompt.labels]
    top = max(own)
    shift = top + math.log(math.fsum(math.exp(log - top) for log in own))
    return tuple(log - shift for log in own)
