"""How long people stay signed in, and by which identity provider they may come in."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from federation.sections import Duration, Section

RoleName = Literal["viewer", "author", "operator", "admin"]
_LOOPBACK = r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)"


class Oidc(Section):
    """An OpenID Connect provider. Its groups say who is what; who is in none of them does not come in."""

    issuer: str
    """Address of the provider, just as its discovery document names it; `https`, except on this machine."""
    client_id: str = Field(min_length=1)
    """Name under which ELIAS is registered there, with the redirect address `https://HOST/login/oidc/done`."""
    secret_env: str = ""
    """Environment variable with the client secret; empty: a public client, which PKCE alone protects."""
    label: str = "your organisation"
    """What the button says: sign in with this."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What is asked for; some providers tell groups only with a scope of their own."""
    name_claim: str = "preferred_username"
    """Claim of the ID token that becomes the name of the account, in small letters."""
    groups_claim: str = "groups"
    """Claim of the ID token that lists the groups."""
    roles: dict[str, RoleName]
    """Group to role; of several the one that may do most."""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not self.issuer.startswith("https://") and not re.match(_LOOPBACK, self.issuer):
            raise ValueError("`issuer` must begin with https://: its answers say who may come in")
        if "openid" not in self.scopes:
            raise ValueError("`scopes` must name `openid`, or the provider sends no ID token")
        return self


class AccessSettings(Section):
    """Who may come in: accounts are made with `elias accounts`, and kept beside the ledger."""

    session_idle: Duration = Field(12 * 3600.0, gt=0)
    """A browser that asked nothing for so long must sign in again."""
    session_most: Duration = Field(7 * 86400.0, gt=0)
    """And so must every browser after so long."""
    oidc: Oidc | None = None
    """Sign-in by an identity provider; none: by name and password alone."""
