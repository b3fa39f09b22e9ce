"""A running federation, watched by a real Prometheus, told by a real Alertmanager, and telling people."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.running import Running
from tests.managers.ucm.chat import Chat
from tests.ports import free_port
from tests.programs import program

from .monitoring import DEPLOY, Collector, World, alertmanager, attributes, get, prometheus, until
from .test_rules import DASHBOARDS, board

SETTINGS = """
telemetry: {{interval: 1s, traces: {{endpoint: "{traces}"}}}}
ledger: {{tick: 2s}}
advisors: {{providers: [{{kind: openai, model: a-model, base_url: "http://127.0.0.1:9/v1"}}]}}
alertmanager: {{url: "http://127.0.0.1:{alertmanager}", timeout: 60s}}
targets:
  team: {{kind: slack, url_file: chat, timeout: 50s}}
  nobody: {{kind: email, host: 127.0.0.1, port: 9, tls: none, sender: elias@example.org, to: [ada@example.org]}}
"""
RULES = """
groups:
  - name: world
    rules:
      - alert: FabricDown
        expr: world_fabric_down == 1
        labels: {severity: critical, node: gpu-4}
        annotations: {summary: the fabric of gpu-4 is down}
      - alert: RaidDegraded
        expr: world_raid_degraded == 1
        labels: {severity: critical, node: gpu-5}
      - alert: EliasOfTheTest
        expr: world_elias == 1
        labels: {severity: critical}
