"""The certificates that the API is served with, and by which the machines of a cluster know one another: of their keys,
in their time, and for the names that people use."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from federation.runtime.credentials import tls_folder
from federation.settings import Listen
from managers.uim import tls
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("certificate.sound", OK, "the certificate is valid, belongs to its key, and has the names that are served")
NONE = Code("certificate.none", NOTE, "TLS is on, and there is no certificate yet", "nothing: the next start makes one")
BROKEN = Code(
    "certificate.broken",
    ERROR,
    "the certificate or its key cannot be read",
    "`listen.cert` and `listen.key` are PEM files that belong together",
)
KEY = Code("certificate.key", ERROR, "the key is not that of the certificate", "name the two that were made together")
EXPIRED = Code(
    "certificate.expired", ERROR, "the certificate has expired", "renew it, then `elias down` and `elias up`"
)
EARLY = Code(
    "certificate.early", ERROR, "the certificate is not valid yet", "see the clock of this machine, or who made it"
)
ENDS = Code(
    "certificate.ends", WARNING, "the certificate expires within 30 days", "renew it, then `elias down` and `elias up`"
)
NAMES = Code(
    "certificate.names",
    WARNING,
    "people reach the page under a name that the certificate does not have",
    "get one that has it, or correct `listen.url`",
)

SOON = 30.0  # days
_OURS = "start ELIAS again, which makes a new one"
_AUTHORITY = "remove its folder at the head, start there again, and invite all machines anew"


class Seen(NamedTuple):
    """names: that it is for; `*.` stands for one label. wanted: that people use. cure: of its
    end, where there is a better one than to renew it."""

    place: str
    begins: datetime
    ends: datetime
    names: frozenset[str]
    wanted: frozenset[str]
    key_fits: bool
    cure: str = ""


def check(here: Here) -> Iterator[Finding]:
    listen = here.settings.listen
    if not listen.tls:
        return
    given = listen.cert is not None and listen.key is not None
    pair = tls.Pair(listen.cert, listen.key) if listen.cert and listen.key else tls.ours(here.settings.state)
    if not given and not pair.cert.exists():
        yield NONE.found("it is made at the next start", pair.cert)
        return
    try:
        seen = observe(pair.cert, pair.key, wanted(listen), "" if given else _OURS)
    except (OSError, ValueError, TypeError) as error:
        yield BROKEN.found(str(error).splitlines()[0], pair.cert)
        return
    yield from judge(seen, datetime.now(UTC))


def check_cluster(here: Here) -> Iterator[Finding]:
    """Each start makes a new one for the machine, so that matters only while it is used."""
    folder = tls_folder(here.settings.state, head=here.session is None or here.session.head)
    pairs = [(folder / "ca.pem", folder / "ca-key.pem", _AUTHORITY)]
    if here.serves:
        pairs.append((folder / "cert.pem", folder / "key.pem", _OURS))
    for cert, key, cure in pairs if folder.exists() else ():
        try:
            seen = observe(cert, key if key.exists() or cure is _OURS else None, frozenset(), cure)
        except (OSError, ValueError, TypeError) as error:
            yield BROKEN.found(str(error).splitlines()[0], cert, cure)
        else:
            yield from judge(seen, datetime.now(UTC))


def observe(cert_file: Path, key_file: Path | None, wanted: frozenset[str], cure: str) -> Seen:
    """Without a key file it may belong to any. Raises OSError, ValueError, TypeError where one of the files is none."""
    from cryptography import x509  # noqa: PLC0415 - a tenth of a second that plain HTTP need not pay
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    cert, *_ = x509.load_pem_x509_certificates(cert_file.read_bytes())
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}
    except x509.ExtensionNotFound:
        names = set()
    fits = True
    if key_file is not None:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        fits = cert.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    ends = (cert.not_valid_before_utc, cert.not_valid_after_utc)
    return Seen(str(cert_file), *ends, frozenset(one.lower() for one in names), wanted, fits, cure)


def wanted(listen: Listen) -> frozenset[str]:
    """The names under which others reach it."""
    host = urlsplit(listen.url).hostname or ""
    names = {*listen.hosts, host, *([] if listen.loopback else [listen.host])} - {"", "0.0.0.0", "::"}  # noqa: S104
    return frozenset(one.lower() for one in names)


def judge(seen: Seen, now: datetime) -> Iterator[Finding]:
    bad = list(_judge(seen, now))
    yield from bad
    if not bad:
        yield SOUND.found(f"good until {seen.ends:%Y-%m-%d}", seen.place)


def _judge(seen: Seen, now: datetime) -> Iterator[Finding]:
    cure, days = seen.cure, (seen.ends - now).total_seconds() / 86400
    if not seen.key_fits:
        yield KEY.found("their public keys differ", seen.place)
    if now < seen.begins:
        yield EARLY.found(f"it is valid from {seen.begins:%Y-%m-%d %H:%M} UTC", seen.place)
    elif days <= 0:
        yield EXPIRED.found(f"since {seen.ends:%Y-%m-%d}", seen.place, cure)
    elif days <= SOON:
        yield ENDS.found(f"in {math.ceil(days)} days, on {seen.ends:%Y-%m-%d}", seen.place, cure)
    lacks = sorted(name for name in seen.wanted if not _covers(seen.names, name))
    if lacks:
        yield NAMES.found(f"it is not for {', '.join(lacks)}", seen.place, cure)


def _covers(names: frozenset[str], name: str) -> bool:
    return name in names or f"*.{name.partition('.')[2]}" in names
