"""slurm, kubernetes: the nodes of clusters that somebody else runs, and that ELIAS watches."""

from typing import Any

import typer

from federation.errors import Refused
from managers.ufm.foreign.node import Source
from managers.ufm.kubernetes.node import KUBERNETES
from managers.ufm.slurm.node import SLURM
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, complain, emit, table


def add_to(app: typer.Typer) -> None:
    app.command()(slurm)
    app.command()(kubernetes)


def slurm(context: typer.Context, json_: Json = False) -> None:
    """The nodes of the Slurm cluster that ELIAS watches, as Slurm has them, and how many jobs run and wait there.

    Examples:

        elias slurm

        elias slurm --json | jq -r '.nodes[] | select(.status == "held") | .name + " " + .report.reason'
    """
    _show(context, SLURM, "partitions", json_=json_)


def kubernetes(context: typer.Context, json_: Json = False) -> None:
    """The nodes of the Kubernetes cluster that ELIAS watches, and how many pods run and wait there.

    Examples:

        elias kubernetes

        elias kubernetes --json | jq -r '.nodes[] | select(.status == "held") | .name + " " + .report.by'
    """
    _show(context, KUBERNETES, "labels", json_=json_)


def _show(context: typer.Context, source: Source[Any], labels: str, *, json_: bool) -> None:
    view, page = Api(settings_of(context)).get("/v1/managers/ufm"), f"docs/{source.name}.md"
    known = view[source.name]
    if known is None:
        cure = f"{page} says how to set it up; a change of the settings counts from the next start"
        raise Refused(f"no-{source.name}", f"ELIAS watches no {source.title} here", cure=cure)
    nodes = [node for node in view["nodes"] if node.get("source") == source.name]
    if json_:
        emit({**known, "nodes": nodes})
        return
    columns = ("node", "status", f"in {source.title}", "cores", "memory", "gpus", source.work, labels, "reason")
    table(columns, map(_row, nodes), f"no node of {source.title} was seen yet")
    if known["problem"]:
        words = f"{source.title} is out of sight: {known['problem']}"
        complain(words, cure=f"see {page}; what is shown is the last look")
    else:
        print(f"{known['running']} {source.work} run, {known['pending']} wait")


def _row(node: dict[str, Any]) -> list[str]:
    report = node["report"]
    return [
        node["name"],
        node["status"],
        report["state"],
        f"{node['cpus'] - node['cpu_free']:g} of {node['cpus']:g}",
        f"{node['memory'] / 2**30:.1f} GiB",
        f"{node['gpus'] - node['gpu_free']} of {node['gpus']} {node['model']}".rstrip() if node["gpus"] else "",
        f"{report['running']}",
        " ".join(report["labels"]),
        f"{report['by']}: {report['reason']}" if report["reason"] else "",
    ]
