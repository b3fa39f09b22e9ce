"""CloudEvents 1.0 as they come in over HTTP: structured, batched or binary, checked, and turned into events. Pure.

Source: CloudEvents 1.0.2, its JSON format and its HTTP protocol binding.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec

from federation.errors import Refused
from federation.records import Event
from federation.replies import Rejected

EVENTS = 1000  # of a batch
DATA = 64 << 10  # bytes of one event's data, as JSON
DEPTH = 8  # lists and objects inside one another in data

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_SIMPLE = frozenset({float, str, bool, type(None)})
_RFC3339 = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$"
_JSON = r"^application/([\w.+-]+\+)?json\s*(;.*)?$"
_INT64 = 1 << 63

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

# That a text is printable is checked by `_event`: as a pattern here it would take half of the time of an intake.
_PRINTED = {"pattern": _PRINTABLE}
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=256, extra_json_schema=_PRINTED)]


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """An event in CloudEvents 1.0. `time` is the sender's and decides nothing; extensions are accepted and not kept."""

    id: Words
    source: Words
    type: Words
    specversion: Literal["1.0"] = "1.0"
    subject: Annotated[str, msgspec.Meta(max_length=256, extra_json_schema=_PRINTED)] = ""
    time: Annotated[str, msgspec.Meta(max_length=40, pattern=_RFC3339)] | None = None
    datacontenttype: Annotated[str, msgspec.Meta(max_length=100, pattern=_JSON)] = "application/json"
    data: dict[str, Any] = {}
    data_base64: None = None


class Intake(NamedTuple):
    """events: in the order they were sent, or what is wrong with them. batch: whether they came as a list."""

    events: list[Event | Rejected]
    batch: bool


_one = msgspec.json.Decoder(CloudEvent)
_many = msgspec.json.Decoder(list[CloudEvent])
_raw = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, Any])


def read(body: bytes, content_type: str, headers: Mapping[str, str]) -> Intake:
    """The events of a request; a bad one of a batch is refused in its place. Raises Refused if nothing can be read."""
    kind = content_type.partition(";")[0].strip().lower()
    if "ce-id" in headers or "ce-specversion" in headers:
        return Intake([_binary(body, kind, headers)], False)
    if kind not in ("", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"):
        raise Refused(
            "media-type",
            f"`{kind}` is not understood here",
            place="Content-Type",
            cure="send application/cloudevents+json, application/cloudevents-batch+json or application/json",
        )
    batch = body.lstrip()[:1] == b"["
    if batch != (kind == "application/cloudevents-batch+json") and kind.startswith("application/cloudevents"):
        message = f"the body is {'a list' if batch else 'not a list'}, which `{kind}` does not allow"
        raise Refused("bad-event", message, place="body", cure="send the Content-Type that fits the body")
    return Intake(_batch(body) if batch else [_single(body)], batch)


def _batch(body: bytes) -> list[Event | Rejected]:
    try:
        posted = _many_or_each(body)
    except _UNREADABLE as error:
        raise _malformed(error) from None
    if not 1 <= len(posted) <= EVENTS:
        cure = f"send 1 to {EVENTS} at a time"
        raise Refused("batch-size", f"{len(posted)} events in one batch", place="body", cure=cure)
    weigh = len(body) > DATA
    return [one if isinstance(one, Rejected) else _event(one, f"[{i}]", weigh) for i, one in enumerate(posted)]


def _many_or_each(body: bytes) -> list[CloudEvent | Rejected]:
    """All at once; one by one where something is wrong with one of them."""
    try:
        return list(_many.decode(body))
    except msgspec.ValidationError:
        return [_each(raw, f"[{i}]") for i, raw in enumerate(_raw.decode(body))]


def _each(raw: msgspec.Raw, place: str) -> CloudEvent | Rejected:
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        return _invalid(error, place)


def _single(body: bytes) -> Event | Rejected:
    try:
        posted = _one.decode(body)
    except msgspec.ValidationError as error:
        return _invalid(error, "")
    except _UNREADABLE as error:
        raise _malformed(error) from None
    return _event(posted, "", len(body) > DATA)


def _binary(body: bytes, kind: str, headers: Mapping[str, str]) -> Event | Rejected:
    """Attributes in `ce-` headers (percent-encoded, section 3.1.3.2 of the binding), data in the body."""
    if kind not in ("", "application/json"):
        message = f"data of type `{kind}` is not understood here"
        raise Refused("media-type", message, place="Content-Type", cure="send JSON")
    attributes: dict[str, Any] = {n[3:]: unquote(v) for n, v in headers.items() if n.startswith("ce-")}
    for name in ("data", "data_base64", "datacontenttype"):
        attributes.pop(name, None)
    try:
        attributes["data"] = _object.decode(body) if body.strip() else {}
        posted = msgspec.convert(attributes, CloudEvent)
    except msgspec.ValidationError as error:
        return _invalid(error, "")
    except _UNREADABLE as error:
        raise _malformed(error) from None
    return _event(posted, "", len(body) > DATA)


def _event(posted: CloudEvent, place: str, weigh: bool) -> Event | Rejected:
    data = posted.data
    if not (posted.id + posted.source + posted.type + posted.subject).isprintable():
        for name in ("id", "source", "type", "subject"):
            if not re.fullmatch(_PRINTABLE, getattr(posted, name)):
                cure = "docs/api.md describes an event"
                return Rejected(422, "bad-event", "a control character in a name", f"body{place}.{name}", cure)
    try:
        for value in data.values():
            if type(value) not in _SIMPLE:
                _check(value, DEPTH)
        if weigh and len(msgspec.json.encode(data)) > DATA:
            raise ValueError(f"data has more than {DATA >> 10} KiB")
    except ValueError as error:
        cure = "send what the decision needs, and a link to the rest"
        return Rejected(422, "bad-event", str(error), f"body{place}.data", cure)
    return Event(posted.id, posted.source, posted.type, posted.subject, posted.time, data)


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is int and not -_INT64 <= value < _INT64:
        raise ValueError("a whole number in data is beyond 64 bits")
    if kind is dict or kind is list:
        if depth == 1:
            raise ValueError(f"data is nested more than {DEPTH} deep")
        for item in value.values() if kind is dict else value:
            _check(item, depth - 1)


def _invalid(error: msgspec.ValidationError, place: str) -> Rejected:
    what, _, where = str(error).partition(" - at `$")
    return Rejected(422, "bad-event", what, f"body{place}{where.rstrip('`')}", "docs/api.md describes an event")


def _malformed(error: Exception) -> Refused:
    what = "nested too deep" if isinstance(error, RecursionError) else str(error)
    cure = "send one JSON object, or a list of them"
    return Refused("bad-json", f"the body is not JSON: {what}", place="body", cure=cure)


def schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """JSON Schema of an event, and of what it refers to by name (`#/components/schemas/...`)."""
    (reference,), components = msgspec.json.schema_components([CloudEvent], ref_template="#/components/schemas/{name}")
    return reference, json.loads(json.dumps(components))
