"""Whether ELIAS lives, whether it can work, and its figures for Prometheus."""

import asyncio
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.clock import SECOND
from federation.errors import EliasError, Temporary
from managers.uim import access
from managers.uim.api import case_figures, cluster, context
from managers.uim.api.context import Context

router = APIRouter(tags=["health"])
_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# What the processes report in `health`, and what it is called outside.
_COUNTERS = {
    "cpu_s": ("elias_cpu_seconds", "CPU time of the process"),
    "events": ("elias_events", "events decided"),
    "commits": ("elias_commits", "commits to the ledger"),
}
_GAUGES = {
    "rss": ("elias_resident_bytes", "memory of the process"),
    "waiting": ("elias_queue", "requests that wait in the process"),
    "cases": ("elias_open_cases", "decisions that wait for a person"),
    "records": ("elias_ledger_records", "records in the ledger"),
    "epoch": ("elias_ledger_epoch", "epoch of the appender"),
    "incarnation": ("elias_incarnation", "how often this writer registered"),
}
_ENGINES = {
    "answered": "batches that the engine answered",
    "failed": "batches that it did not answer in time",
    "failed_over": "batches that it answered after another had failed",
}
_NODE = {
    "cpu": ("elias_node_cpu_percent", "CPU in use"),
    "memory": ("elias_node_memory_percent", "memory in use"),
    "disk": ("elias_node_disk_percent", "disk in use"),
    "gpu": ("elias_node_gpu_percent", "mean load of its GPUs"),
}


class Health(BaseModel):
    status: str


class Ready(BaseModel):
    status: str
    ledger_age: float


@router.get("/healthz", summary="This process answers (no token needed)")
async def healthz() -> Health:
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="All managers answer and the ledger takes commits",
    dependencies=[access.needs(access.Scope.READ)],
)
async def readyz(request: Request) -> Ready:
    here = context.of(request)
    answers = await asyncio.gather(*(_pings(here, child) for child in here.children))
    away = [child for child, answered in zip(here.children, answers, strict=True) if not answered]
    if away:
        raise Temporary(f"{', '.join(away)} did not answer")
    # Time passing is itself on record, so a ledger without a recent commit takes none.
    age = (here.clock.now() - (await asyncio.to_thread(here.store.head)).time) / SECOND
    if age > 3 * here.settings.ledger.tick + 1:
        raise Temporary(f"the last commit to the ledger was {age:.0f} s ago")
    return Ready(status="ready", ledger_age=round(age, 3))


@router.get(
    "/metrics",
    summary="Figures of all processes, for Prometheus",
    response_class=Response,
    dependencies=[access.needs(access.Scope.READ)],
)
async def metrics(request: Request) -> Response:
    here = context.of(request)
    healths = await _healths(here)
    try:
        nodes = await cluster.all_nodes(here)
    except EliasError:
        nodes = []
    registry = CollectorRegistry()
    registry.register(_Federation(healths, nodes, list(case_figures.families(here.book(), here.clock.now()))))
    return Response(generate_latest(registry) + generate_latest(here.registry), media_type=_TYPE)


async def _healths(here: Context) -> dict[str, dict[str, Any] | None]:
    """What every process says of itself, node agents too where the root supervisor tells of them; None: no answer."""
    try:
        found: dict[str, dict[str, Any] | None] = {m.name: m.health or None for m in await cluster.tree(here) if m.pid}
    except EliasError:
        found = dict(
            zip(here.children, await asyncio.gather(*(cluster.health(here, c) for c in here.children)), strict=True)
        )
    return dict.fromkeys(here.children) | found


async def _pings(here: Context, child: str) -> bool:
    try:
        await here.link.call(child, "ping", patience=2.0)
    except EliasError:
        return False
    return True


