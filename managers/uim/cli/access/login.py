"""login, logout, whoami."""

import getpass
from typing import Annotated

import typer

from federation.errors import Refused
from managers.uim.cli import signed_in
from managers.uim.cli.access import ask
from managers.uim.cli.client import Api, settings_of, url_of
from managers.uim.cli.output import Json, emit, say
from managers.uim.cli.signed_in import Signed


def add_to(app: typer.Typer) -> None:
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


def login(
    context: typer.Context,
    url: Annotated[
        str, typer.Argument(help="Where ELIAS serves; by default on this machine.", show_default=False)
    ] = "",
    name: Annotated[
        str, typer.Option("--name", "-n", help="Of your account; by default your user on this machine.")
    ] = "",
    fingerprint: Annotated[
        str, typer.Option(help="SHA-256 of the certificate, as `elias up --tls` shows it: trust just that one.")
    ] = "",
) -> None:
    """Sign in, so that the commands after this one act as you, from any machine.

    It asks for the password, or reads it from standard input, and keeps a session in `~/.config/elias` until you sign
    out or have not used it for half a day. On the machine of ELIAS no sign-in is needed: its owner acts by the token
    of the state folder.

    Examples:

        elias login https://elias.example:8600

        elias login https://10.0.0.7:8600 --name ada --fingerprint 7D:0A:...
    """
    settings = settings_of(context)
    url = (url or url_of(settings)).rstrip("/")
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        cure = "write https://HOST:PORT; plain http is for this machine alone"
        raise Refused("url", f"`{url}` is no address to send a password to", place="URL", cure=cure)
    cert = _certificate(url, fingerprint) if fingerprint else ""
    if not cert and url == url_of(settings) and settings.listen.tls:
        from managers.uim import tls  # noqa: PLC0415

        pair = tls.serving(settings)
        cert = pair.cert.read_text() if pair else ""
    name = name or getpass.getuser()
    body = {"name": name, "password": ask.password(f"Password of {name}")}
    found = Api(settings, signed=Signed(url, name, "", cert)).post("/v1/login", body)
    signed_in.write(Signed(url, found["name"], found["session"], cert))
    say(f"signed in as {found['name']} at {url}; `elias logout` ends it")


def logout(context: typer.Context) -> None:
    """Sign out: end the session that `elias login` began.

    Example:

        elias logout
    """
    signed = signed_in.read()
    if signed is None:
        say("nobody is signed in here")
        return
    try:
        Api(settings_of(context), signed=signed).post("/v1/logout", None)
    except Refused as error:
        if error.code != "token":  # it has ended by itself
            raise
    signed_in.remove()
    say(f"signed out at {signed.url}")


def whoami(context: typer.Context, json_: Json = False) -> None:
    """As whom the commands act here, and what they may do.

    Example:

        elias whoami
    """
    api = Api(settings_of(context))
    found = api.get("/v1/me")
    if json_:
        emit(found | {"url": api.url})
        return
    print(f"{found['name']}, {found['role']} at {api.url} by {found['via']}; may: {', '.join(found['scopes'])}")


def _certificate(url: str, fingerprint: str) -> str:
    """The certificate that is served there, if it has this fingerprint."""
    import ssl  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415

    from managers.uim import tls  # noqa: PLC0415

    parts = urlsplit(url)
    try:
        cert = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=10)
    except (OSError, ValueError) as error:
        raise Refused("no-certificate", f"no certificate comes from {url}: {error}", cure="see the address") from None
    found = tls.fingerprint(cert)
    if found.replace(":", "") != fingerprint.replace(":", "").upper():
        cure = "compare it with what `elias up --tls` shows there; do not sign in before they are the same"
        raise Refused("fingerprint", f"the certificate there has the fingerprint {found}", place=url, cure=cure)
    return cert
