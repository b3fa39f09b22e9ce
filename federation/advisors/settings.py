"""The advisors of `elias.yaml`: which cloud models may be asked, in which order, and what they may cost.

A key is never a setting: what is written here is the name of an environment variable or of a file that holds it.
"""

import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from federation.errors import Refused
from federation.sections import Duration, Section

Price = float | None
LARGEST_KEY = 4096  # characters
_CURE = "put the provider's key there, and start ELIAS again"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Provider(Section):
    """A model at a provider. Prices are in US dollars for a million tokens."""

    kind: Literal["anthropic", "openai"]
    """Protocol that it speaks: `anthropic` (Messages API) or `openai` (Chat Completions: Grok, Gemini, Ollama ...)."""
    model: str = Field(min_length=1, max_length=200)
    """Name of the model, as the provider writes it."""
    base_url: str = Field("", pattern=r"^(https?://[^\s?#@]+)?$")
    """Where it is reached; empty: where the maker of the protocol serves it."""
    key_file: Path | None = None
    """File with the key; relative to the settings file."""
    key_env: str = ""
    """Environment variable with the key instead. With neither none is shown, as a server of your own may allow."""
    input_price: Price = Field(None, ge=0)
    """Of the input. Without prices those of the list that comes with pydantic-ai hold, where it knows the model."""
    cached_price: Price = Field(None, ge=0)
    """Of input that is read from the provider's cache; none: as the rest."""
    written_price: Price = Field(None, ge=0)
    """Of input that is written to that cache; none: as the rest."""
    output_price: Price = Field(None, ge=0)
    """Of the output."""
    max_tokens: int = Field(2048, ge=256, le=65536)
    """Longest answer; a model that thinks first needs more."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.key_file is not None and self.key_env:
            raise ValueError("`key_file` and `key_env` exclude each other")
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("`input_price` and `output_price` go together")
        if not self.base_url and not self.keyed:
            raise ValueError("the maker's service asks for a key: name `key_env` or `key_file`")
        address = urlsplit(self.base_url)
        if address.scheme == "http" and self.keyed and address.hostname not in _LOOPBACK:
            raise ValueError(f"a key does not travel in clear: write https:// for `{address.hostname}`")
        return self

    @property
    def keyed(self) -> bool:
        return self.key_file is not None or bool(self.key_env)

    def key(self) -> str:
        """Empty where none is named. Raises Refused where it is not there."""
        if self.key_env:
            found, place = os.environ.get(self.key_env, ""), self.key_env
        elif self.key_file is not None:
            place = str(self.key_file)
            try:
                with self.key_file.open(encoding="ascii") as file:
                    found = file.read(LARGEST_KEY)
            except (OSError, UnicodeDecodeError) as error:
                raise Refused("advisor-key", f"its key cannot be read: {error}", place=place, cure=_CURE) from None
        else:
            return ""
        if not found.strip():
            raise Refused("advisor-key", "there is no key", place=place, cure=_CURE)
        return found.strip()


class AdvisorSettings(Section):
    """Who is asked what the policy is not sure of, before a person is. Nobody by default: it sends data away."""

    providers: tuple[Provider, ...] = ()
    """In the order in which they are asked: the next one where one does not answer."""
    points: tuple[str, ...] = ()
    """Decision points at which they are asked; none: all of them."""
    min_confidence: float = Field(0.7, ge=0, le=1)
    """An answer that the advisor is less sure of goes to a person, who reads it."""
    deadline: Duration = 30.0
    """How long an answer may take, all providers and attempts together; then a person is asked."""
    retries: int = Field(2, ge=0, le=10)
    """Further attempts at a provider that is busy or cannot be reached."""
    together: int = Field(8, ge=1, le=256)
    """Questions under way at a time; the others wait their turn within their deadline."""
    similar: int = Field(5, ge=0, le=20)
    """Past decisions, those with the nearest facts, that an advisor is told of with what came of them."""
    calls_a_day: int = Field(1000, ge=0)
    """Calls that a day (UTC) may bring, each attempt counted; then a person is asked at once."""
    cost_a_day: float = Field(20.0, ge=0)
    """US dollars that a day may bring, by the prices of the providers; then a person is asked at once."""
    point_calls_a_day: int = Field(300, ge=0)
    """Calls that a day may bring at each decision point."""
    point_cost_a_day: float = Field(5.0, ge=0)
    """US dollars that a day may bring at each decision point."""
    withhold: tuple[str, ...] = ()
    """Further words that are never sent, such as the name of your company; what is recognised by its form never is."""

    def located(self, base: Path) -> Self:
        """The same with files that stand relative to this folder."""
        found = [
            one.model_copy(update={"key_file": base / one.key_file.expanduser() if one.key_file else None})
            for one in self.providers
        ]
        return self.model_copy(update={"providers": tuple(found)})

    def asks(self, point: str) -> bool:
        """Whether advisors are asked at this decision point."""
        return bool(self.providers) and (not self.points or point in self.points)


NOBODY = AdvisorSettings()
