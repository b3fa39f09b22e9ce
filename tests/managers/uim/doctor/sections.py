"""The settings as a list, so that a test notices a new one that the doctor has to know."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from federation.settings import Settings


def names(*endings: str) -> set[str]:
    """`Section.name` of every setting whose name ends so."""
    return {one for one in _fields(Settings) if one.endswith(endings)}


def _fields(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield f"{section.__name__}.{name}"
        for inner in _models(field.annotation):
            yield from _fields(inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
