"""slurm: the nodes and jobs of a Slurm cluster that ELIAS watches."""

from typing import Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, complain, emit, table


def add_to(app: typer.Typer) -> None:
    app.command()(slurm)


def slurm(context: typer.Context, json_: Json = False) -> None:
    """The nodes of the Slurm cluster that ELIAS watches, as Slurm has them, and how many jobs run and wait there.

    Examples:

        elias slurm

        elias slurm --json | jq -r '.nodes[] | select(.status == "held") | .name + " " + .report.reason'
    """
    view = Api(settings_of(context)).get("/v1/managers/ufm")
    known = view["slurm"]
    if known is None:
        cure = "docs/slurm.md says how to set it up; a change of the settings counts from the next start"
        raise Refused("no-slurm", "ELIAS watches no Slurm here", cure=cure)
    nodes = [node for node in view["nodes"] if node.get("source") == "slurm"]
    if json_:
        emit({**known, "nodes": nodes})
        return
    columns = ("node", "status", "in Slurm", "cores", "memory", "gpus", "jobs", "partitions", "reason")
    table(columns, map(_row, nodes), "no node of Slurm was seen yet")
    if known["problem"]:
        complain(f"Slurm is out of sight: {known['problem']}", cure="see docs/slurm.md; what is shown is the last look")
    else:
        print(f"{known['running']} jobs run, {known['pending']} wait")


def _row(node: dict[str, Any]) -> list[str]:
    report = node["report"]
    return [
        node["name"],
        node["status"],
        report["state"],
        f"{node['cpus'] - node['cpu_free']} of {node['cpus']}",
        f"{node['memory'] / 2**30:.1f} GiB",
        f"{node['gpus'] - node['gpu_free']} of {node['gpus']} {node['model']}".rstrip() if node["gpus"] else "",
        f"{report['running']}",
        " ".join(report["labels"]),
        f"{report['by']}: {report['reason']}" if report["reason"] else "",
    ]
