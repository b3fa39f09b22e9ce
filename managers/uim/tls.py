"""TLS for the API and the page: the certificate that somebody provided, or one of our own making."""

import hashlib
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from federation import privatefile
from federation.errors import Refused
from federation.settings import Listen, Settings

if TYPE_CHECKING:
    from cryptography import x509

FOLDER = "tls"  # in the state folder
DAYS = 397  # that a certificate of our own making is good; browsers take no longer ones
RENEW = 30  # days before its end a start makes a new one


class Pair(NamedTuple):
    """PEM files: the certificate chain, and its private key."""

    cert: Path
    key: Path


def check(listen: Listen) -> None:
    """Raises Refused where passwords and tokens would travel in the clear."""
    if not listen.loopback and not listen.secure:
        what = f"`{listen.host}` can be reached from other machines, and nothing encrypts what they send"
        cure = "start with `elias up --tls`; or set `listen.behind_proxy: true` if a proxy with TLS stands in front"
        raise Refused("plain-http", what, place="listen.host", cure=cure)


def serving(settings: Settings) -> Pair | None:
    """The files that this installation serves with; None: it serves plain HTTP. Raises Refused for bad ones."""
    listen = settings.listen
    if not listen.tls:
        return None
    if listen.cert is not None and listen.key is not None:
        pair = Pair(listen.cert, listen.key)
    else:
        pair = ours(settings.state)
        _make(pair, _names(listen))
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(pair.cert, pair.key)
    except (OSError, ssl.SSLError) as error:
        cure = "`listen.cert` and `listen.key` are PEM files that belong together"
        raise Refused("tls", error.strerror or str(error), place=str(pair.cert), cure=cure) from None
    return pair


def flagged(settings: Settings) -> Settings:
    """The settings as `elias up --tls` means them."""
    return settings.model_copy(update={"listen": settings.listen.model_copy(update={"tls": True})})


def remember(settings: Settings, flag: bool) -> None:
    """Leave word for the commands that come after `elias up`, or take it back."""
    word = settings.state / FOLDER / "flag"
    if flag:
        for folder in (settings.state, word.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        word.touch(mode=0o600)
    else:
        word.unlink(missing_ok=True)


def as_started(settings: Settings) -> Settings:
    """The settings as the last `elias up` took them."""
    return flagged(settings) if (settings.state / FOLDER / "flag").exists() else settings


def ours(state: Path) -> Pair:
    """Where a certificate of our own making lies."""
    return Pair(state / FOLDER / "cert.pem", state / FOLDER / "key.pem")


def fingerprint(cert: str) -> str:
    """SHA-256 of the first certificate in a PEM text, as browsers show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(cert))).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def pinned(cert: str) -> ssl.SSLContext:
    """Trusts the server that has just this certificate, whatever name it is reached by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=_first(cert))
    return context


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[pem.find("-----BEGIN CERTIFICATE-----") : pem.find(end) + len(end)] + "\n"


def _names(listen: Listen) -> list[str]:
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", listen.host, *listen.hosts]))


def _make(pair: Pair, names: list[str]) -> None:
    """A certificate that vouches for itself, unless the one that is there has these names and lasts."""
    from cryptography import x509  # noqa: PLC0415 - a tenth of a second that plain HTTP need not pay
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    wanted = x509.SubjectAlternativeName([_general_name(name) for name in names])
    now = datetime.now(UTC)
    if pair.cert.exists() and pair.key.exists():
        found = x509.load_pem_x509_certificate(pair.cert.read_bytes())
        has = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if has == wanted and found.not_valid_after_utc > now + timedelta(days=RENEW):
            return
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ELIAS")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(wanted, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pair.cert.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    privatefile.write(pair.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    privatefile.write(pair.cert, made.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
