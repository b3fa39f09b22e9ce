"""Traces of decisions: what is told of whom, under which ids, and that nothing is lost or told twice."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.clock import SECOND
from federation.records import Advised, Answered, Asked, Event, Header, Kind, Outcome, Record, Scored, encode
from federation.settings import Settings, Telemetry, Traces
from managers.uim import tracing
from managers.uim.tracing.incoming import Given, Incoming, given
from managers.uim.tracing.reader import Reader
from managers.uim.tracing.spans import Parent, Span, spans
from tests.deploy.monitoring import Collector, attributes

from .conftest import House, event

TRACE, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Traced:
    """A house whose posts are traced, and what a real collector has of them."""

    def __init__(self, house: House, client: httpx.AsyncClient, reader: Reader, collector: Collector) -> None:
        self.house, self.client, self.reader, self.collector = house, client, reader, collector

    async def post(self, *events: dict[str, Any], traceparent: str = "") -> httpx.Response:
        headers = {"traceparent": traceparent} if traceparent else {}
        return await self.client.post("/v1/events", json=events[0] if len(events) == 1 else events, headers=headers)

    def look(self) -> list[Any]:
        """What is told from now on."""
        before = len(self.collector.spans)
        assert self.reader.look()
        return self.collector.spans[before:]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    with made.serving() as made.address:
        yield made


@pytest.fixture
async def traced(tmp_path: Path, collector: Collector) -> AsyncIterator[Traced]:
    house = House(tmp_path, telemetry=Telemetry(traces=Traces(endpoint=collector.address)))
    traces = tracing.of(house.context)
    assert traces is not None
    transport = httpx.ASGITransport(traces.around(house.server.config.app))
    headers = {"Authorization": f"Bearer {house.token}"}
    async with httpx.AsyncClient(transport=transport, base_url=house.url, headers=headers) as client:
        traces.reader.look()  # it begins at the end of the log
        yield Traced(house, client, traces.reader, collector)
    house.close()


async def test_a_decision_is_its_own_trace_from_the_post_on(traced: Traced) -> None:
    answer = await traced.post(event())
    (decision,) = answer.json()["decisions"]
    told = {span.name: span for span in traced.look()}
    post, decided, committed = (
        told.pop(name) for name in ("POST /v1/events", "decide demo.load", "commit the question")
    )
    assert told == {}
    assert {span.trace_id.hex() for span in (post, decided, committed)} == {decision["id"]}
    assert (post.parent_span_id, decided.parent_span_id, committed.parent_span_id) == (
        b"",
        post.span_id,
        decided.span_id,
    )
    assert answer.headers["traceparent"] == f"00-{decision['id']}-{post.span_id.hex()}-01"
    assert attributes(decided)["elias.tier"] == "rule"
    assert attributes(post)["http.response.status_code"] == 200


async def test_every_decision_of_a_batch_is_a_trace_with_the_post_in_it(traced: Traced) -> None:
    answer = await traced.post(event("1"), event("2"))
    ids = {result["decisions"][0]["id"] for result in answer.json()["results"]}
    traced.look()
    assert {span.trace_id.hex() for span in traced.collector.named("POST /v1/events")} == ids


async def test_the_trace_of_the_sender_is_gone_on_with(traced: Traced) -> None:
    answer = await traced.post(event("1"), event("2"), traceparent=f"00-{TRACE}-{SENDER}-01")
    told = traced.look()
    assert {span.trace_id.hex() for span in told} == {TRACE}
    (post,) = traced.collector.named("POST /v1/events")
    assert post.parent_span_id.hex() == SENDER
    assert {span.parent_span_id for span in traced.collector.named("decide demo.load")} == {post.span_id}
    assert answer.headers["traceparent"] == f"00-{TRACE}-{post.span_id.hex()}-01"


async def test_a_trace_that_its_sender_does_not_record_is_not_told(traced: Traced) -> None:
    answer = await traced.post(event(), traceparent=f"00-{TRACE}-{SENDER}-00")
    assert traced.look() == []
    assert answer.headers["traceparent"].endswith("-00")


async def test_what_elias_asks_itself_has_no_post(traced: Traced) -> None:
    traced.house.federation.post([Event("own", "elias/demo", "test.load", "n1", None, {"load": 1})])
    assert [span.parent_span_id for span in traced.look() if span.name == "decide demo.load"] == [b""]


async def test_a_request_that_asks_for_no_decision_is_no_trace(traced: Traced) -> None:
    answer = await traced.client.get("/v1/points")
    assert traced.look() == []
    assert "traceparent" not in answer.headers


async def test_the_answer_of_a_person_and_the_effect_are_told_when_they_come(traced: Traced) -> None:
    federation = traced.house.federation
    await traced.client.put("/v1/modes", json={"action": "demo.load/relieve", "mode": "act"})
    answer = await traced.post(event(data={"load": 50, "gpu": 95}))
    decision = answer.json()["decisions"][0]["id"]
    assert [span.name for span in traced.look()] == ["POST /v1/events"]
    traced.house.clock.advance(60)
    said = {"action": "relieve", "words": "too hot"}
    assert (await traced.client.post(f"/v1/cases/{decision}/answer", json=said)).status_code == 200
    told = {span.name: span for span in traced.look()}
    waited = told["wait for the operator"]
    assert waited.end_time_unix_nano - waited.start_time_unix_nano >= 60 * SECOND
    federation.settle()
    traced.house.clock.advance(5)
    federation.outcome(decision, Outcome("failed", "the card is gone"))
    told |= {span.name: span for span in traced.look()}
    effect, gate = told["effect relieve"], told["pass the gate"]
    assert effect.trace_id.hex() == decision
    assert (effect.parent_span_id, gate.parent_span_id) == (told["decide demo.load"].span_id, effect.span_id)
    assert effect.status.message == "the card is gone"
    assert [moment.name for moment in gate.events] == ["wanted", "released"]


async def test_what_nobody_takes_is_sent_when_somebody_does(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Span] = []
    taken = False

    def export(some: Any) -> bool:
        sent.extend(some if taken else ())
        return taken

    incoming = Incoming(1.0, traced.house.context.lanes.own)
    place = traced.house.settings.state / "place"
    Reader(traced.house.store, place, incoming, export).look()
    place.write_text(str(traced.house.store.head().size))
    reader = Reader(traced.house.store, place, incoming, export)
    await traced.post(event("1"))
    assert not reader.look()
    await traced.post(event("2"))
    taken = True
    assert reader.look()
    assert [span.name for span in sent].count("decide demo.load") == 2
    await traced.post(event("3"))
    assert Reader(traced.house.store, place, incoming, export).look()  # after a restart
    assert [span.name for span in sent].count("decide demo.load") == 3
    assert len({(span.trace, span.id) for span in sent}) == len(sent)


async def test_a_share_is_told_whole_or_not_at_all(traced: Traced) -> None:
    sent: list[Span] = []

    def export(some: Any) -> bool:
        sent.extend(some)
        return True

    place = traced.house.settings.state / "place"
    place.write_text("0")
    await traced.post(*(event(str(number)) for number in range(200)))
    incoming = Incoming(0.25, traced.house.context.lanes.own)
    Reader(traced.house.store, place, incoming, export).look()
    per_trace = [len([span for span in sent if span.trace == trace]) for trace in {span.trace for span in sent}]
    assert set(per_trace) == {2}
    assert 20 < len(per_trace) < 85  # 50 expected of a binomial: five of its deviations


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (f"00-{TRACE}-{SENDER}-01", Given(TRACE, SENDER, True)),
        (f"00-{TRACE}-{SENDER}-00", Given(TRACE, SENDER, False)),
        (f"01-{TRACE}-{SENDER}-03-what-comes-later", Given(TRACE, SENDER, True)),
        (f"00-{TRACE}-{SENDER}-01-extra", None),
        (f"ff-{TRACE}-{SENDER}-01", None),
        (f"00-{'0' * 32}-{SENDER}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SENDER}-01", None),
        ("", None),
        ("00-short", None),
    ],
)
def test_traceparent_is_read_as_w3c_says(header: str, wanted: Given | None) -> None:
    assert given(header) == wanted


# -- every tier ------------------------------------------------------------------------------------------------------

DECISION = "0123456789abcdef0123456789abcdef"


def record(seq: int, kind: Kind, at: float, body: Any) -> Record:
    header = Header(seq, round(at * SECOND), 1, "urm", 1, kind, "urm.storm", "n1", DECISION)
    return Record(header, encode(body))


def test_each_tier_that_was_asked_has_its_span_with_what_it_said() -> None:
    asked = Asked(Event("1", "me", "t"), {}, [], None, None, [], "b", 1, round(1.0 * SECOND), waits="policy")
    scored = Scored("p1", "embedded", [0], [0.0], 0, 0.4, 0.9, "advisor", "not sure", round(1.5 * SECOND))
    advised = Advised(
        "x", "m1", [0], 0, 0.9, "so", "advisor", "sure", round(4 * SECOND), calls=2, cost=0.01, seconds=2.0
    )
    answered = Answered(0, "hold", {}, "advisor", "c", "r", "", by="m1")
    records = [
        record(1, Kind.ASKED, 1.25, asked),
        record(2, Kind.SCORED, 1.75, scored),
        record(3, Kind.ADVISED, 4.5, advised),
        record(4, Kind.ANSWERED, 4.5, answered),
    ]
    told = {one.name: one for one in spans(records, Parent(DECISION, "ab" * 8))}
    times = {name: (one.start / SECOND, one.end / SECOND) for name, one in told.items()}
    assert times == {
        "decide urm.storm": (1.0, 4.5),
        "commit the question": (1.0, 1.25),
        "ask the policy": (1.25, 1.5),
        "ask an advisor": (2.0, 4.0),
    }
    assert told["ask the policy"].attributes["elias.confidence"] == 0.4
    assert told["ask an advisor"].attributes["elias.cost_dollars"] == 0.01
    assert told["decide urm.storm"].parent == "ab" * 8
    assert {one.parent for one in told.values()} == {"ab" * 8, told["decide urm.storm"].id}


def test_a_policy_that_did_not_answer_is_an_error() -> None:
    asked = Asked(Event("1", "me", "t"), {}, [], None, None, [], "b", 1, SECOND, waits="policy")
    scored = Scored("", "", [], [], None, None, None, "fallback", "no engine answered in time", 2 * SECOND)
    records = [
        record(1, Kind.ASKED, 1, asked),
        record(2, Kind.SCORED, 2, scored),
        record(3, Kind.ANSWERED, 2, Answered(None, "hold", {}, "fallback", "", "", "")),
    ]
    told = {one.name: one for one in spans(records, Parent(DECISION, ""))}
    assert told["ask the policy"].error == "no engine answered in time"


def test_it_is_off_and_then_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from types import SimpleNamespace as N; from managers.uim import serving, tracing;"
        "from federation.settings import Settings; assert tracing.of(N(settings=Settings())) is None;"
        "assert 'managers.uim.tracing.otlp' not in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.exporter')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Settings().telemetry.traces.endpoint == ""


@pytest.mark.parametrize("kind", ["elias.node.restart", "uim.restart", "elias.supervision.exceeded"])
async def test_what_events_may_not_ask_they_may_not_ask_in_a_trace_either(traced: Traced, kind: str) -> None:
    assert (await traced.post(event(type=kind, subject="gpu-1", data={}))).status_code == 422
