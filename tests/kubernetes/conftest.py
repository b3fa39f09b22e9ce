"""An API server for each test: three nodes, and what runs there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.settings import KubernetesSettings
from tests.kubernetes.apiserver import ApiServer


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    """`a1` has GPUs and pods of all kinds, `a2` has room, `c1` is the control plane."""
    server = ApiServer(tmp_path)
    server.node("a1", gpus=8)
    server.node("a2")
    server.node("c1", labels={"node-role.kubernetes.io/control-plane": ""})
    server.pod("web-1", "a1", gpus=2)
    server.pod("agent-1", "a1", keeper="DaemonSet", app="agent", namespace="kube-system")
    server.pod("proxy-a1", "a1", keeper="Node", app="proxy", annotations={"kubernetes.io/config.mirror": "1"})
    server.pod("over", "a1", keeper="Job", app="over", phase="Succeeded")
    server.pod("web-2", "a2")
    with server.running():
        yield server


def settings_for(api: ApiServer, **more: Any) -> KubernetesSettings:
    known: dict[str, Any] = {"enabled": True, "kubeconfig": api.kubeconfig(), "every": 1.0, "timeout": 60.0, **more}
    return KubernetesSettings(**known)
