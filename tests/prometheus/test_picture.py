"""What answers of Prometheus say of a node: known, absent or unknown; and which node a series is of."""

from math import inf, nan
from typing import Any

import pytest

from federation.clock import SECOND
from federation.errors import Refused
from federation.records import Event
from federation.settings import Settings
from federation.targets import Prometheus
from managers.ufm.manager import Ufm
from managers.ufm.points import NODE_HEALTH
from managers.ufm.prometheus.facts import FACTS, MEASURES, value_of
from managers.ufm.prometheus.picture import Nodes, host_of, picture
from managers.ufm.prometheus.watch import PrometheusWatch
from tests.federation.test_settings import load_text

FACT = {fact.name: fact for fact in FACTS}
AGE = 120.0


def of_node(
    *, up: tuple[float, ...] = (1, 1), ages: tuple[float, ...] = (3, 9), signs: Any = None, **answers: Any
) -> dict[str, Any]:
    return picture(answers, signs or {}, {"n": up}, {"n": ages} if ages else {}, AGE)["n"]


def test_the_largest_of_several_series_counts() -> None:
    assert of_node(disk={"n": (12.0, 97.5, 40.0)})["disk"] == 97.5


@pytest.mark.parametrize(
    ("name", "number", "value"),
    [
        ("disk", 12.5, 12.5), ("gpu_xid", 79.0, 79), ("gpu_remap_failed", 1.0, True), ("gpu_remap_failed", 0.0, False),
        ("disk", nan, None), ("disk", inf, None), ("gpu_temperature", 9223372036854775794.0, None),
        ("clock_offset", -1.0, None), ("gpu_xid", -3.0, None), ("gpu_temperature", -3.0, -3.0),
    ],
)  # fmt: skip
def test_a_number_has_the_type_of_its_fact_or_says_nothing(name: str, number: float, value: Any) -> None:
    found = value_of(FACT[name], number)
    assert (found, type(found)) == (value, type(value))


def test_what_is_missing_is_absent_where_all_targets_were_scraped() -> None:
    assert of_node(gpu_xid={})["gpu_xid"] is None
    assert of_node(gpu_xid={"n": (nan,)})["gpu_xid"] is None


@pytest.mark.parametrize(
    "harm",
    [
        {"gpu_xid": {}, "up": (1, 0)},
        {"gpu_xid": None},
        {"gpu_xid": {"n": (79,)}, "ages": (3, 121)},
        {"gpu_xid": {"n": (79,)}, "ages": ()},
    ],
    ids=["a target is down", "it was not answered", "old", "nobody knows how old"],
)
def test_what_cannot_be_known_is_unknown(harm: dict[str, Any]) -> None:
    assert "gpu_xid" not in of_node(**harm)


def test_signs_are_those_that_hold_if_all_were_asked() -> None:
    assert of_node(signs={"hot": {"n": (1.0,)}, "cold": {"m": (1.0,)}})["signs"] == ["hot"]
    assert of_node(signs={"down": {"n": (0.0,)}}, up=(0,))["signs"] == ["down"]
    assert "signs" not in of_node(signs={"hot": {"n": (1.0,)}, "cold": None})


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("gpu-7:9100", "gpu-7"), ("gpu-7", "gpu-7"), ("10.0.0.7:9100", "ten"), ("10.0.0.8:9100", "10.0.0.8"),
        ("[fe80::1]:9100", "fe80::1"), ("fe80::1", "fe80::1"), ("lab:9400", "by-port"),
    ],
)  # fmt: skip
def test_a_port_is_no_part_of_a_name_and_names_may_be_given(value: str, host: str) -> None:
    assert host_of(value, {"10.0.0.7": "ten", "lab:9400": "by-port"}) == host


