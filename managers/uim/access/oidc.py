"""Sign-in by an OpenID Connect provider: authorization code flow with PKCE (RFC 7636), state and nonce.

OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; the issuer is checked as RFC 9207 says. What must be known again
when the browser comes back lies in a cookie of that browser alone, so a callback that somebody else began is refused.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import jwt
import msgspec

from federation.access import Oidc
from federation.clock import SECOND, Clock
from federation.errors import Refused, Temporary
from managers.uim.access.person import Role

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")  # no shared secrets
PATIENCE = 10.0  # seconds for each request to the provider
LARGEST = 1 << 20  # bytes of an answer
KNOWN = 3600 * SECOND  # that what the provider says of itself is believed
LEEWAY = 60.0  # seconds that its clock may be off
MINUTES = 10  # within which somebody must come back
_RANK = (Role.VIEWER, Role.AUTHOR, Role.OPERATOR, Role.ADMIN)


class Begun(msgspec.Struct, frozen=True):
    """What the browser keeps while its user is at the provider. next: where they wanted to go."""

    state: str
    nonce: str
    verifier: str
    next: str

    def cookie(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


class Identity(NamedTuple):
    """Whom the provider vouches for. subject: its own, lasting name for them, with the issuer."""

    subject: str
    name: str
    role: Role


class _Provider(msgspec.Struct, frozen=True):
    """Of the discovery document (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Answer(msgspec.Struct, frozen=True):
    id_token: str


class Login:
    """Errors: Refused where the provider or the browser says what cannot be right, Temporary where nobody answers."""

    def __init__(self, settings: Oidc, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._provider: tuple[int, _Provider] | None = None
        self._keys: jwt.PyJWKSet | None = None

    async def begin(self, redirect: str, next: str) -> tuple[str, Begun]:
        """Where to send the browser, and what it is to keep. redirect: the address to which it comes back."""
        provider = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        begun = Begun(state, nonce, verifier, next)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self._settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in provider.authorization_endpoint else "?"
        return f"{provider.authorization_endpoint}{mark}{urlencode(query)}", begun

    async def finish(self, query: dict[str, str], cookie: str, redirect: str) -> tuple[Identity, str]:
        """Who came back, and where they wanted to go. query: of the callback."""
        begun = _begun(cookie)
        if begun is None or not hmac.compare_digest(query.get("state", "").encode(), begun.state.encode()):
            raise _wrong("this sign-in was not begun in this browser, or too long ago")
        if "error" in query:
            raise _wrong(f"the identity provider says: {query.get('error_description') or query['error']}"[:300])
        provider = await self._discovered()
        if query.get("iss", provider.issuer) != provider.issuer:
            raise _wrong("the answer is another provider's")
        if not query.get("code"):
            raise _wrong("the identity provider sent no code")
        claims = await self._claims(await self._redeem(provider, query["code"], begun.verifier, redirect), begun.nonce)
        return self._identity(claims), begun.next

    async def _redeem(self, provider: _Provider, code: str, verifier: str, redirect: str) -> str:
        """The ID token for a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        secret = os.environ.get(self._settings.secret_env, "") if self._settings.secret_env else ""
        if self._settings.secret_env and not secret:
            cure = f"set the environment variable {self._settings.secret_env} and start again"
            raise Refused("oidc", "the client secret is not known", place="access.oidc.secret_env", cure=cure)
        auth = httpx.BasicAuth(self._settings.client_id, secret) if secret else None
        if auth is None:
            form["client_id"] = self._settings.client_id
        body = await _ask("POST", provider.token_endpoint, data=form, auth=auth)
        answer: _Answer = _decoded(body, _Answer)
        return answer.id_token

    async def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What a token says, once everything about it is as it must be."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._key(kid),
                algorithms=list(ALGORITHMS),
                audience=self._settings.client_id,
                issuer=self._settings.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "sub", "aud", "iss", "nonce"]},
            )
        except jwt.PyJWTError as error:
            raise _wrong(f"the ID token is not good: {error}") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._settings.client_id) != self._settings.client_id:
            raise _wrong("the ID token was made for another client")
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise _wrong("the ID token belongs to another sign-in")
        return claims

    def _identity(self, claims: dict[str, Any]) -> Identity:
        groups = claims.get(self._settings.groups_claim, [])
        roles = {self._settings.roles.get(group) for group in groups if isinstance(group, str)}
        best = next((role for role in reversed(_RANK) if role.value in roles), None)
        name = str(claims.get(self._settings.name_claim, "")).strip().lower()
        if best is None:
            cure = "an administrator maps one of your groups to a role: `access.oidc.roles`"
            raise Refused("no-role", f"`{name}` is in no group that may use ELIAS", cure=cure)
        if not name:
            cure = "set `access.oidc.name_claim` to a claim that names people"
            raise Refused("oidc", f"the ID token has no `{self._settings.name_claim}`", cure=cure)
        return Identity(f"{self._settings.issuer} {claims['sub']}", name, best)

    async def _key(self, kid: str | None) -> jwt.PyJWK:
        """The key of that name; asked for anew where it is unknown, for providers change their keys."""
        for again in (False, True):
            if self._keys is None or again:
                body = await _ask("GET", (await self._discovered()).jwks_uri)
                self._keys = jwt.PyJWKSet.from_dict(_decoded(body, dict[str, Any]))
            found = [key for key in self._keys.keys if kid is None or key.key_id == kid]
            if len(found) == 1 or (found and kid is not None):
                return found[0]
        raise _wrong("the ID token is signed with a key that the provider does not publish")

    async def _discovered(self) -> _Provider:
        now = self._clock.now()
        if self._provider is None or now - self._provider[0] > KNOWN:
            address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = _decoded(await _ask("GET", address), _Provider)
            if found.issuer != self._settings.issuer:
                what = f"the provider calls itself `{found.issuer}`"
                raise Refused("oidc", what, place="access.oidc.issuer", cure="write it there just so")
            if self._settings.issuer.startswith("https://"):
                for endpoint in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                    if not endpoint.startswith("https://"):
                        raise _wrong("the identity provider names an address without https")
            self._provider, self._keys = (now, found), None
        return self._provider[1]


async def _ask(method: str, address: str, **more: Any) -> bytes:
    """The body of an answer with status 200, and never more than `LARGEST` of it."""
    body = b""
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client,
            client.stream(method, address, headers={"Accept": "application/json"}, **more) as answer,
        ):
            if answer.status_code != 200:
                raise _wrong(f"the identity provider answered {address} with status {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise _wrong(f"the identity provider answered {address} with more than {LARGEST} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise Temporary(f"the identity provider does not answer at {address}: {why}") from None
    return body


def _begun(cookie: str) -> Begun | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cookie), type=Begun)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None


def _decoded(body: bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.DecodeError as error:
        raise _wrong(f"the identity provider's answer is not what it must be: {error}") from None


def _wrong(what: str) -> Refused:
    return Refused("oidc", what, cure="sign in again; if that does not help, `access.oidc` in elias.yaml may be wrong")