"""


class Site(NamedTuple):
    elias: Running
    world: World
    traces: Collector
    prometheus: str
    alertmanager: str

    def cases(self) -> list[dict[str, Any]]:
        """Open ones about alerts."""
        found = self.elias.get("/v1/cases?point=ufm.alert")[1]["cases"]
        return [case for case in found if case["point"] == "ufm.alert"]

    def case(self, name: str) -> dict[str, Any]:
        return until(lambda: next((case for case in self.cases() if case["subject"].startswith(name)), {}))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, world, traces, port = tmp_path_factory.mktemp("site"), World(), Collector(), free_port()
    world.gauges |= {"world_fabric_down": 0, "world_raid_degraded": 0, "world_elias": 0}
    for name in ("elias", "alertmanager", "prometheus"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        exporter = stack.enter_context(world.serving())
        endpoint = stack.enter_context(traces.serving())
        running = Running(folder / "elias", SETTINGS.format(alertmanager=port, traces=endpoint))
        elias = stack.enter_context(running)
        webhook = f"http://127.0.0.1:{elias.port}/v1/alertmanager"
        told = stack.enter_context(alertmanager(folder / "alertmanager", port, webhook, elias.token))
        watched = prometheus(folder / "prometheus", elias.port, elias.token, port, exporter, RULES)
        yield Site(elias, world, traces, stack.enter_context(watched), told)


def scraped(site: Site) -> set[str]:
    """The names of all that Prometheus has seen."""
    names: list[str] = get(f"{site.prometheus}/api/v1/label/__name__/values")["data"]
    return set(names)


def test_prometheus_scrapes_it_with_the_configuration_that_ships(site: Site) -> None:
    def up() -> bool:
        targets = get(f"{site.prometheus}/api/v1/targets")["data"]["activeTargets"]
        return [t["health"] for t in targets if t["labels"]["job"] == "elias"] == ["up"]

    until(up)
    until(lambda: "elias_cases_open" in scraped(site))


def test_the_page_says_what_it_tells(site: Site) -> None:
    """Name, type, labels and meaning of every family of a running federation, and no other."""
    page = (DEPLOY.parent / "docs" / "operate" / "metrics.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"]
    documented = {
        name.strip("`"): (kind, meaning, re.findall(r"`(\w+)`", labels)) for name, kind, labels, meaning in rows
    }
    told = site.elias.get("/metrics")[1]
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", told, re.MULTILINE))
    meanings = dict(re.findall(r"^# HELP (\w+) (.+)$", told, re.MULTILINE))
    assert {name: (kind, meanings[name]) for name, kind in kinds.items()} == {
        name: (kind, meaning) for name, (kind, meaning, _) in documented.items()
    }
    for family in text_string_to_metric_families(told):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(documented[name][2]), sample


def test_its_figures_are_named_as_prometheus_wants_them(site: Site) -> None:
    command = [program("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=site.elias.get("/metrics")[1], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_all_that_rules_and_dashboards_ask_for_is_there(site: Site) -> None:
    text = (DEPLOY / "prometheus" / "elias.rules.yml").read_text()
    rules = [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    panels = [target["expr"] for path in DASHBOARDS for panel in board(path)["panels"] for target in panel["targets"]]
    wanted = {name for query in (*rules, *panels) for name in re.findall(r"\belias_\w+", query)}
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", site.elias.get("/metrics")[1], re.MULTILINE))
    parts = {f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "count")}
    assert wanted <= kinds.keys() | parts


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_answers_every_query_of_a_dashboard(site: Site, path: Path) -> None:
    for panel in board(path)["panels"]:
        for target in panel["targets"]:
            answer = get(f"{site.prometheus}/api/v1/query?{urlencode({'query': target['expr']})}")
            assert (answer["status"], answer["data"]["resultType"]) == ("success", "vector"), panel["title"]


def test_what_there_always_is_something_to_show_of_is_shown(site: Site) -> None:
    """The panels of the overview that need nothing but a federation that runs, once it was scraped."""
    for panel in board(DEPLOY / "grafana" / "dashboards" / "elias-overview.json")["panels"]:
        if panel["type"] == "stat" or panel["title"] in ("Memory", "Size of the ledger", "Jobs"):
            query = urlencode({"query": panel["targets"][0]["expr"]})
            until(lambda query=query: get(f"{site.prometheus}/api/v1/query?{query}")["data"]["result"])


def test_every_rule_is_judged_without_an_error(site: Site) -> None:
    def judged() -> bool:
        groups = get(f"{site.prometheus}/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
        return all(rule["health"] == "ok" for rule in rules)

    until(judged)


def test_an_alert_becomes_a_case_and_is_silenced_from_it(site: Site) -> None:
    site.world.gauges["world_fabric_down"] = 1
    case = site.case("FabricDown/gpu-4")
    said = {"action": "silence", "args": {"duration": 14_400.0}, "words": "the switch is being replaced"}
    assert site.elias.request("POST", f"/v1/cases/{case['id']}/answer", said)[0] == 200

    def silence() -> dict[str, Any]:
        found = get(f"{site.alertmanager}/api/v2/silences")
        return next((one for one in found if case["id"] in one["comment"]), {})

    made = until(silence)
    assert made["status"]["state"] == "active"
    assert {m["name"]: m["value"] for m in made["matchers"]}["alertname"] == "FabricDown"
    (alert,) = [a for a in get(f"{site.alertmanager}/api/v2/alerts") if a["labels"]["alertname"] == "FabricDown"]
    until(lambda: get(f"{site.alertmanager}/api/v2/alerts?silenced=false&filter=alertname=FabricDown") == [])
    assert alert["labels"]["node"] == "gpu-4"
    until(lambda: site.elias.get(f"/v1/decisions/{case['id']}")[1]["outcome"] == "done")


def test_a_case_is_closed_when_its_alert_is_resolved(site: Site) -> None:
    site.world.gauges["world_raid_degraded"] = 1
    case = site.case("RaidDegraded/gpu-5")
    site.world.gauges["world_raid_degraded"] = 0
    until(lambda: case["id"] not in [one["id"] for one in site.cases()])
    decision = site.elias.get(f"/v1/decisions/{case['id']}")[1]
    assert (decision["action"], decision["tier"]) == ("hold", "fallback")
    assert "the alert is over" in decision["reason"]


def test_alerts_about_elias_itself_come_to_nobody_here(site: Site) -> None:
    site.world.gauges["world_elias"] = 1
    fires = f"{site.alertmanager}/api/v2/alerts?receiver=about-elias&filter=alertname=EliasOfTheTest"
    until(lambda: get(fires))
    assert [case for case in site.cases() if case["subject"].startswith("EliasOfTheTest")] == []


async def test_each_target_is_tried_by_a_command_and_says_what_came_of_it(site: Site) -> None:
    async with Chat().serving() as chat:
        (site.elias.folder / "chat").write_text(chat.url)
        code, said = await command(site, "messages", "test", "team")
        assert (code, said) == (0, "team: delivered\n")
        (got,) = chat.got
        assert got.json["blocks"][0]["text"]["text"] == "Test of the target team"
    code, said = await command(site, "messages", "test", "nobody")
    assert code == 1
    assert said.startswith("nobody: failed (")
    status, error = site.elias.request("POST", "/v1/messages/targets/nowhere/test")
    assert (status, error["error"]["code"]) == (404, "no-target")
    assert "team" in error["error"]["cure"]


async def test_a_job_is_traced_from_its_post_to_the_node_that_ran_it(site: Site) -> None:
    code, said = await command(site, "run", "--cpu", "0.1", "--", "echo", "traced")
    assert (code, said.splitlines()[0]) == (0, "traced")
    (admitted,) = until(lambda: site.traces.named("decide urm.admission"))
    (post,) = until(lambda: site.traces.named("POST /v1/events", admitted.trace_id.hex()))
    assert admitted.parent_span_id == post.span_id
    (placed,) = until(lambda: site.traces.named("effect place"))
    assert attributes(placed)["elias.status"] == "done"
    trace = placed.trace_id.hex()
    (decided,), (gate,) = site.traces.named("decide ufm.placement", trace), site.traces.named("pass the gate", trace)
    (acted,) = [one for one in site.traces.spans if one.name.startswith("act on ") and one.trace_id == placed.trace_id]
    assert attributes(decided)["elias.decision"] == trace
    assert (placed.parent_span_id, gate.parent_span_id, acted.parent_span_id) == (
        decided.span_id,
        placed.span_id,
        placed.span_id,
    )
    assert [moment.name for moment in gate.events] == ["wanted", "released"]
    assert decided.start_time_unix_nano <= decided.end_time_unix_nano <= placed.end_time_unix_nano
    assert site.traces.resources[0]["service.name"] == "elias"


async def command(site: Site, *arguments: str) -> tuple[int, str]:
    """Exit code and standard output of `elias`."""
    process = await asyncio.create_subprocess_exec(
        *Running.command, *arguments, cwd=site.elias.folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
