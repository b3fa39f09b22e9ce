"""The addresses that the settings name, as far as a connection to each goes."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from federation.advisors.provider import HOMES
from federation.errors import Refused
from federation.settings import Settings
from federation.targets import Email, Slack, Webhook


class Endpoint(NamedTuple):
    """Where a connection is made to, and no more sent than TLS needs. tls: it begins with TLS. ca: certificates that
    the server's is checked against, beside those of the system. health: URL that is asked whether it is well. via: the
    proxy that stands in between, of which alone something can be said."""

    setting: str
    host: str
    port: int
    tls: bool = False
    ca: Path | None = None
    health: str = ""
    via: str = ""

    @property
    def at(self) -> str:
        return f"{self.host}:{self.port}"


def endpoints(settings: Settings) -> Iterator[Endpoint]:
    """Of everything outside that ELIAS speaks to, the ledger's database apart. What is a secret is not in them."""
    if settings.policy.engine == "vllm":
        for number, url in enumerate(settings.policy.replicas):
            plain = _of_url(f"policy.replicas.{number}", url, proxied=False)
            yield plain._replace(health=url.rstrip("/") + "/health")
    for number, provider in enumerate(settings.advisors.providers):
        yield _of_url(f"advisors.providers.{number}", provider.base_url or HOMES[provider.kind])
    for name, target in settings.targets.items():
        setting = f"targets.{name}"
        match target:
            case Webhook():
                yield _of_url(setting, target.url)
            case Email():
                yield Endpoint(setting, target.host, target.at, target.tls == "tls", target.ca_file)
            case Slack():
                try:
                    yield _of_url(setting, target.url())
                except Refused:  # a finding about secrets says why
                    continue
    if settings.alertmanager.url:
        yield _of_url("alertmanager.url", settings.alertmanager.url)
    if settings.prometheus.url:
        yield _of_url("prometheus.url", settings.prometheus.url)._replace(ca=settings.prometheus.ca_file)
    for name, peer in settings.peers.known.items():  # its certificate is that on its card, which UFM looks at
        yield _of_url(f"peers.known.{name}.url", peer.url, proxied=False)._replace(tls=False)
    if settings.mlflow.enabled and settings.mlflow.uri.startswith("http"):
        yield _of_url("mlflow.uri", settings.mlflow.uri)
    if settings.telemetry.traces.endpoint:
        yield _of_url("telemetry.traces.endpoint", settings.telemetry.traces.endpoint)
    if settings.access.oidc is not None:
        yield _of_url("access.oidc.issuer", settings.access.oidc.issuer)


def _of_url(setting: str, url: str, *, proxied: bool = True) -> Endpoint:
    """Without a host where it is no address."""
    try:
        parts = urlsplit(url)
        host, port, tls = parts.hostname or "", parts.port or _usual(parts), parts.scheme == "https"
    except ValueError:
        return Endpoint(setting, "", 0)
    proxy = getproxies().get(parts.scheme, "") if proxied and not proxy_bypass(host) else ""
    if proxy:
        between = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return Endpoint(setting, between.hostname or "", between.port or _usual(between), via=f"{host}:{port}")
    return Endpoint(setting, host, port, tls)


def _usual(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


def trusted(one: Endpoint) -> ssl.SSLContext:
    """Whom the server's certificate is checked against, as those do who speak to it."""
    import httpx  # noqa: PLC0415 - a tenth of a second, where an address has TLS

    return ssl.create_default_context(cafile=one.ca) if one.ca else httpx.create_ssl_context()
