"""The point `ufm.dispatch` with its shipped spec: only a node with the memory gets a task."""

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
from managers.ufm.manager import Ufm

TRAINING = {"kind": "training", "vram": "32GB", "duration": "4h", "deadline": None, "data": "20GB", "restartable": True}
ROOMY = {"name": "roomy", "load": "60%", "vram_free": "80GB", "wait": "30m", "bandwidth": "1GB", "succeeded": "99%"}
SMALL = {"name": "small", "load": "5%", "vram_free": "24GB", "wait": "0s", "bandwidth": "1GB", "succeeded": "100%"}


class Office:
    def __init__(self, folder: Path) -> None:
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        bundle = tiki.build(sources, schemas(points_of([Ufm])))
        settings = Settings(state=folder)
        self.federation = LocalFederation([Ufm(settings)], bundle, self.store, VirtualClock(), settings)
        self.sent = 0

    def post(self, *nodes: Any, **task: Any) -> list[Reply] | Rejected:
        self.sent += 1
        data = TRAINING | task | {"nodes": list(nodes)}
        (replies,) = self.federation.post([Event(str(self.sent), "test", "elias.task.dispatch", "t", None, data)])
        return replies

    def asked(self, *nodes: Any, **task: Any) -> Asked:
        assert isinstance(self.post(*nodes, **task), list)
        (record,) = self.store.latest(1, kinds=[Kind.ASKED], points=["ufm.dispatch"])
        asked: Asked = decode(Kind.ASKED, record.body)
        return asked


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.store.close()


def open_nodes(asked: Asked) -> list[str]:
    return [c.args["node"] for c in asked.candidates if c.action == "dispatch" and c.forbidden is None]


def test_a_choice_among_nodes_with_the_memory_is_a_question_of_judgement(office: Office) -> None:
    asked = office.asked(ROOMY, {**ROOMY, "name": "other"}, SMALL)
    assert (asked.clause, asked.offers) == ("judgement", ["dispatch", "hold"])
    assert open_nodes(asked) == ["other", "roomy"]
    assert [c.forbidden for c in asked.candidates if c.args.get("node") == "small"] == ["enough_memory"]


def test_where_no_node_has_the_memory_nothing_is_offered_and_supervision_is_asked(office: Office) -> None:
    asked = office.asked(SMALL, {**SMALL, "name": "another"})
    assert asked.facts["fitting"] == 0
    assert asked.waits
    assert asked.clause != "judgement"
    assert open_nodes(asked) == []


def test_a_node_of_which_nobody_knows_the_memory_gets_no_task(office: Office) -> None:
    unknown = {key: value for key, value in ROOMY.items() if key != "vram_free"}
    asked = office.asked({**unknown, "name": "unknown"}, ROOMY)
    assert (asked.facts["fitting"], open_nodes(asked)) == (1, ["roomy"])


def test_nodes_are_proposed_in_the_order_in_which_they_could_start(office: Office) -> None:
    far = {**ROOMY, "name": "far", "wait": "0s", "bandwidth": "1MB"}  # 20 GB take more than five hours
    silent = {key: value for key, value in ROOMY.items() if key != "wait"} | {"name": "a-silent"}
    asked = office.asked(silent, far, ROOMY)
    assert open_nodes(asked) == ["roomy", "far", "a-silent"]
    assert asked.facts["starts_in"] == 30 * 60 + 20


def test_a_task_that_is_over_in_a_moment_goes_where_it_can_start_first(office: Office) -> None:
    replies = office.post(ROOMY, {**ROOMY, "name": "idle", "wait": "0s"}, SMALL, duration="2s", data="1MB")
    assert isinstance(replies, list)
    assert (replies[0].action, replies[0].args) == ("dispatch", {"node": "idle"})


def test_a_task_that_needs_no_gpu_may_go_to_a_node_without_one(office: Office) -> None:
    assert open_nodes(office.asked({**SMALL, "vram_free": 0}, kind="storage", vram=0)) == ["small"]


@pytest.mark.parametrize(
    ("nodes", "task", "place"),
    [
        ([], {}, "data.nodes"),
        ([{**ROOMY, "name": f"n{at}"} for at in range(6)], {}, "data.nodes"),
        ([ROOMY, ROOMY], {}, "data.nodes"),
        (["roomy"], {}, "data.nodes[0]"),
        ([ROOMY, {**SMALL, "name": 7}], {}, "data.nodes[1].name"),
        ([{**ROOMY, "name": "n" * 254}], {}, "data.nodes[0].name"),
        ([{**ROOMY, "load": "60"}], {}, "data.nodes[0].load"),
        ([{**ROOMY, "load": "160%"}], {}, "data.nodes[0].load"),
        ([{**ROOMY, "bandwidth": 0}], {}, "data.nodes[0].bandwidth"),
        ([{**ROOMY, "vram_free": None}], {}, "data.nodes[0].vram_free"),
        ([{**ROOMY, "vram": "80GB"}], {}, "data.nodes[0]"),
        ([ROOMY], {"vram": None}, "data.vram"),
        ([ROOMY], {"vram": "much"}, "data.vram"),
        ([ROOMY], {"data": -1}, "data.data"),
        ([ROOMY], {"fitting": 3}, "data.fitting"),
        ([ROOMY], {"kind": "mining"}, "data"),
        ([ROOMY], {"colour": "red"}, "data"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_with_its_place_and_a_cure(
    office: Office, nodes: list[Any], task: dict[str, Any], place: str
) -> None:
    refused = office.post(*nodes, **task)
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.place) == (422, f"event 1: {place}")
    assert refused.cure


def test_a_near_miss_is_told_what_was_meant(office: Office) -> None:
    refused = office.post({**ROOMY, "vram_fre": 3})
    assert isinstance(refused, Rejected)
    assert "did you mean `vram_free`" in refused.message
