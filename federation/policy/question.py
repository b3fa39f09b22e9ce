"""What a policy is asked, and what an engine says to it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from federation.errors import Temporary
from federation.records import Candidate

LABELS = "ABCDEFGHIJKLMNOP"
"""One for each candidate that a decision may have, in order."""


class Question(NamedTuple):
    """A decision that a spec leaves open.

    point: name of the decision point. settings: what the spec sets, by name, in canonical units. facts: as in the
    asked record: a missing key is unknown, None is absent, numbers in canonical units. candidates: exactly those that
    may be chosen, in the order of the asked record; at least two, at most 16.
    """

    point: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    candidates: tuple[Candidate, ...]


class Prompt(NamedTuple):
    """A question as text. The next token after it is one of the first `labels` letters of LABELS."""

    text: str
    labels: int


Scores = tuple[float, ...]
"""Natural logarithms of the probabilities of a prompt's labels, in order; the probabilities sum to 1."""


class Rejected(Temporary):
    """The engine is well and does not take these prompts, as when one is too long for it. Another engine may."""


class Engine(Protocol):
    """Scores prompts in one forward pass each."""

    @property
    def version(self) -> str:
        """Digest of what the scores depend on: weights, tokenizer, rendering, labels, precision."""
        ...

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        """One for each prompt, in order. deadline: seconds from now.

        Raises Temporary when no answer came in time or the engine is away, Rejected when it never answers these.
        """
        ...

    async def close(self) -> None: ...
