"""What ships for Prometheus, Alertmanager and Grafana is sound, each by its own checker where it has one."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def run(*command: str, folder: Path = PROMETHEUS) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_of_prometheus_is_sound() -> None:
    run(program("promtool"), "check", "config", "--syntax-only", "prometheus.yml")


def test_the_rules_are_sound() -> None:
    run(program("promtool"), "check", "rules", "--lint-fatal", "elias.rules.yml")


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    run(program("promtool"), "test", "rules", "elias.rules.test.yml")


def test_the_configuration_of_alertmanager_is_sound() -> None:
    run(program("amtool"), "check-config", "alertmanager.yml", folder=DEPLOY / "alertmanager")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "elias.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_is_tried_as_it_fires_and_as_it_does_not() -> None:
    tests = yaml.safe_load((PROMETHEUS / "elias.rules.test.yml").read_text())["tests"]
    tried = {(one["alertname"], bool(one.get("exp_alerts"))) for test in tests for one in test["alert_rule_test"]}
    assert tried == {(rule["alert"], fires) for rule in alerts() for fires in (True, False)}


def test_elias_does_not_ask_people_about_alerts_on_itself() -> None:
    assert [rule["alert"] for rule in alerts() if not rule["alert"].startswith("Elias")] == []


def test_every_alert_says_what_it_is_and_where_its_runbook_is() -> None:
    """And the page has no section about an alert that there is not."""
    page = DEPLOY.parent / "docs" / "operate" / "alerts.md"
    sections = [
        f"docs/operate/{page.name}#{name.lower()}" for name in re.findall(r"^## (\w+)$", page.read_text(), re.M)
    ]
    for rule in alerts():
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert [rule["annotations"]["runbook_url"] for rule in alerts()] == sections


def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_a_dashboard_has_what_grafana_needs_to_load_it(path: Path) -> None:
    found = board(path)
    assert found["uid"] == path.stem
    assert {"title", "schemaVersion", "panels", "templating", "time"} <= found.keys()
    assert "id" not in found  # Grafana gives it one; two with the same would overwrite each other
    assert [v["name"] for v in found["templating"]["list"]] == ["datasource"]
    ids = [panel["id"] for panel in found["panels"]]
    assert len(ids) == len(set(ids))
    for panel in found["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_no_panel_lies_over_another_or_beside_the_page(path: Path) -> None:
    places = [panel["gridPos"] for panel in board(path)["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_prometheus_understands_every_query_of_a_dashboard(path: Path, tmp_path: Path) -> None:
    queries = [target["expr"] for panel in board(path)["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:query{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(program("promtool"), "check", "rules", "--lint=none", "rules.yml", folder=tmp_path)


def test_what_grafana_is_provisioned_with_fits_together() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "elias.yml").read_text())["providers"]
    assert (source["type"], source["isDefault"], provider["type"]) == ("prometheus", True, "file")
    assert [path.stem for path in DASHBOARDS] == ["elias-cases", "elias-nodes", "elias-overview", "elias-tiers"]