class _Federation(Collector):
    def __init__(
        self, healths: dict[str, dict[str, Any] | None], nodes: list[dict[str, Any]], cases: list[Metric]
    ) -> None:
        self._healths = healths
        self._nodes = nodes
        self._cases = cases

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("elias_up", "whether the process answers", labels=["component"])
        for name, health in self._healths.items():
            up.add_metric([name], float(health is not None))
        yield up
        for key, (name, doc) in _COUNTERS.items():
            yield self._component(key, CounterMetricFamily(name, doc, labels=["component"]))
        for key, (name, doc) in _GAUGES.items():
            yield self._component(key, GaugeMetricFamily(name, doc, labels=["component"]))
        refused = GaugeMetricFamily("elias_bundle_refused", "the newest bundle is not used here", labels=["component"])
        for name, health in self._healths.items():
            if health is not None and "bundle_refused" in health:
                refused.add_metric([name], float(health["bundle_refused"] is not None))
        yield refused
        yield from self._answers()
        yield from self._trials()
        yield from self._engines()
        yield from self._advisors()
        yield from self._cases
        for key, (name, doc) in _NODE.items():
            family = GaugeMetricFamily(name, doc, labels=["node"])
            for node in self._nodes:
                value = node.get("report", {}).get(key)
                if value is not None:
                    family.add_metric([str(node.get("name", ""))], float(value))
            yield family

    def _answers(self) -> Iterator[Metric]:
        """Who decided, how sure the policy was, and how its answers stood up to checks."""
        answered = CounterMetricFamily("elias_decisions", "decisions answered", labels=["point", "tier"])
        sure = HistogramMetricFamily("elias_policy_confidence", "that the policy's choice is right", labels=["point"])
        stages = HistogramMetricFamily("elias_policy_seconds", "of a consultation, by stage", labels=["stage"])
        checked = GaugeMetricFamily(
            "elias_policy_checked", "answers of the policy that a person checked", labels=["point"]
        )
        wrong = GaugeMetricFamily(
            "elias_policy_wrong", "of those, that the person answered otherwise", labels=["point"]
        )
        broken = GaugeMetricFamily(
            "elias_policy_broken", "1: so many were wrong that it may not decide", labels=["point"]
        )
        for health in self._healths.values():
            figures = (health or {}).get("figures", {})
            for point, tier, count in figures.get("answered", ()):
                answered.add_metric([point, tier], count)
            for point, histogram in figures.get("confidence", {}).items():
                _add(sure, [point], histogram)
            for point, audit in figures.get("audits", {}).items():
                checked.add_metric([point], audit["checked"])
                wrong.add_metric([point], audit["wrong"])
                broken.add_metric([point], float(audit["broken"]))
        consulted = [f["figures"]["consulted"] for f in self._healths.values() if f and "figures" in f]
        if consulted:
            _add(stages, ["whole"], _sum(consulted))
        for stage, histogram in ((self._healths.get("policy") or {}).get("stages", {})).items():
            _add(stages, [stage], histogram)
        yield from (answered, sure, stages, checked, wrong, broken)

    def _trials(self) -> Iterator[Metric]:
        """Challengers, and what is explored."""
        share = GaugeMetricFamily(
            "elias_trial_share", "of the units: the challenger's, by the stage of its trial", labels=["point", "stage"]
        )
        explored = GaugeMetricFamily(
            "elias_policy_explored_day", "answers of the last day that were explored", labels=["point"]
        )
        dropped = CounterMetricFamily(
            "elias_shadow_dropped", "questions that a challenger in the shadow was not asked", labels=["component"]
        )
        for name, health in self._healths.items():
            figures = (health or {}).get("figures", {})
            for point, (stage, part) in figures.get("trials", {}).items():
                share.add_metric([point, stage], part)
            for point, count in figures.get("explored", {}).items():
                explored.add_metric([point], count)
            if "shadows_dropped" in figures:
                dropped.add_metric([name], figures["shadows_dropped"])
        stood_in = CounterMetricFamily("elias_policy_stood_in", "batches that another policy answered than was named")
        if "stood_in" in (self._healths.get("policy") or {}):
            stood_in.add_metric([], (self._healths.get("policy") or {})["stood_in"])
        yield from (share, explored, dropped, stood_in)

    def _engines(self) -> Iterator[Metric]:
        health = self._healths.get("policy") or {}
        for key, doc in _ENGINES.items():
            family = CounterMetricFamily(f"elias_policy_{key}", doc, labels=["engine"])
            for engine, count in health.get(key, {}).items():
                family.add_metric([engine], count)
            yield family
        breaker = GaugeMetricFamily("elias_policy_breaker_open", "1: the engine is left alone", labels=["engine"])
        for engine in health.get("engines", ()):
            breaker.add_metric([engine["engine"]], float(engine["state"] == "open"))
        yield breaker
        lost = CounterMetricFamily("elias_policy_lost", "batches that no engine answered in time")
        if "lost" in health:
            lost.add_metric([], health["lost"])
        yield lost

    def _advisors(self) -> Iterator[Metric]:
        health = self._healths.get("advisor")
        if health is None:
            return
        today = health["today"]
        for name, doc, value in (
            ("calls", "calls to advisors on this day (UTC)", today["calls"]),
            ("calls_most", "calls to advisors that a day may bring", today["calls_most"]),
            ("dollars", "what advisors cost on this day (UTC)", today["cost"]),
            ("dollars_most", "what advisors may cost a day", today["cost_most"]),
            ("waiting", "questions to advisors under way", health["waiting"]),
        ):
            yield GaugeMetricFamily(f"elias_advisor_{name}", doc, value=value)
        answered = CounterMetricFamily("elias_advisor_answered", "questions that it answered", labels=["model"])
        failed = CounterMetricFamily("elias_advisor_failed", "calls that brought no answer", labels=["model"])
        breaker = GaugeMetricFamily("elias_advisor_breaker_open", "1: the advisor is left alone", labels=["model"])
        for one in health["advisors"]:
            answered.add_metric([one["model"]], one["answered"])
            failed.add_metric([one["model"]], one["failed"])
            breaker.add_metric([one["model"]], float(one["state"] == "open"))
        seconds = HistogramMetricFamily("elias_advisor_seconds", "until the advice", labels=[])
        _add(seconds, [], health["seconds"])
        yield from (answered, failed, breaker, seconds)

    def _component(self, key: str, family: Any) -> Any:
        for name, health in self._healths.items():
            if health is not None and key in health:
                family.add_metric([name], float(health[key]))
        return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: dict[str, Any]) -> None:
    """Of a `federation.figures.Histogram` as plain data."""
    bounds = [*map(str, histogram["bounds"]), "+Inf"]
    family.add_metric(labels, list(zip(bounds, accumulate(histogram["counts"]), strict=True)), histogram["total"])


def _sum(histograms: list[dict[str, Any]]) -> dict[str, Any]:
    """Of histograms with the same bounds."""
    counts = [sum(column) for column in zip(*(h["counts"] for h in histograms), strict=True)]
    return {**histograms[0], "counts": counts, "total": sum(h["total"] for h in histograms)}


class Meter:
    """ASGI middleware: how long requests take, by route and status."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self._seconds = Histogram(
            "elias_http_request_seconds",
            "time until the answer is sent",
            ["method", "route", "status"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        started, status = loop.time(), 0

        async def metered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, metered)
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            self._seconds.labels(scope["method"], route, str(status)).observe(loop.time() - started)
