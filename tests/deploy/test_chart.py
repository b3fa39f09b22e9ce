"""The Helm chart, rendered by Helm itself, and the plain YAML: by Kubernetes' own schemas, and by what they say."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from .chart import (
    CASES,
    CHART,
    KUBERNETES,
    PLAIN,
    TAKING_TURNS,
    RenderError,
    lint,
    plain,
    pods,
    settings_in,
    templates,
    values_of,
)
from .commands import every, parsed, started

# The oldest Kubernetes that the chart names, and a late one.
VERSIONS = ("1.27", "1.36")


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_wrong(case: str) -> None:
    report = lint(CASES[case])
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_one_of_kubernetes(rendered: dict[str, list[dict[str, Any]]], case: str, version: str) -> None:
    """Strictly: a field that there is not is an error. KubeRay's own object is not among Kubernetes'; its pods are."""
    for one in rendered[case]:
        if one["kind"] != "RayCluster":
            kubernetes_validate.validate(one, version, strict=True)
    for template in pods(rendered[case]):
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
        kubernetes_validate.validate(pod, version, strict=True)


def test_a_field_that_there_is_not_would_be_noticed(rendered: dict[str, list[dict[str, Any]]]) -> None:
    (policy,) = [one for one in rendered["default"] if one["kind"] == "NetworkPolicy"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(policy | {"spec": policy["spec"] | {"ingres": []}}, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", PLAIN)
def test_the_plain_yaml_is_what_the_chart_makes(name: str) -> None:
    """`python -m tests.deploy.chart` writes it anew."""
    assert (KUBERNETES / f"{name}.yaml").read_text() == plain(name)


@pytest.mark.parametrize("case", CASES)
def test_a_pod_keeps_to_the_restricted_standard(rendered: dict[str, list[dict[str, Any]]], case: str) -> None:
    assert pods(rendered[case])
    for template in pods(rendered[case]):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(volume.keys() & {"secret", "emptyDir", "persistentVolumeClaim"} for volume in spec["volumes"])
        for container in spec["containers"]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
            assert context["capabilities"] == {"drop": ["ALL"]}
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claimed = {
                claim["metadata"]["name"]
                for one in rendered[case]
                for claim in next(every(one, "volumeClaimTemplates"), ())
            }
            assert mounted <= {volume["name"] for volume in spec["volumes"]} | claimed
    enforced = yaml.safe_load((KUBERNETES / "namespace.yaml").read_text())["metadata"]["labels"]
    assert enforced == {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.mark.parametrize("case", CASES)
def test_rights_in_kubernetes_are_those_that_the_settings_need_and_the_head_alone_has_them(
    rendered: dict[str, list[dict[str, Any]]], case: str
) -> None:
    wanted = {"watching": {"nodes list", "nodes watch", "pods list", "pods watch"}}
    wanted["draining"] = wanted["watching"] | {"nodes get", "nodes patch", "pods/eviction create"}
    rules = [rule for one in rendered[case] if one["kind"] == "ClusterRole" for rule in one["rules"]]
    given = {f"{resource} {verb}" for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert given == wanted.get(case, set())
    for template in pods(rendered[case]):
        head = template["metadata"]["labels"]["elias.part"] == "head"
        assert template["spec"]["automountServiceAccountToken"] is (head and case in wanted)
    assert [one["automountServiceAccountToken"] for one in rendered[case] if one["kind"] == "ServiceAccount"] == [False]
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    told = re.findall(r"^    resources: \[(.+)\]\n    verbs: \[(.+)\]$", page, re.MULTILINE)
    needed = {
        f"{one} {verb}" for resources, verbs in told for one in resources.split(", ") for verb in verbs.split(", ")
    }
    assert needed == wanted["draining"]


@pytest.mark.parametrize("case", CASES)
def test_the_services_and_the_policy_select_the_pods(rendered: dict[str, list[dict[str, Any]]], case: str) -> None:
    labels = [template["metadata"]["labels"] for template in pods(rendered[case])]
    services = {one["metadata"]["name"]: one["spec"] for one in rendered[case] if one["kind"] == "Service"}
    for name in ("elias", "elias-head"):
        selected = [one["elias.part"] for one in labels if services[name]["selector"].items() <= one.items()]
        assert selected == ["head"]
    (policy,) = [one["spec"] for one in rendered[case] if one["kind"] == "NetworkPolicy"]
    assert all(policy["podSelector"]["matchLabels"].items() <= one.items() for one in labels)
    for one in rendered[case]:
        if one["kind"] == "StatefulSet":
            assert one["spec"]["serviceName"] in services
            own = one["spec"]["template"]["metadata"]["labels"].items()
            assert one["spec"]["selector"]["matchLabels"].items() <= own


@pytest.mark.parametrize("case", CASES)
def test_pods_start_commands_that_there_are(
    rendered: dict[str, list[dict[str, Any]]], case: str, tmp_path: Path
) -> None:
    services = {one["metadata"]["name"] for one in rendered[case] if one["kind"] == "Service"}
    names = set[str]()
    for number, template in enumerate(pods(rendered[case])):
        (container,) = template["spec"]["containers"]
        words: list[str] = container["args"]
        if words[0] == "node":
            assert words[1] in services
            words = [words[0], "127.0.0.1", *words[2:]]
        (tmp_path / str(number)).mkdir()
        names.add(parsed(*started(tmp_path / str(number), *words))[0])
        for hook in every(container, "preStop"):
            assert parsed(*hook["exec"]["command"][1:])[0] == "leave"
    assert names == ({"up", "join"} if CASES[case].get("nodes") else {"up"})


def test_settings_of_the_values_lie_over_those_that_a_pod_needs(
    rendered: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    settings = settings_in(rendered["taking turns"], tmp_path)
    assert settings.ledger.url == "postgresql://elias:secret@db/elias"
    assert settings.telemetry.interval == 2
    assert str(settings.state) == "/var/lib/elias/state"
    assert settings.listen.hosts == ("elias", "elias.elias", "elias.elias.svc")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": {"replicas": 3}}, "settings.ledger.url"),
        (TAKING_TURNS | {"kuberay": {"enabled": True}}, "a RayCluster has one head"),
        ({"image": {"repositry": "x"}}, "repositry"),
        ({"nodes": [{"name": "head", "replicas": 1}]}, "/nodes/0/name"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
    ],
    ids=["ledger", "kuberay", "typo", "name", "digest"],
)
def test_values_that_cannot_be_right_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RenderError, match=message):
        templates(values)


def test_a_raycluster_leaves_the_start_of_ray_to_elias(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """And defines its probes: where there is none KubeRay puts in its own, which ask a Ray that is set up otherwise."""
    (ray,) = [one for one in rendered["kuberay"] if one["kind"] == "RayCluster"]
    assert ray["apiVersion"] == "ray.io/v1"
    assert ray["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    assert ray["spec"].keys() == {"rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"}
    assert ray["spec"]["enableInTreeAutoscaling"] is False
    assert all({"livenessProbe", "readinessProbe"} <= p["spec"]["containers"][0].keys() for p in pods([ray]))
    (group,) = ray["spec"]["workerGroupSpecs"]
    assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] == 2
    assert not [one for one in rendered["kuberay"] if one["kind"] == "StatefulSet"]


def test_heads_that_stand_by_hold_up_no_update(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """They are never ready, so a rolling update would wait for the first of them for good."""

    def strategy(case: str) -> str:
        (head,) = [
            one for one in rendered[case] if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "elias-head"
        ]
        assert head["spec"]["podManagementPolicy"] == "Parallel"
        found: str = head["spec"]["updateStrategy"]["type"]
        return found

    assert (strategy("default"), strategy("taking turns")) == ("RollingUpdate", "OnDelete")


def test_what_is_said_after_an_installation_names_commands_that_there_are() -> None:
    for name in PLAIN:
        notes = templates(values_of(name))["NOTES.txt"]
        words = [line.partition(" -- elias ")[2].split() for line in notes.splitlines() if " -- elias " in line]
        assert [parsed(*one)[0] for one in words] == ["status", "token", "invite"]


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project
