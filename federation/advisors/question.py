"""What an advisor is asked, and what comes back: the two messages between a desk and the advisors."""

import msgspec

import tiki
from federation.records import Asked, Scored

ASK = "ask a person"
"""The answer of an advisor that will not choose."""

LONGEST_WORDS = 600  # characters of an advisor's reason that are kept


class Question(msgspec.Struct, frozen=True):
    """A decision that waits for an advisor. scored: the policy's word on it; null: it was not asked. spec: the text of
    the specs in force that concern the point."""

    decision: str
    point: str
    subject: str
    asked: Asked
    scored: Scored | None
    spec: str


class Spent(msgspec.Struct, frozen=True):
    """What an answer took, or the failure to get one. calls: attempts. cached_tokens: of the input, those that were
    read from the provider's cache. cost: US dollars."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
        )


class Advice(msgspec.Struct, frozen=True):
    """What an advisor said. provider, model: empty where none answered, and `problem` says why. choice: index into the
    asked candidates; null: a person is to be asked. confidence: its own, in [0, 1]. words: its reason. brief: SHA-256
    of what was sent, as hex; empty: nothing was. seconds: until the answer."""

    provider: str = ""
    model: str = ""
    choice: int | None = None
    confidence: float | None = None
    words: str = ""
    problem: str = ""
    brief: str = ""
    spent: Spent = Spent()
    seconds: float = 0.0


def spec_of(bundle: tiki.Bundle, point: str) -> str:
    """The files of the bundle that set or rule something at the point, whole: their prose says why."""
    merged = bundle.merged[point]
    places = [one.place for one in (*merged.settings.values(), *merged.clauses)]
    texts = bundle.texts
    return "\n\n".join(texts[path] for path in dict.fromkeys(place.path for place in places) if path in texts)
