"""Decisions as prompts whose answer is one token: a label.

A policy reads a rendered question, and the next token is the letter of a candidate. Nothing but the labels of the
candidates that are offered can be answered, so every probability here is one over these labels.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

from federation.errors import Refused
from federation.policy.rendering import CONTINUATIONS, render
from managers.roster import POINTS
from tiki.schema import Point
from training.dataset.example import Logged

_SCHEMAS: dict[str, Point] = {point.name: point.schema for point in POINTS}


class Prompt(NamedTuple):
    """A decision with its candidates in one order. ids: tokens of the rendered question, without the answer.
    order: index that each candidate had in the record; `logged` goes by the order of the prompt."""

    ids: list[int]
    text: str
    order: tuple[int, ...]
    logged: Logged


def schema(point: str) -> Point:
    """Raises Refused for a decision point that is of no manager: one of the gate, or one that is no more."""
    found = _SCHEMAS.get(point)
    if found is None:
        cure = f"leave it out of the data; there are {', '.join(sorted(_SCHEMAS))}"
        raise Refused("no-point", f"`{point}` is no decision point of a manager", cure=cure)
    return found


def permuted(logged: Logged, order: Sequence[int]) -> Logged:
    """The same decision with its candidates in another order, and all that goes by it. order: a permutation of the
    indices: the candidate that comes first is the one that was number order[0]."""
    advice = logged.advice
    place = {before: after for after, before in enumerate(order)}
    if advice is not None and advice.choice is not None:
        advice = msgspec.structs.replace(advice, choice=place[advice.choice])
    return msgspec.structs.replace(
        logged,
        question=logged.question._replace(candidates=tuple(logged.question.candidates[index] for index in order)),
        choice=place[logged.choice],
        preferred=None if logged.preferred is None else place[logged.preferred],
        logs=tuple(logged.logs[index] for index in order) if logged.logs else (),
        propensities=tuple(logged.propensities[index] for index in order) if logged.propensities else (),
        advice=advice,
    )


def prompt(tokenizer: Any, logged: Logged, random: Random | None) -> Prompt:
    """random: puts the candidates into another order, for no label is better than another; None: as on record.

    Raises Refused as `schema` does.
    """
    order = list(range(len(logged.question.candidates)))
    if random is not None:
        random.shuffle(order)
    turned = permuted(logged, order)
    text = render(schema(logged.point), turned.question).text
    return Prompt(tokenizer(text)["input_ids"], text, tuple(order), turned)


def label_tokens(tokenizer: Any) -> list[int]:
    """The token of each of LABELS where it follows a prompt. Raises Refused where one is not a single token."""
    found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in CONTINUATIONS]
    for text, ids in zip(CONTINUATIONS, found, strict=True):
        if len(ids) != 1:
            cure = "choose a policy whose tokenizer has the letters A to P, each behind a space, as one token"
            raise Refused("bad-labels", f"the label `{text.strip()}` is {len(ids)} tokens", cure=cure)
    return [ids[0] for ids in found]
