"""One advisor: a model at a provider, asked over HTTP by the provider's own protocol.

One question is one request: the clients' own repetitions are off, for only the panel knows the deadline and the budget.
"""

from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federation.advisors.brief import Brief
from federation.advisors.question import ASK, LONGEST_WORDS, Spent
from federation.advisors.settings import Provider
from federation.errors import EliasError, Refused
from federation.policy.question import LABELS

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.usage import RequestUsage

LONGEST_ANSWER = 1 << 20  # bytes of a response; a longer one is cut off
CONNECT = 5.0  # seconds for a connection; the answer itself may take until the deadline
MILLION = 1_000_000
_TOOL = "advise"
HOMES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
_NO_KEY = "none"  # what a server that asks for none is shown: the clients insist on one


class Said(NamedTuple):
    """label: one of the brief's, or ASK. confidence: in [0, 1]."""

    label: str
    words: str
    confidence: float


class Failure(EliasError):
    """There is no answer. again: the same question may be sent again, after so many seconds where the provider names
    them. ill: that speaks against the provider, not against the question."""

    def __init__(
        self, message: str, *, again: bool = False, after: float | None = None, ill: bool = False, spent: Spent
    ) -> None:
        super().__init__(message)
        self.again = again
        self.after = after
        self.ill = ill
        self.spent = spent


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    choice: Annotated[str, Field(json_schema_extra={"enum": [*LABELS, ASK]})]
    """Label of one of the offered candidates, or that a person is to be asked."""
    reason: str
    """What decided it, for the operator who reads this."""
    confidence: Annotated[float, Field(ge=0, le=1)]
    """Probability that an experienced operator would choose the same."""


class Advisor:
    """Raises Refused where its key or its package is not there."""

    def __init__(self, provider: Provider) -> None:
        if find_spec("pydantic_ai") is None:
            cure = "install it: pip install 'elias[advisors]'"
            raise Refused("no-advisors", "the package that asks advisors is missing", place="advisors", cure=cure)
        self.provider = provider
        self.name = provider.model
        key = provider.key() or _NO_KEY
        self._http = _client()
        self._model = _model(provider, key, self._http)

    async def ask(self, brief: Brief) -> tuple[Said, Spent]:
        """Takes as long as it takes: whoever asks sets the time. Raises Failure."""
        from pydantic_ai import direct, exceptions  # noqa: PLC0415 - three seconds, for whoever has an advisor
        from pydantic_ai.messages import ModelRequest  # noqa: PLC0415

        request = ModelRequest.user_text_prompt(brief.variable, instructions=brief.constant)
        try:
            response = await direct.model_request(
                self._model, [request], model_settings=self._settings(), model_request_parameters=_parameters()
            )
        except exceptions.ModelRequestRejectedError as error:
            ill = isinstance(error, exceptions.ModelAuthenticationError | exceptions.ModelNotFoundError)
            raise Failure(_told(error), ill=ill, spent=Spent()) from None
        except exceptions.ModelQuotaExceededError as error:
            raise Failure(_told(error), ill=True, spent=Spent()) from None
        except exceptions.ModelAPIError as error:
            raise Failure(_told(error), again=True, after=error.retry_after, ill=True, spent=Spent()) from None
        except Exception:  # what a client trips over where a body is none of its protocol is of any type
            raise Failure("its answer is none of this protocol", again=True, ill=True, spent=Spent()) from None
        return self._said(brief, response)

    async def close(self) -> None:
        await self._http.aclose()

    def _said(self, brief: Brief, response: "ModelResponse") -> tuple[Said, Spent]:
        spent = self._spent(response.usage)
        if response.finish_reason == "content_filter":
            raise Failure("it declined to answer", spent=spent)
        calls = [call for call in response.tool_calls if call.tool_name == _TOOL]
        if len(calls) != 1:
            cut = ": it ran into `max_tokens`" if response.finish_reason == "length" else ""
            raise Failure(f"it answered {len(calls)} times instead of once{cut}", again=not cut, spent=spent)
        try:
            answer = _Answer.model_validate(calls[0].args_as_dict())
        except (ValidationError, ValueError, AssertionError):
            raise Failure("its answer has another form than asked for", again=True, spent=spent) from None
        if answer.choice != ASK and (len(answer.choice) != 1 or answer.choice not in brief.labels):
            raise Failure("it chose what was not offered", again=True, spent=spent)
        words = brief.scrubber.restore(" ".join(answer.reason.split()))
        return Said(answer.choice, words[:LONGEST_WORDS], answer.confidence), spent

    def _spent(self, usage: "RequestUsage") -> Spent:
        """The call itself is counted by whoever makes it."""
        cost = float(usage.cost or 0.0)
        of = self.provider
        if of.input_price is not None and of.output_price is not None:
            read, written = usage.cache_read_tokens, usage.cache_write_tokens
            cached = of.input_price if of.cached_price is None else of.cached_price
            write = of.input_price if of.written_price is None else of.written_price
            fresh = max(0, usage.input_tokens - read - written)
            cost = (
                fresh * of.input_price + read * cached + written * write + usage.output_tokens * of.output_price
            ) / MILLION
        return Spent(0, usage.input_tokens, usage.cache_read_tokens, usage.output_tokens, cost)

    def _settings(self) -> Any:
        return {
            "max_tokens": self.provider.max_tokens,
            "parallel_tool_calls": False,
            "anthropic_cache_instructions": True,
        }


def _parameters() -> Any:
    """The form of an answer: the same for every question, so that it does not disturb the provider's cache."""
    from pydantic_ai.models import ModelRequestParameters  # noqa: PLC0415
    from pydantic_ai.tools import ToolDefinition  # noqa: PLC0415

    tool = ToolDefinition(
        name=_TOOL, description="Give your advice.", parameters_json_schema=_Answer.model_json_schema(), kind="output"
    )
    return ModelRequestParameters(output_mode="tool", output_tools=[tool], allow_text_output=False)


def _model(provider: Provider, key: str, http: "httpx2.AsyncClient") -> "Model[Any]":
    url = provider.base_url or HOMES[provider.kind]
    if provider.kind == "anthropic":
        from anthropic import AsyncAnthropic  # noqa: PLC0415
        from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
        from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

        claude = AsyncAnthropic(api_key=key, base_url=url, max_retries=0, http_client=http)
        return AnthropicModel(provider.model, provider=AnthropicProvider(anthropic_client=claude))
    from openai import AsyncOpenAI  # noqa: PLC0415
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    client = AsyncOpenAI(api_key=key, base_url=url, max_retries=0, http_client=http)
    return OpenAIChatModel(provider.model, provider=OpenAIProvider(openai_client=client))


def _told(error: Any) -> str:
    """What went wrong, without the provider's own words: they might quote what was sent."""
    status = getattr(error, "status_code", None)
    kind = getattr(error, "provider_error_type", None) or getattr(error, "provider_error_code", None)
    if status is None:
        return "it cannot be reached"
    return f"HTTP {status}" + (f" ({kind[:60]})" if isinstance(kind, str) else "")


def _client() -> "httpx2.AsyncClient":
    """Follows no redirect, so that a brief goes where the settings say, and reads no more than an answer may have."""
    import httpx2  # noqa: PLC0415

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for chunk in self._stream:
                read += len(chunk)
                if read > LONGEST_ANSWER:
                    raise httpx2.ReadError(f"the answer is longer than {LONGEST_ANSWER} bytes")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = Bounded(response.stream)

    return httpx2.AsyncClient(
        follow_redirects=False, timeout=httpx2.Timeout(None, connect=CONNECT), event_hooks={"response": [bound]}
    )
