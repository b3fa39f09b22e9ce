"""The outbound targets of `elias.yaml`: where messages may go, each by a name, and when one rests; and Alertmanager.

A secret is never a setting: what is written here is the name of an environment variable or of a file that holds it.
"""

import os
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, model_validator

from federation.errors import Refused
from federation.sections import DAYS, Day, Duration, Section, Zone

Priority = Literal["low", "normal", "high", "critical"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high", "critical")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_Sign = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
_PORTS = {"starttls": 587, "tls": 465, "none": 25}  # RFC 6409, RFC 8314, RFC 5321


class Quiet(Section):
    """Hours in which only what is urgent is sent; the rest waits until they end."""

    begins: time
    """Local time."""
    ends: time
    """Local time, of the next day if it is not later than `begins`."""
    days: tuple[Day, ...] = DAYS
    """Days of the week on which they begin."""
    timezone: Zone = "UTC"
    """Name of the time zone, such as `Europe/Zurich`."""
    passes: Literal["normal", "high", "critical"] = "high"
    """Messages of this priority and above are sent all the same."""


class Target(Section):
    """What all kinds of targets have."""

    kind: str
    """What it speaks: `webhook`, `slack` or `email`."""
    timeout: Duration = 10.0
    """How long one attempt may take."""
    quiet: tuple[Quiet, ...] = ()
    """Quiet hours; several may overlap."""


class Webhook(Target):
    """Any body, as a signed CloudEvent over HTTP."""

    kind: Literal["webhook"]
    """What it speaks: `webhook`, `slack` or `email`."""
    url: str = Field(pattern="^https?://")
    """Webhook: where messages are posted to; redirects are not followed."""
    secret_env: str = ""
    """Webhook: environment variable with the secret that signs each delivery."""
    secret_file: Path | None = None
    """Webhook: file with that secret instead; relative to the settings file."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret_env and self.secret_file:
            raise ValueError("write `secret_env` or `secret_file`, not both")
        return self

    def secret(self) -> str:
        """Empty: deliveries are not signed."""
        return _secret(self.secret_env, self.secret_file)


class Slack(Target):
    """A notice, as an incoming webhook of Slack, Mattermost, Rocket.Chat or Discord (its `/slack` address) takes it."""

    kind: Literal["slack"]
    """What it speaks: `webhook`, `slack` or `email`."""
    url_env: str = ""
    """Slack: environment variable with the address of the incoming webhook; whoever knows it may post."""
    url_file: Path | None = None
    """Slack: file with that address instead; relative to the settings file."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if bool(self.url_env) == bool(self.url_file):
            raise ValueError("write `url_env` or `url_file`: the address is a secret")
        return self

    def url(self) -> str:
        return _secret(self.url_env, self.url_file)


class Email(Target):
    """A notice, as mail over SMTP."""

    kind: Literal["email"]
    """What it speaks: `webhook`, `slack` or `email`."""
    host: str
    """E-mail: the mail server."""
    port: int | None = Field(None, ge=1, le=65535)
    """E-mail: its TCP port; none: 587 with `starttls`, 465 with `tls`, 25 without."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """E-mail: `starttls` begins in clear and insists on TLS, `tls` begins with it; `none` carries no password."""
    ca_file: Path | None = None
    """E-mail: certificates (PEM) that the server's is checked against; none: those of the system."""
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    """E-mail: the address that messages come from."""
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = Field(min_length=1, max_length=50)
    """E-mail: addresses of those who get them."""
    user: str = ""
    """E-mail: name to log in with; empty: without login."""
    password_env: str = ""
    """E-mail: environment variable with the password."""
    password_file: Path | None = None
    """E-mail: file with the password instead; relative to the settings file."""

    @model_validator(mode="after")
    def _login_is_whole_and_private(self) -> Self:
        if bool(self.user) != (bool(self.password_env) != bool(self.password_file)):
            raise ValueError("a login is `user` with `password_env` or `password_file`")
        if self.user and self.tls == "none" and self.host not in _LOOPBACK:
            raise ValueError("a password does not travel in clear: write `tls: starttls` or `tls: tls`")
        return self

    @property
    def at(self) -> int:
        """The port."""
        return self.port or _PORTS[self.tls]

    def password(self) -> str:
        return _secret(self.password_env, self.password_file)


class _Server(Section):
    """What all servers have that are asked over HTTP."""

    url: str
    """Where it is."""
    user: str = ""
    """Name for basic authentication; empty: the secret is a bearer token."""
    secret_env: str = ""
    """Environment variable with the password or the token."""
    secret_file: Path | None = None
    """File with the password or the token instead; relative to the settings file."""
    timeout: Duration = 10.0
    """How long one request may take."""

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if self.secret_env and self.secret_file:
            raise ValueError("write `secret_env` or `secret_file`, not both")
        if self.user and not (self.secret_env or self.secret_file):
            raise ValueError("a login is `user` with `secret_env` or `secret_file`")
        return self

    def secret(self) -> str:
        """Empty: no authentication."""
        return _secret(self.secret_env, self.secret_file)


class Alertmanager(_Server):
    """Where alerts come from, for silencing them there; what they are sent to is `/v1/alertmanager`."""

    url: str = Field("", pattern="^(https?://.+)?$")
    """Address of its API, such as `http://127.0.0.1:9093`; empty: alerts are heard, and cannot be silenced."""


class Prometheus(_Server):
    """What measures the nodes: its answers are facts about them."""

    url: str = Field("", pattern=r"^(https?://[^@\s?#]+)?$")
    """Address of its API, such as `http://127.0.0.1:9090`; empty: nothing is asked."""
    ca_file: Path | None = None
    """Certificates (PEM) that it is checked against; none: those of the system. Relative to the settings file."""
    every: Duration = Field(30.0, ge=1)
    """Between two looks; each is one query a fact and a sign, and two about the targets."""
    max_age: Duration = Field(120.0, ge=1)
    """A node with a target that Prometheus has not tried for so long is not known."""
    label: str = Field("instance", pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")
    """Label by whose value a series belongs to a node; a port behind it does not count."""
    targets: str = Field("up", min_length=1, max_length=2000)
    """Selector of the series that say which targets there are, such as `up{job="node"}`."""
    names: dict[str, str] = Field({}, max_length=10_000)
    """Nodes by the value of the label, where that is not their name, such as `10.0.0.7: gpu-7`."""
    facts: dict[str, str] = Field({}, max_length=100)
    """Queries in PromQL by the fact, instead of those that ship; an empty one: this fact is not asked for."""
    signs: dict[_Sign, str] = Field({}, max_length=100)
    """Queries in PromQL by a name of yours: a node has the sign while the query answers with a series of it."""

    @model_validator(mode="after")
    def _secrets_are_private(self) -> Self:
        host = urlsplit(self.url).hostname
        if self.url.startswith("http:") and (self.secret_env or self.secret_file) and host not in _LOOPBACK:
            raise ValueError("a secret does not travel in clear: write `https://` in `url`")
        return self


def _kind(value: Any) -> Any:
    return value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)


AnyTarget = Annotated[
    Annotated[Webhook, Tag("webhook")] | Annotated[Slack, Tag("slack")] | Annotated[Email, Tag("email")],
    Discriminator(
        _kind,
        custom_error_type="target_kind",
        custom_error_message="a target has a `kind`: webhook, slack or email",
    ),
]


_Located = TypeVar("_Located", bound=Section)


def located(target: _Located, base: Path) -> _Located:
    """The section with its files relative to a folder."""
    files = {
        n: getattr(target, n) for n in ("secret_file", "url_file", "ca_file", "password_file") if hasattr(target, n)
    }
    return target.model_copy(update={name: base / path.expanduser() for name, path in files.items() if path})


def _secret(env: str, file: Path | None) -> str:
    """What an environment variable or a file holds; empty where neither is named. Raises Refused if it is missing."""
    if env:
        if not os.environ.get(env):
            raise Refused("no-secret", f"`{env}` is not set", cure="set it in the environment that ELIAS starts in")
        return os.environ[env]
    if file is None:
        return ""
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("no-secret", f"{file} cannot be read: {error}", cure="correct the file or its mode") from None
    if not found:
        raise Refused("no-secret", f"{file} is empty", cure="write the secret into it, alone")
    return found
