"""Certificates for tests, made as `openssl req -x509` makes them."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from managers.uim import tls


def made(folder: Path, days: float = 365, *names: str, since: float = 30) -> tls.Pair:
    """A certificate that vouches for itself and ends in so many days; it began `since` days before now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=since)).not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
    cert = builder.sign(key, hashes.SHA256())
    folder.mkdir(exist_ok=True)
    pair = tls.Pair(folder / "cert.pem", folder / "key.pem")
    pem = serialization.Encoding.PEM
    pair.cert.write_bytes(cert.public_bytes(pem))
    pair.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    pair.key.chmod(0o600)
    return pair


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
