"""POST /v1/events: the way in. A route of its own below FastAPI, for it carries 15,000 events a second."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from federation.replies import Rejected, Reply
from managers.uim.access import Needs, NeedsRoute, Scope
from managers.uim.api import context, envelope, intake
from managers.uim.api.lanes import Result

PATH = "/v1/events"
_encode = msgspec.json.Encoder().encode


class Decided(msgspec.Struct, omit_defaults=True, gc=False):
    """One event of a batch: the status that it would have had alone, with its decisions or its error."""

    status: int
    decisions: list[Reply] | None = None
    error: dict[str, Any] | None = None


async def post(request: Request) -> Response:
    request.scope["route"] = ROUTE  # for the metrics: FastAPI names only its own routes
    events, batch = intake.read(await request.body(), request.headers.get("content-type", ""), request.headers)
    results = await context.of(request).lanes.decide(events)
    return _batch(results) if batch else _single(results[0])


def _single(result: Result) -> Response:
    if isinstance(result, Rejected):
        return envelope.of_rejected(result)
    waiting = next((reply for reply in result if reply.status == "waiting"), None)
    headers = {"Location": f"/v1/cases/{waiting.id}"} if waiting else None
    return Response(_encode({"decisions": result}), 202 if waiting else 200, headers, "application/json")


def _batch(results: list[Result]) -> Response:
    """200 whatever came of its events: each has its own status. 503 when not one of them could be answered."""
    if all(isinstance(result, Rejected) and result.status == 503 for result in results):
        return _single(results[0])
    return Response(_encode({"results": [_decided(result) for result in results]}), 200, None, "application/json")


def _decided(result: Result) -> Decided:
    if isinstance(result, Rejected):
        return Decided(
            result.status, error=envelope.inner(result.code, result.message, place=result.place, cure=result.cure)
        )
    return Decided(202 if any(reply.status == "waiting" for reply in result) else 200, result)


ROUTE = NeedsRoute(PATH, post, Needs(Scope.EVENTS), "POST")


def describe(document: dict[str, Any]) -> None:
    """Adds this route to an OpenAPI document."""
    event, components = intake.schema()
    (reply,), more = msgspec.json.schema_components([Reply], ref_template="#/components/schemas/{name}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= components | more
    decisions = {"type": "array", "items": reply}
    error = {"$ref": "#/components/schemas/Error"}
    schemas["Decisions"] = {"type": "object", "required": ["decisions"], "properties": {"decisions": decisions}}
    schemas["Results"] = {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["status"],
                    "properties": {"status": {"type": "integer"}, "decisions": decisions, "error": error},
                },
            }
        },
    }
    events = {"type": "array", "items": event, "minItems": 1, "maxItems": intake.EVENTS}
    one, many = {"$ref": "#/components/schemas/Decisions"}, {"$ref": "#/components/schemas/Results"}
    envelope_ = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}}}
    document["paths"][PATH] = {
        "post": {
            "summary": "Decide events",
            "description": "CloudEvents 1.0: structured, batched, or binary (`ce-` headers, the data as the body).",
            "operationId": "post_events",
            "tags": ["events"],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"anyOf": [event, events]}},
                    "application/cloudevents+json": {"schema": event},
                    "application/cloudevents-batch+json": {"schema": events},
                },
            },
            "responses": {
                "200": {"description": "decided", "content": {"application/json": {"schema": {"anyOf": [one, many]}}}},
                "202": {"description": "a decision waits as a case", "content": {"application/json": {"schema": one}}},
                **{str(s): {"description": d, **envelope_} for s, d in _ERRORS.items()},
            },
        }
    }


_ERRORS = {
    400: "not JSON",
    401: "no token",
    403: "not from here",
    409: "the same id with another body",
    413: "too large",
    415: "not JSON by its Content-Type",
    422: "an event that cannot be decided",
    503: "the manager is away; send it again",
}
