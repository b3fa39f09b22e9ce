"""The one shape of every error: `{"error": {"code", "message", "place", "cure", "details"}}`."""

import logging
import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from federation.errors import Conflict, Corrupt, EliasError, Refused, Temporary
from federation.replies import Rejected
from managers.uim.access.throttle import TooSoon

RETRY_AFTER = "1"  # seconds
STATUS = {
    "media-type": 415,
    "too-large": 413,
    "bad-json": 400,
    "no-case": 404,
    "no-decision": 404,
    "no-job": 404,
    "no-manager": 404,
    "no-node": 404,
    "no-target": 404,
    "no-bundle": 404,
    "no-bundle-before": 404,
    "already-answered": 409,
    "no-account": 404,
    "no-token-id": 404,
    "no-session": 404,
    "account-exists": 409,
    "token": 401,
    "sign-in": 401,
    "forbidden": 403,
    "in-person": 403,
    "disabled": 403,
    "csrf": 403,
    "host": 403,
    "origin": 403,
    "blocked": 403,
}
_log = logging.getLogger(__name__)


class Error(BaseModel):
    """What is wrong. place: where in the request; cure: what to do about it."""

    code: str
    message: str
    place: str = ""
    cure: str = ""
    details: list[dict[str, Any]] = []


class Envelope(BaseModel):
    error: Error


class Json(Response):
    """A response that msgspec encodes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def error(
    status: int,
    code: str,
    message: str,
    *,
    place: str = "",
    cure: str = "",
    details: Iterable[dict[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Json:
    extra = dict(headers or {})
    if status == 503:
        extra["Retry-After"] = RETRY_AFTER
    return Json({"error": inner(code, message, place=place, cure=cure, details=details)}, status, extra)


def inner(
    code: str, message: str, *, place: str = "", cure: str = "", details: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {"code": code, "message": message, "place": place, "cure": cure, "details": list(details)}


def of_rejected(rejected: Rejected) -> Json:
    return error(rejected.status, rejected.code, rejected.message, place=rejected.place, cure=rejected.cure)


def of_elias(problem: EliasError) -> Json:
    if isinstance(problem, Refused):
        status = 409 if isinstance(problem, Conflict) else STATUS.get(problem.code, 422)
        headers = {"WWW-Authenticate": 'Bearer realm="elias"'} if status == 401 else {}
        if isinstance(problem, TooSoon):
            status, headers = 429, {"Retry-After": str(math.ceil(problem.wait))}
        return error(status, problem.code, problem.message, place=problem.place, cure=problem.cure, headers=headers)
    if isinstance(problem, Temporary):
        return error(503, "unavailable", str(problem), cure="send it again in a moment")
    if isinstance(problem, Corrupt):
        return error(500, "corrupt", str(problem), cure="`elias ledger verify` says how far the ledger is sound")
    return of_bug(problem)


def of_bug(problem: Exception) -> Json:
    _log.error("a bug in the API", exc_info=problem)
    cure = "please report it; the log of uim has the traceback"
    return error(500, "bug", f"{type(problem).__name__}: {problem}", cure=cure)


async def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return of_http(problem, request.url.path)


def of_http(problem: HTTPException, path: str) -> Json:
    cure = "`GET /v1/openapi.json` lists what there is" if problem.status_code in (404, 405) else ""
    code = HTTPStatus(problem.status_code).phrase.lower().replace(" ", "-")
    return error(problem.status_code, code, str(problem.detail), place=path, cure=cure, headers=problem.headers)


async def _invalid(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    details = [{"place": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in problem.errors()]
    message, place = details[0]["message"], details[0]["place"]
    cure = "`GET /v1/openapi.json` describes every request"
    return error(422, "invalid", message, place=place, cure=cure, details=details)


async def _bug(_: Request, problem: Exception) -> Response:
    return of_bug(problem)


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)
