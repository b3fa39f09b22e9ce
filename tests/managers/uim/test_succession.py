"""A machine takes turns as the head: what ends it, and what it goes on after."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from federation.errors import Temporary
from federation.ledger.headship import Headship
from federation.runtime.cluster import Member
from federation.settings import Settings
from managers.uim import succession


class Turns:
    """Stands for the database: in which term this machine is the head, at each look; None: another one is."""

    def __init__(self, *terms: int | None) -> None:
        self.terms = iter(terms)

    def take(self, name: str, address: str) -> int | None:
        return next(self.terms)

    def renew(self, term: int) -> bool:
        return True

    def release(self, term: int) -> None:
        pass


def take_turns(monkeypatch: pytest.MonkeyPatch, turns: Turns, stand_by: Iterator[Any]) -> list[str]:
    """What is said until it has ended. stand_by: how each time ends in which this machine stands by."""
    said = list[str]()

    def stands_by(*_: Any) -> bool:
        end = next(stand_by)
        if isinstance(end, Exception):
            raise end
        return bool(end)

    monkeypatch.setattr(succession, "PAUSE", 0.0)
    monkeypatch.setattr(succession, "_lead", lambda *_: True)
    monkeypatch.setattr(succession, "_stand_by", stands_by)
    settings = Settings.model_validate({"ledger": {"lease": "30ms"}})
    succession._take_turns(settings, Member("one"), cast(Headship, turns), said.append, said.append)
    return said


AWAY = Temporary("nothing answers at 10.0.0.2:6380")


def test_who_has_served_waits_for_a_head_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    said = take_turns(monkeypatch, Turns(1, None, 3, None), iter([AWAY, False]))
    assert said == [f"not yet: {AWAY}"]


def test_who_has_never_served_tells_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Temporary, match="nothing answers"):
        take_turns(monkeypatch, Turns(None, None), iter([AWAY, False]))
