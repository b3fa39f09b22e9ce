"""The point `uim.rollout` with its shipped spec: whoever measures a new version asks how far it goes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiki
from federation.clock import VirtualClock
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.points import schemas
from federation.records import Asked, Event, Kind, decode
from federation.replies import Rejected, Reply
from federation.settings import Settings, shipped_specs
from managers.uim.manager import Uim

SOUND = {
    "change": "feature",
    "share": "5%",
    "errors": "0.2%",
    "errors_before": "0.2%",
    "latency": "100ms",
    "latency_before": "100ms",
    "requests": 20_000,
    "elapsed": "1h",
    "load": "50%",
    "dependents": 3,
    "reversible": True,
}


class Release:
    def __init__(self, folder: Path) -> None:
        self.store = Store.open(str(folder / "ledger.db"))
        settings = Settings(state=folder)
        bundle = tiki.load(shipped_specs() / "uim", schemas(points_of([Uim])))
        self.federation = LocalFederation([Uim(settings)], bundle, self.store, VirtualClock(), settings)

    def post(self, **measured: Any) -> list[Reply] | Rejected:
        event = Event("1", "test", "elias.component.rollout", "shop", None, SOUND | measured)
        (replies,) = self.federation.post([event])
        return replies

    def asked(self, **measured: Any) -> Asked:
        assert isinstance(self.post(**measured), list)
        (record,) = self.store.latest(1, kinds=[Kind.ASKED], points=["uim.rollout"])
        asked: Asked = decode(Kind.ASKED, record.body)
        return asked


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    made = Release(tmp_path)
    yield made
    made.store.close()


def steps(asked: Asked) -> list[float]:
    return [c.args["share"] for c in asked.candidates if c.action == "advance" and c.forbidden is None]


@pytest.mark.parametrize(
    ("share", "further"),
    [("0%", [5, 25, 50, 100]), ("5%", [25, 50, 100]), (30, [50, 100]), ("100%", []), (None, [])],
)
def test_a_version_goes_only_further_than_it_is(release: Release, share: Any, further: list[float]) -> None:
    assert steps(release.asked(share=share)) == further


def test_how_far_a_sound_version_goes_is_a_question_of_judgement(release: Release) -> None:
    asked = release.asked()
    assert (asked.clause, asked.offers) == ("otherwise", ["advance", "roll_back", "hold"])


def test_few_requests_allow_no_large_step(release: Release) -> None:
    assert steps(release.asked(requests=99)) == [25]


def test_full_machines_allow_no_step(release: Release) -> None:
    assert steps(release.asked(load="91%")) == []


def test_what_is_plainly_broken_goes_back_without_a_question(release: Release) -> None:
    replies = release.post(errors="14%")
    assert isinstance(replies, list)
    assert (replies[0].action, replies[0].mode) == ("roll_back", "")


@pytest.mark.parametrize("wrong", [{"share": "500%"}, {"share": 5e9}, {"requests": -1}, {"canary": True}])
def test_an_event_that_makes_no_sense_is_refused_with_its_place_and_a_cure(
    release: Release, wrong: dict[str, Any]
) -> None:
    refused = release.post(**wrong)
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.place) == (422, "event 1: data")
    assert "elias tiki schema uim.rollout" in refused.cure
