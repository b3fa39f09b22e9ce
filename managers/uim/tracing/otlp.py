"""Spans to OTLP over HTTP. The only module that knows OpenTelemetry; it is imported where traces are switched on."""

import socket
from collections.abc import Callable, Sequence
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from managers.uim.tracing.spans import Span

TIMEOUT = 10  # seconds for one export, tries included


def exporter(endpoint: str) -> Callable[[Sequence[Span]], bool]:
    """To a collector; OTEL_EXPORTER_OTLP_HEADERS of the environment are sent along."""
    to = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT)
    about = {"service.name": "elias", "service.version": version("elias"), "host.name": socket.gethostname()}
    resource, scope = Resource(about), InstrumentationScope("elias", version("elias"))

    def export(spans: Sequence[Span]) -> bool:
        return to.export([_readable(span, resource, scope) for span in spans]) is SpanExportResult.SUCCESS

    return export


def _readable(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace, span.id),
        parent=_context(span.trace, span.parent) if span.parent else None,
        resource=resource,
        attributes=span.attributes,
        events=[Event(moment.name, moment.attributes, moment.at) for moment in span.moments],
        kind=SpanKind.SERVER if span.served else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=scope,
    )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
