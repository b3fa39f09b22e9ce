"""The API as the commands use it, with the token of the installation and errors that say what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from federation.errors import Bug, Conflict, EliasError, Refused, Temporary
from managers.uim import tokens

if TYPE_CHECKING:
    from federation.settings import Settings

TIMEOUT = 30.0  # seconds; the API itself gives up after 10


class Unreachable(Temporary):
    """Nothing serves at the address of this installation."""


def settings_of(context: typer.Context) -> "Settings":
    from federation.settings import load  # noqa: PLC0415 - pydantic takes a quarter of a second

    config: Path | None = context.obj
    return load(config)


def url_of(settings: "Settings") -> str:
    """Where a browser on this machine finds the page."""
    host = settings.listen.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the address that we listen at, not one to bind
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.listen.port}"


class Api:
    def __init__(self, settings: "Settings") -> None:
        self.url = url_of(settings)
        self._state = settings.state

    def get(self, path: str, **params: Any) -> Any:
        return self._send("GET", path, params={k: v for k, v in params.items() if v not in (None, "")})

    def post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, json=body)

    def put(self, path: str, body: Any) -> Any:
        return self._send("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path)

    def stream(self, path: str) -> Iterator[str]:
        """The text of an answer as it comes."""
        import httpx  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

        try:
            with httpx.stream("GET", self.url + path, headers=self._headers(), timeout=None) as answer:  # noqa: S113 - it ends with the job
                if answer.status_code >= 400:
                    answer.read()
                    raise error_of(answer.status_code, answer.json())
                yield from answer.iter_text()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _send(self, method: str, path: str, **more: Any) -> Any:
        import httpx  # noqa: PLC0415

        try:
            answer = httpx.request(method, self.url + path, headers=self._headers(), timeout=TIMEOUT, **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if answer.status_code == 204:
            return None
        try:
            data = answer.json()
        except ValueError:
            cure = "set `listen.port` in elias.yaml, or end the other program"
            raise Refused("not-elias", "another program answers here", place=self.url, cure=cure) from None
        if answer.status_code >= 400:
            raise error_of(answer.status_code, data)
        return data

    def _headers(self) -> dict[str, str]:
        try:
            return {"Authorization": f"Bearer {tokens.read(self._state)}"}
        except Refused as error:
            if error.code == "no-token":
                raise Unreachable(f"ELIAS was never started for {self._state}") from None
            raise

    def _unreachable(self, error: Exception) -> Unreachable:
        why = str(error) or type(error).__name__
        return Unreachable(f"nothing answers at {self.url} ({why})")


def error_of(status: int, body: Any) -> EliasError:
    """The error that an envelope stands for."""
    error = body.get("error", {}) if isinstance(body, dict) else {}
    code, message = str(error.get("code", status)), str(error.get("message", f"HTTP status {status}"))
    if status == 503:
        return Temporary(message)
    if status >= 500:
        return Bug(message)
    kind = Conflict if status == 409 else Refused
    return kind(code, message, place=str(error.get("place", "")), cure=str(error.get("cure", "")))
