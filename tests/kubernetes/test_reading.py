"""Objects of the Kubernetes API as ELIAS takes them."""

from typing import Any

import msgspec
import pytest

from managers.ufm.foreign.node import Status
from managers.ufm.kubernetes.node import MARK, KubeNode
from managers.ufm.kubernetes.objects import Node, Pod
from managers.ufm.kubernetes.quantity import quantity, requested
from managers.ufm.kubernetes.reading import node_of

DECISION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("4", 4), ("0.5", 0.5), (".5", 0.5), ("3920m", 3.92), ("100n", 1e-7), ("1e3", 1000), ("1E3", 1000),
        ("12E", 12e18), ("5M", 5e6), ("16Gi", 16 << 30), ("1.5Ki", 1536), ("128974848000m", 128974848), ("-1", -1),
    ],
)  # fmt: skip
def test_quantities(written: str, expected: float) -> None:
    assert quantity(written) == expected


@pytest.mark.parametrize("written", ["", "4 Gi", "four", "1ki", "1e", "1e3Gi", "0x10", "1" * 65, "NaN"])
def test_what_is_no_quantity(written: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(written)


def _runs(cpu: str, always: bool = False) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}} | ({"restartPolicy": "Always"} if always else {})


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        ({"containers": [_runs("1"), _runs("500m")]}, 1.5),
        ({"containers": [_runs("1")], "initContainers": [_runs("3"), _runs("2")]}, 3),
        ({"containers": [_runs("2")], "initContainers": [_runs("1", True), _runs("1")]}, 3),
        ({"containers": [_runs("1")], "initContainers": [_runs("1", True), _runs("3")]}, 4),
        ({"containers": [_runs("1")], "overhead": {"cpu": "250m"}}, 1.25),
        ({"containers": [_runs("1")], "resources": {"requests": {"cpu": "6"}}, "overhead": {"cpu": "1"}}, 7),
        ({"containers": [{}]}, 0),
    ],
)
def test_a_pod_holds_what_the_scheduler_keeps_for_it(spec: dict[str, Any], cores: float) -> None:
    assert requested(msgspec.convert({"spec": spec}, Pod)).get("cpu", 0) == cores


def node(
    *, ready: str | None = "True", cordoned: bool = False, mark: str = "", setter: str = "elias", **meta: Any
) -> KubeNode:
    fields = [{"manager": setter, "fieldsV1": {"f:spec": {"f:unschedulable": {}}}}] if cordoned and setter else []
    taints = meta.pop("taints", [])
    conditions = [{"type": "Ready", "status": ready, "reason": "Why", "message": "so"}] if ready else []
    conditions.append({"type": "DiskPressure", "status": "True"})
    found = {
        "metadata": {"name": "a1", "annotations": {MARK: mark} if mark else {}, "managedFields": fields, **meta},
        "spec": {"unschedulable": cordoned, "taints": taints},
        "status": {"allocatable": {"cpu": "7910m", "memory": "16Gi"}, "conditions": conditions},
    }
    return node_of(msgspec.convert(found, Node))


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_a_node_in_service_is_up_whether_it_answers_or_not(ready: str) -> None:
    found = node(ready=ready)
    assert (found.status, found.answers) == (Status.UP, ready == "True")
    assert found.state == ("Ready" if ready == "True" else "NotReady") + ",DiskPressure"


def test_a_node_that_has_never_said_how_it_is_does_not_answer() -> None:
    assert (node(ready=None).answers, node(ready=None).reason) == (False, "it has never said how it is")


def test_what_elias_cordoned_is_known_by_its_mark() -> None:
    found = node(cordoned=True, mark=DECISION)
    assert (found.status, found.reason) == (Status.DRAINED, f"elias {DECISION}")
    assert node(cordoned=True, mark=DECISION, setter="").status is Status.DRAINED  # an API that tells no managers


@pytest.mark.parametrize(
    ("mark", "setter"),
    [("", "kubectl-cordon"), ("", "elias"), ("mine", "elias"), (f"{DECISION} no", "elias"), (DECISION, "kubectl")],
)
def test_what_anybody_else_cordoned_is_held(mark: str, setter: str) -> None:
    found = node(cordoned=True, mark=mark, setter=setter)
    assert (found.status, found.by, found.reason == "cordoned") == (Status.HELD, setter, not mark or setter != "elias")


def test_a_mark_alone_is_no_cordon() -> None:
    assert node(mark=DECISION).status is Status.UP


@pytest.mark.parametrize(
    "away",
    [
        {"deletionTimestamp": "2026-01-02T03:04:05Z"},
        {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule", "value": "1"}]},
        {"taints": [{"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"}]},
    ],
)
def test_what_its_cluster_takes_away_is_left_alone(away: dict[str, Any]) -> None:
    assert node(cordoned=True, mark=DECISION, **away).status is Status.ASIDE
