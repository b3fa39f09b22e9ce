"""The Helm chart as Helm renders it; and the plain YAML of deploy/kubernetes, which is made so:

python -m tests.deploy.chart
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from federation.settings import Settings, load

from .commands import DEPLOY, every

CHART = DEPLOY / "chart"
KUBERNETES = DEPLOY / "kubernetes"
PLAIN = ("elias", "kuberay")


class RenderError(Exception):
    """What Helm says of a chart or its values."""


# Helm is a library in Go: it has a process of its own, for it brings threads and signal handlers along.
_HELM = """
import json, sys
from helm_python import Chart, HelmError, lint
path, values = sys.argv[1], json.load(sys.stdin)
try:
    with Chart.load(path) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="elias", namespace="elias")
    report = lint(path, values, strict=True)
except HelmError as error:
    sys.exit(str(error))
json.dump({"rendered": rendered, "lint": report}, sys.stdout)
"""


def _helm(values: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-c", _HELM, str(CHART)]
    ran = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RenderError(ran.stderr)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def templates(values: dict[str, Any]) -> dict[str, str]:
    """Text by the name of the template: release `elias` in the namespace `elias`. Raises RenderError."""
    rendered: dict[str, str] = _helm(values)["rendered"]
    return {Path(name).name: text for name, text in sorted(rendered.items())}


def lint(values: dict[str, Any]) -> dict[str, Any]:
    """Helm's report."""
    report: dict[str, Any] = _helm(values)["lint"]
    return report


def objects(texts: dict[str, str]) -> list[dict[str, Any]]:
    found = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text)]
    return [one for one in found if one]


def values_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / f"{name}.values.yaml").read_text())
    return found


def plain(name: str) -> str:
    """The plain YAML of these values."""
    head = f"# Made from deploy/chart with {name}.values.yaml: docs/deploy/kubernetes.md. Change those, not this.\n"
    texts = [
        text.strip().removeprefix("---").strip() for at, text in templates(values_of(name)).items() if at[-4:] != ".txt"
    ]
    lines = "\n---\n".join(text for text in texts if text).splitlines()
    return head + "---\n" + "".join(f"{line.rstrip()}\n" for line in lines)


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Their templates, in StatefulSets and in a RayCluster."""
    return [template for one in found for template in every(one, "template")]


def settings_in(found: list[dict[str, Any]], folder: Path) -> Settings:
    (secret,) = [one for one in found if one["kind"] == "Secret"]
    (folder / "elias.yaml").write_text(secret["stringData"]["elias.yaml"])
    return load(folder / "elias.yaml")


TAKING_TURNS = {
    "head": {"replicas": 3},
    "settings": {"ledger": {"url": "postgresql://elias:secret@db/elias"}, "telemetry": {"interval": "2s"}},
}
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    **{name: values_of(name) for name in PLAIN},
    "taking turns": TAKING_TURNS,
    "watching": {"settings": {"kubernetes": {"enabled": True}, "ray": {"cpus": 0}}},
    "draining": {
        "settings": {"kubernetes": {"enabled": True, "update": True, "evict": ["controlled"]}},
        "nodes": [{"name": "gpu", "replicas": 1}],
    },
    "all": {
        "image": {"repository": "registry.example/elias", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "existingSecret": "mine",
        "head": {"storageClass": "fast", "nodeSelector": {"role": "head"}, "labels": ["storage"]},
        "nodes": [
            {"name": "small", "replicas": 1, "storage": "1Gi", "storageClass": "fast", "nodeSelector": {"a": "b"}}
        ],
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
    },
}


if __name__ == "__main__":
    for one in PLAIN:
        (KUBERNETES / f"{one}.yaml").write_text(plain(one))
