"""What compose and the chart start listens on loopback or within the cluster, or asks who is there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.runtime import credentials
from federation.settings import Settings, load
from managers.uim.api.guard import OPEN

from .chart import CASES, pods, settings_in
from .commands import DEPLOY, every, parsed, started

COMPOSE = DEPLOY / "compose"
LOOPBACK = "127.0.0.1:"


def asks_who_is_there(settings: Settings) -> bool:
    """At the API: HTTPS, and a token for all but the sign-in and the word that it lives. Between nodes: TLS by an
    authority of their own, and a token."""
    assert {"/healthz", "/login", "/login/oidc", "/login/oidc/done", "/v1/login"} == OPEN
    return settings.listen.tls


def services(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((COMPOSE / f"{name}.yaml").read_text())["services"]
    return found


def test_compose_opens_two_ports_on_loopback_and_both_ask_who_is_there(composed: Path) -> None:
    found = services("compose")
    ports = {name: one["ports"] for name, one in found.items() if "ports" in one}
    assert ports.keys() == {"elias", "grafana"}
    assert all(port.startswith(LOOPBACK) for one in ports.values() for port in one)
    assert not any(one.keys() & {"network_mode", "links", "external_links"} for one in found.values())
    assert asks_who_is_there(load(composed / "secrets" / "elias.yaml"))
    grafana = found["grafana"]["environment"]
    assert (grafana["GF_AUTH_ANONYMOUS_ENABLED"], grafana["GF_USERS_ALLOW_SIGN_UP"]) == ("false", "false")
    assert grafana["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana-password"
    assert found["grafana"]["secrets"] == ["grafana-password"]


def test_in_compose_what_asks_nobody_is_in_a_network_that_ends_there() -> None:
    networks = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["networks"]
    found = services("compose")
    for name in found.keys() - {"elias", "grafana"}:
        assert all(networks[network] == {"internal": True} for network in found[name]["networks"]), name
    assert {name for name, one in found.items() if "data" in one["networks"]} == {"postgres", "redis", "elias"}
    assert found["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres-password"
    assert found["redis"]["command"] == ["redis-server", "/run/secrets/redis.conf"]
    assert not any("TRUST" in str(one).upper().replace("TRUSTED", "") for one in every(found, "environment"))


def test_on_several_machines_nodes_ask_for_certificates_and_the_api_stays_on_loopback(tmp_path: Path) -> None:
    """With settings that say nothing of it, which is how the page shows them."""
    found = services("machines")
    assert all(one["network_mode"] == "host" and "ports" not in one for one in found.values())
    assert Settings().listen.loopback
    name, options = parsed(*started(tmp_path, *found["head"]["command"]))
    assert (name, options["head"], options["tls_"]) == ("up", True, True)
    (tmp_path / "node").mkdir()
    words = started(
        tmp_path / "node", *(word.replace("${ELIAS_HEAD:-}", "127.0.0.1") for word in found["node"]["command"])
    )
    assert parsed(*words)[0] == "join"


@pytest.mark.parametrize("case", CASES)
def test_the_chart_opens_nothing_to_the_outside(rendered: dict[str, list[dict[str, Any]]], case: str) -> None:
    kinds = {one["kind"] for one in rendered[case]}
    assert kinds <= {
        *("Secret", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy", "Service"),
        *("StatefulSet", "PersistentVolumeClaim", "RayCluster"),
    }
    assert {one["spec"]["type"] for one in rendered[case] if one["kind"] == "Service"} == {"ClusterIP"}
    for key in (
        "hostNetwork",
        "hostPort",
        "hostPID",
        "hostIPC",
        "nodePort",
        "externalIPs",
        "hostPath",
        "loadBalancerIP",
    ):
        assert list(every(rendered[case], key)) == [], key
    assert set(every(rendered[case], "serviceType")) <= {"ClusterIP"}
    ports = {port["containerPort"] for found in pods(rendered[case]) for port in next(every(found, "ports"), ())}
    assert ports == {8600, 6380}


@pytest.mark.parametrize("case", [name for name in CASES if not CASES[name].get("existingSecret")])
def test_what_listens_in_the_cluster_asks_who_is_there(
    rendered: dict[str, list[dict[str, Any]]], case: str, tmp_path: Path
) -> None:
    settings = settings_in(rendered[case], tmp_path)
    assert asks_who_is_there(settings)
    assert settings.ray.tls
    assert credentials.environment(tmp_path)["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize("case", CASES)
def test_the_policy_lets_in_pods_of_this_release_and_others_to_the_api_alone(
    rendered: dict[str, list[dict[str, Any]]], case: str
) -> None:
    (policy,) = [one["spec"] for one in rendered[case] if one["kind"] == "NetworkPolicy"]
    assert policy["policyTypes"] == ["Ingress"]
    own, others = policy["ingress"]
    assert own == {"from": [{"podSelector": policy["podSelector"]}]}
    assert others["ports"] == [{"port": 8600}]
    assert not any("ipBlock" in peer for peer in others["from"])
