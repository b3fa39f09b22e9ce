"""The API as the commands use it, with the token of the installation and errors that say what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from federation.errors import Bug, Conflict, EliasError, Refused, Temporary
from managers.uim import tokens
from managers.uim.cli import signed_in
from managers.uim.cli.signed_in import Signed

if TYPE_CHECKING:
    import ssl

    from federation.settings import Settings

TIMEOUT = 30.0  # seconds; the API itself gives up after 10


class Unreachable(Temporary):
    """Nothing serves at the address of this installation."""

    def __init__(
        self, what: str, cure: str = "start it with `elias up`; `--config` names another installation"
    ) -> None:
        super().__init__(what)
        self.cure = cure


def settings_of(context: typer.Context) -> "Settings":
    """The settings, with what the flags of the last `elias up` made of them."""
    from managers.uim import tls  # noqa: PLC0415

    return tls.as_started(loaded(context))


def loaded(context: typer.Context) -> "Settings":
    """The settings as they are written."""
    from federation.settings import load  # noqa: PLC0415 - pydantic takes a quarter of a second

    config: Path | None = context.obj
    return load(config)


def url_of(settings: "Settings") -> str:
    """Where a browser on this machine finds the page."""
    host = settings.listen.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the address that we listen at, not one to bind
    scheme = "https" if settings.listen.tls else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.listen.port}"


class Api:
    def __init__(self, settings: "Settings", *, as_owner: bool = False, signed: Signed | None = None) -> None:
        """Asks as whoever has signed in with `elias login`: here, or elsewhere if nothing was ever started here.

        as_owner: by the token of the state folder in any case. signed: as these in any case, wherever they are.
        """
        self.url = url_of(settings)
        self._settings = settings
        self._signed = signed
        if signed is None and not as_owner:
            found = signed_in.read()
            if found is not None and (found.url == self.url or not (settings.state / "token").exists()):
                self._signed = found
        if self._signed is not None:
            self.url = self._signed.url

    def get(self, path: str, **params: Any) -> Any:
        return self._send("GET", path, params={k: v for k, v in params.items() if v not in (None, "")})

    def post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, json=body)

    def put(self, path: str, body: Any) -> Any:
        return self._send("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> Any:
        return self._send("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path)

    def stream(self, path: str) -> Iterator[str]:
        """The text of an answer as it comes."""
        import httpx  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

        try:
            # Without a time-out, for it ends with the job.
            with httpx.stream("GET", self.url + path, timeout=None, **self._sender()) as answer:  # noqa: S113
                if answer.status_code >= 400:
                    answer.read()
                    raise error_of(answer.status_code, answer.json())
                yield from answer.iter_text()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _send(self, method: str, path: str, **more: Any) -> Any:
        import httpx  # noqa: PLC0415

        try:
            answer = httpx.request(method, self.url + path, timeout=TIMEOUT, **self._sender(), **more)
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

    def _sender(self) -> dict[str, Any]:
        return {"headers": self._headers(), "verify": self._trust()}

    def _headers(self) -> dict[str, str]:
        if self._signed is not None:
            return {"Authorization": f"Bearer {self._signed.session}"} if self._signed.session else {}
        state = self._settings.state
        try:
            return {"Authorization": f"Bearer {tokens.read(state)}"}
        except Refused as error:
            if error.code == "no-token":
                raise self._away(f"ELIAS was never started for {state}") from None
            raise

    def _trust(self) -> "ssl.SSLContext | bool":
        """The certificate of this installation, or the one that was agreed on; else those that everybody trusts."""
        from managers.uim import tls  # noqa: PLC0415

        if self._signed is not None:
            return tls.pinned(self._signed.cert) if self._signed.cert else True
        listen = self._settings.listen
        if not listen.tls:
            return True
        cert = listen.cert or tls.ours(self._settings.state).cert
        try:
            return tls.pinned(cert.read_text())
        except OSError as error:
            raise Unreachable(f"the certificate cannot be read: {error}") from None

    def _unreachable(self, error: Exception) -> Unreachable:
        why = str(error) or type(error).__name__
        return self._away(f"nothing answers at {self.url} ({why})")

    def _away(self, what: str) -> Unreachable:
        """Nothing serves here, and that is as it should be on a node of a cluster."""
        from federation.runtime.session import Session  # noqa: PLC0415

        session = Session.of(self._settings.state)
        if self._signed is None and session is not None and not session.head and session.serves():
            host = session.address.rpartition(":")[0]
            return Unreachable("this machine is a node of a cluster, which its head serves", f"ask there, at {host}")
        return Unreachable(what)


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
