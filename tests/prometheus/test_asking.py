"""What a real Prometheus says of a real node_exporter and of a page as NVIDIA's exporter writes it, and what is said
when it says nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil
import pytest

from federation.errors import Temporary
from federation.targets import Prometheus
from managers.ufm.prometheus import asking
from managers.ufm.prometheus.asking import Server
from managers.ufm.prometheus.facts import MEASURES
from managers.ufm.prometheus.picture import Picture
from tests.managers.uim.doctor import certificates
from tests.prometheus.lab import BLANK, Lab, serving

HERE = "127.0.0.1"


async def seen(lab: Lab, wanted: Callable[[Picture], object], **more: Any) -> Picture:
    """The first look that shows what is wanted: what an exporter shows comes with the next scrape."""
    async with asyncio.timeout(120):
        while not wanted(picture := await Server(lab.settings(**more)).look()):
            await asyncio.sleep(0.1)
    return picture


async def test_a_node_has_the_facts_of_both_its_exporters(lab: Lab) -> None:
    hot, cool = lab.node.cards
    hot.values |= {"DCGM_FI_DEV_GPU_TEMP": 71, "DCGM_FI_DEV_XID_ERRORS": 79, "DCGM_FI_DEV_FB_USED": 61440}
    cool.values |= {"DCGM_FI_DEV_GPU_TEMP": BLANK, "DCGM_FI_DEV_ROW_REMAP_FAILURE": 1}

    def both(picture: Picture) -> bool:
        facts = picture.nodes.get(HERE, {})
        return facts.get("gpu_xid") == 79 and None not in (facts.get("memory"), facts.get("oom_kills"))

    facts = (picture := await seen(lab, both)).nodes[HERE]
    cards = {name: value for name, value in facts.items() if name.startswith("gpu_")}
    assert cards == {
        "gpu_temperature": 71,
        "gpu_memory": 50,
        "gpu_xid": 79,
        "gpu_remapped_rows": 0,
        "gpu_remap_failed": True,
        "gpu_ecc_errors": None,  # what the exporter does not show by default is absent
        "gpu_power_slowed": None,
        "gpu_heat_slowed": None,
    }
    assert facts["memory"] == pytest.approx(psutil.virtual_memory().percent, abs=20)
    assert 0 < facts["disk"] <= 100
    assert facts["cpu_load"] >= 0
    assert 0 <= facts["clock_offset"] < 60
    assert facts["signs"] == []
    assert picture.failed == {}


async def test_rates_are_of_counters_that_were_seen_twice(lab: Lab) -> None:
    card = lab.node.cards[0]
    card.values["DCGM_FI_DEV_POWER_VIOLATION"] = 5e9
    picture = await seen(lab, lambda picture: picture.nodes[HERE].get("gpu_power_slowed") is not None)
    assert picture.nodes[HERE]["gpu_power_slowed"] == 0


async def test_what_no_exporter_of_a_node_shows_is_absent(lab: Lab) -> None:
    picture = await seen(lab, lambda picture: "gpu-8.example.org" in picture.nodes)
    facts = picture.nodes["gpu-8.example.org"]
    assert (facts["memory"], facts["gpu_temperature"]) == (None, 48)
    assert facts.keys() == {measure.fact.name for measure in MEASURES} | {"signs"}


async def test_what_a_broken_exporter_showed_is_unknown(lab: Lab) -> None:
    lab.node.broken = True
    picture = await seen(lab, lambda picture: "gpu_temperature" not in picture.nodes[HERE])
    facts = picture.nodes[HERE]
    assert {name for name in facts if name.startswith("gpu_")} <= {"gpu_power_slowed"}  # a rate looks back five minutes
    assert facts["memory"] is not None
    assert picture.nodes["gpu-8.example.org"]["gpu_temperature"] == 48


async def test_queries_and_signs_may_be_ones_own(lab: Lab) -> None:
    lab.node.cards[1].values["DCGM_FI_DEV_XID_ERRORS"] = 48
    signs = {
        "broken": "DCGM_FI_DEV_XID_ERRORS == 48 or DCGM_FI_DEV_XID_ERRORS == 79",
        "cold": "DCGM_FI_DEV_GPU_TEMP < 10",
    }
    facts = {"gpu_temperature": "DCGM_FI_DEV_GPU_TEMP + 1", "disk": ""}
    more = {"signs": signs, "facts": facts, "names": {"gpu-8.example.org": "eight"}}
    picture = await seen(lab, lambda picture: picture.nodes[HERE].get("signs") == ["broken"], **more)
    assert (picture.nodes["eight"]["signs"], picture.nodes["eight"]["gpu_temperature"]) == ([], 49)
    assert "disk" not in picture.nodes[HERE]


async def test_a_query_that_is_wrong_is_told_of_and_the_others_are_answered(lab: Lab) -> None:
    wrong = {"facts": {"disk": "sum by (", "memory": "42"}, "signs": {"odd": "up["}}
    picture = await seen(lab, lambda picture: picture.nodes.get(HERE, {}).get("gpu_temperature"), **wrong)
    assert picture.failed.keys() == {"disk", "memory", "odd"}
    assert "parse error" in picture.failed["disk"]
    assert picture.failed["memory"] == "its answer is a scalar, and not series of nodes"
    facts = picture.nodes[HERE]
    assert {"disk", "memory", "signs"} & facts.keys() == set()
    assert facts["gpu_temperature"] == 48


async def test_a_fact_that_nothing_asks_for_is_refused_with_those_that_there_are(lab: Lab) -> None:
    with pytest.raises(Temporary, match=r"prometheus.facts: no decision point has a fact `gpu_temp`.*gpu_temperature"):
        await Server(lab.settings(facts={"gpu_temp": "1"})).look()


async def test_answers_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await seen(lab, lambda picture: picture.nodes.get(HERE, {}).get("gpu_temperature"))
    monkeypatch.setattr(asking, "SERIES", 10)
    failed = (await Server(lab.settings(signs={"many": '{__name__=~".+"}'})).look()).failed
    assert failed["many"] == "its answer has more than 10 series"
    monkeypatch.setattr(asking, "MOST", 10_000)
    failed = (await Server(lab.settings(signs={"many": '{__name__=~".+"}'})).look()).failed
    assert "its answer is more than" in failed["many"]


async def test_a_prometheus_that_is_away_is_said(lab: Lab) -> None:
    lab.stop()
    try:
        with pytest.raises(Temporary, match="it cannot be reached"):
            await Server(lab.settings()).look()
    finally:
        lab.start()


async def test_a_login_and_a_certificate_are_for_prometheus_alone(lab: Lab, tmp_path: Path) -> None:
    pair = certificates.made(tmp_path / "tls", 30, HERE)
    (tmp_path / "password").write_text(lab.login[1])
    (tmp_path / "wrong").write_text("guess")
    guarded = {"url": f"https://127.0.0.1:{lab.port}", "user": lab.login[0], "ca_file": pair.cert}
    lab.stop()
    lab.start_guarded(pair.cert, pair.key)
    try:
        while True:
            with suppress(Temporary):  # it is not ready
                assert (await Server(lab.settings(**guarded, secret_file=tmp_path / "password")).look()).failed == {}
                break
        with pytest.raises(Temporary, match=r"it does not let ELIAS ask \(HTTP 401\)"):
            await Server(lab.settings(**guarded, secret_file=tmp_path / "wrong")).look()
        with pytest.raises(Temporary, match="CERTIFICATE_VERIFY_FAILED"):
            await Server(lab.settings(**{**guarded, "ca_file": None}, secret_file=tmp_path / "password")).look()
    finally:
        lab.stop()
        lab.start()


def _nothing(handler: BaseHTTPRequestHandler) -> tuple[int, str, str]:
    return 200, "text/html", "<html>welcome</html>"


def _elsewhere(handler: BaseHTTPRequestHandler) -> tuple[int, str, str]:
    return 302, "text/html", ""


def _odd(value: str) -> Callable[[BaseHTTPRequestHandler], tuple[int, str, str]]:
    series = f'{{"metric":{{"instance":"a:1"}},"value":[1,{value}]}}'
    text = f'{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}'
    return lambda _: (200, "application/json", text)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_nothing, r"what answers is no Prometheus, or is not ready \(HTTP 200\)"),
        (_elsewhere, r"what answers is no Prometheus, or is not ready \(HTTP 302\)"),
        (_odd("1"), "its answer cannot be read"),
        (_odd('"many"'), "`many` is no number"),
    ],
    ids=["page", "redirect", "type", "number"],
)
async def test_what_is_no_answer_is_said(answer: Any, words: str) -> None:
    with serving(answer) as port, pytest.raises(Temporary, match=words):
        await Server(Prometheus(url=f"http://127.0.0.1:{port}")).look()


async def test_a_slow_answer_is_not_waited_for(lab: Lab) -> None:
    go = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(handler: BaseHTTPRequestHandler) -> tuple[int, str, str]:
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        return 200, "application/json", "{}"

    with serving(slow) as port:
        with pytest.raises(Temporary, match=r"no answer within 0.2 s"):
            await Server(Prometheus(url=f"http://127.0.0.1:{port}", timeout=0.2)).look()
        go.set()
        await asyncio.sleep(0)


@pytest.mark.parametrize("user", ["", "elias"])
async def test_a_secret_is_read_from_its_file_and_shown_to_prometheus_alone(tmp_path: Path, user: str) -> None:
    heard = list[str]()

    def guarded(handler: BaseHTTPRequestHandler) -> tuple[int, str, str]:
        heard.append(handler.headers["Authorization"])
        return 401, "text/plain", "Unauthorized"

    (tmp_path / "secret").write_text("s3cret\n")
    with serving(guarded) as port:
        settings = Prometheus(url=f"http://127.0.0.1:{port}", user=user, secret_file=tmp_path / "secret")
        with pytest.raises(Temporary, match=r"it does not let ELIAS ask \(HTTP 401\)") as said:
            await Server(settings).look()
    assert heard == ["Basic ZWxpYXM6czNjcmV0" if user else "Bearer s3cret"]
    assert "s3cret" not in str(said.value)


async def test_a_secret_that_is_not_there_is_said(tmp_path: Path) -> None:
    settings = Prometheus(url="http://127.0.0.1:9", secret_file=tmp_path / "none")
    with pytest.raises(Temporary, match="cannot be read"):
        await Server(settings).look()
