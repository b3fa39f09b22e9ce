"""Certificates by which the machines of a cluster know one another: an authority made at its first head, and for each
machine one that it has signed, for its address. Ray asks both sides of every connection for theirs.

Whoever has the authority's key can make a certificate, so it goes where the token of the cluster goes: to the machines
that can be the head, and into invitations.
"""

import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from federation import privatefile
from federation.errors import Refused

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

YEARS = 10  # that an authority is good, and with it what it signs: a cluster stays up for long
PATIENCE = 5.0  # seconds for the other side to say that it takes a certificate

_NAMES = (62, 64)  # of OpenSSL's X509_V_ERR: another host name, another IP address
_CURE = "make a new invitation at the head, with `elias invite FILE`, and copy it here whole"


class Authority(msgspec.Struct, frozen=True):
    """Certificate and private key in PEM."""

    cert: str
    key: str

    @classmethod
    def made(cls) -> Self:
        from cryptography import x509  # noqa: PLC0415 - a tenth of a second that a cluster without TLS need not pay
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("ELIAS cluster")
        made = _certificate(name, name, key.public_key(), datetime.now(UTC) + timedelta(days=365 * YEARS))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(*_pem(made, key, key))

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """That which was kept there. Raises Refused where one of its files is missing."""
        cert, key = folder / "ca.pem", folder / "ca-key.pem"
        if not folder.exists():
            return None
        try:
            return cls(cert.read_text(), key.read_text())
        except OSError as error:
            cure = "restore it from a back-up; or remove the folder, start again and invite all machines anew"
            raise Refused("certificate", error.strerror or str(error), place=str(folder), cure=cure) from None

    def keep(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        privatefile.write(folder / "ca-key.pem", self.key.encode())
        privatefile.write(folder / "ca.pem", self.cert.encode())

    def issue(self, folder: Path, address: str) -> None:
        """A certificate for the machine at this IP address, for `environment`. Raises Refused for an authority that is
        damaged or past its time."""
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

        try:
            own = x509.load_pem_x509_certificate(self.cert.encode())
            signer = serialization.load_pem_private_key(self.key.encode(), None)
        except ValueError as error:
            raise Refused("certificate", f"the authority of the cluster is damaged: {error}", cure=_CURE) from None
        if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != own.public_key():
            raise Refused("certificate", "certificate and key of the authority do not belong together", cure=_CURE)
        if own.not_valid_after_utc <= datetime.now(UTC):
            what = f"the authority of the cluster was good until {own.not_valid_after_utc:%Y-%m-%d}"
            cure = "remove its folder `ray.tls` at the head, start there again, and invite all machines anew"
            raise Refused("certificate", what, cure=cure)
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(_name("ELIAS node"), own.subject, key.public_key(), own.not_valid_after_utc)
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        made = made.add_extension(where, critical=False).add_extension(both, critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        cert, private = _pem(made, key, signer)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        privatefile.write(folder / "key.pem", private.encode())
        privatefile.write(folder / "cert.pem", cert.encode())
        privatefile.write(folder / "ca.pem", self.cert.encode())


def alone(words: str) -> tuple[str, str]:
    """Certificate and private key, in PEM, of somebody who is known by just this certificate: it vouches for itself,
    and serves both sides of a connection."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(_name(words), _name(words), key.public_key(), datetime.now(UTC) + timedelta(days=365 * YEARS))
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return _pem(made.add_extension(both, critical=False), key, key)


def environment(folder: Path) -> dict[str, str]:
    """What Ray reads: nothing where no certificate was issued into this folder."""
    cert = folder / "cert.pem"
    if not cert.exists():
        return {}
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(cert.resolve()),
        "RAY_TLS_SERVER_KEY": str((folder / "key.pem").resolve()),
        "RAY_TLS_CA_CERT": str((folder / "ca.pem").resolve()),
    }


def check(address: str, folder: Path | None) -> None:
    """See that the head at `host:port` and this machine take one another's certificates. folder: of this machine's;
    None: it has none, and the head must not ask for one. Raises Refused, and OSError where nothing answers.

    Ray would try for a minute, and then say that it cannot connect.
    """
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if folder is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_connection((host, int(port)), PATIENCE) as line:
        try:
            with context.wrap_socket(line, server_hostname=host) as spoken:
                if folder is not None:
                    spoken.recv(1)  # the settings of HTTP/2; a server that refuses a certificate says so only here
                    return
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in _NAMES:
                what = f"the certificate there is not for `{host}`"
                cure = "join by the address that stands in the invitation, or set `ray.address` at the head to this one"
                raise Refused("certificate", what, place=address, cure=cure) from None
            what = f"the certificate of the head at {address} is not of this invitation's cluster: "
            raise Refused("certificate", what + error.verify_message, cure=_CURE) from None
        except (ssl.SSLError, ConnectionError) as error:
            if folder is None:
                return  # no word of TLS: as it should be
            why = getattr(error, "reason", None) or str(error)
            what = f"the head at {address} does not take the certificate of this invitation, or knows none ({why})"
            raise Refused("certificate", what, cure=_CURE) from None
    what = f"the head at {address} asks for a certificate, and this invitation brings none"
    raise Refused("certificate", what, cure=_CURE)


def _certificate(
    subject: "x509.Name", issuer: "x509.Name", public: "EllipticCurvePublicKey", until: datetime
) -> "x509.CertificateBuilder":
    from cryptography import x509  # noqa: PLC0415

    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    made = made.serial_number(x509.random_serial_number())
    return made.not_valid_before(datetime.now(UTC) - timedelta(hours=1)).not_valid_after(until)


def _pem(
    made: "x509.CertificateBuilder", key: "EllipticCurvePrivateKey", signer: "EllipticCurvePrivateKey"
) -> tuple[str, str]:
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return made.sign(signer, hashes.SHA256()).public_bytes(pem).decode(), private.decode()


def _usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509  # noqa: PLC0415

    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        decipher_only=False,
        **off,
    )


def _name(words: str) -> "x509.Name":
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])