@pytest.mark.parametrize(
    ("known", "node", "found"),
    [
        (["gpu-7"], "gpu-7", "gpu-7"),
        (["gpu-7.example.org"], "gpu-7", "gpu-7.example.org"),
        (["gpu-7"], "gpu-7.example.org", "gpu-7"),
        (["gpu-7.a.org", "gpu-7.b.org"], "gpu-7", None),
        (["gpu-7.a.org"], "gpu-7.b.org", None),
        (["10.0.0.7"], "10", None),
        (["gpu-70"], "gpu-7", None),
    ],
)
def test_a_node_is_found_with_or_without_its_domain(known: list[str], node: str, found: str | None) -> None:
    assert Nodes(known).name_of(node) == found


def report(nodes: dict[str, dict[str, Any]] | None, problem: str = "", **failed: str) -> dict[str, Any]:
    seen = None if nodes is None else {"nodes": nodes, "failed": failed}
    return {"node": "head", "prometheus": seen, "problem": problem}


def test_what_was_seen_counts_for_three_looks() -> None:
    watch = PrometheusWatch(Prometheus(url="http://127.0.0.1:9090", every=10))
    assert list(watch.problems(0)) == [
        "Prometheus is out of sight, and facts from it are not known: no word of it has come yet"
    ]
    watch.hear(report({"a": {"disk": 91.5}}), 100 * SECOND)
    assert (watch.facts("a", 130 * SECOND), list(watch.problems(130 * SECOND))) == ({"disk": 91.5}, [])
    assert (watch.facts("b", 130 * SECOND), watch.facts("a", 131 * SECOND)) == ({}, {})
    assert "head has not told of it for 31 s" in next(watch.problems(131 * SECOND))
    watch.hear(report(None, "it cannot be reached"), 132 * SECOND)
    assert (watch.facts("a", 132 * SECOND), next(watch.problems(132 * SECOND)).endswith("it cannot be reached")) == (
        {},
        True,
    )
    watch.hear(report({"a": {}}, disk="parse error"), 133 * SECOND)
    assert list(watch.problems(133 * SECOND)) == ["Prometheus does not say what `disk` is: parse error"]


def test_without_a_prometheus_nothing_is_said_of_it() -> None:
    watch = PrometheusWatch(Prometheus())
    assert (list(watch.problems(SECOND)), watch.facts("a", SECOND)) == ([], {})


def test_every_fact_is_one_of_the_node_s_health() -> None:
    declared = {fact.name: fact for fact in NODE_HEALTH.schema.facts}
    assert all(declared[name] is fact for name, fact in FACT.items())
    assert len({measure.query for measure in MEASURES}) == len(MEASURES)


@pytest.mark.parametrize("name", ["a", "slurm:a", "kubernetes:a"])
def test_facts_are_of_the_machine_in_whichever_cluster_it_is(tmp_path: Any, name: str) -> None:
    settings = Settings(state=tmp_path, prometheus=Prometheus(url="http://127.0.0.1:9090"))
    ufm = Ufm(settings)
    list(ufm.observe(report({"a": {"gpu_xid": 79, "signs": []}}), SECOND))
    known = ufm.facts(NODE_HEALTH, Event("e", "elias/ufm", NODE_HEALTH.events[0], name), 2 * SECOND)
    assert (known["gpu_xid"], known["signs"]) == (79, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("url: http://elias:pw@prom:9090", "pattern"),
        ("url: http://prom.example.org:9090\n  secret_env: TOKEN", "does not travel in clear"),
        ("url: http://127.0.0.1:9090\n  signs: {Hot: up}", "pattern"),
        ("url: http://127.0.0.1:9090\n  label: 'a b'", "pattern"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Any, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        load_text(tmp_path, f"prometheus:\n  {text}\n")


def test_a_secret_goes_to_this_machine_in_clear_and_elsewhere_by_tls() -> None:
    for url in ("http://127.0.0.1:9090", "http://localhost:9090", "https://prom.example.org"):
        assert Prometheus(url=url, secret_env="TOKEN").url == url
