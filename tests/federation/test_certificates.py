"""The machines of a cluster know one another by certificates of its authority: against a TLS server that asks for them,
as Ray's do."""

import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from federation.errors import Refused
from federation.runtime import certificates
from federation.runtime.certificates import Authority

HERE = "127.0.0.1"


@contextmanager
def head(folder: Path | None) -> Iterator[str]:
    """The address of a server with the certificates of this folder; none: it speaks no TLS."""
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
    with socket.create_server((HERE, 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with line, suppress(OSError):
                        if context is None:
                            line.sendall(b"\0" * 18)
                            continue
                        with context.wrap_socket(line, server_side=True) as spoken:
                            spoken.sendall(b"\0" * 18)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"{HERE}:{server.getsockname()[1]}"
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def issued(folder: Path, authority: Authority, address: str = HERE) -> Path:
    authority.issue(folder, address)
    return folder


def test_a_machine_and_its_head_take_one_another(tmp_path: Path) -> None:
    authority = Authority.made()
    with head(issued(tmp_path / "head", authority)) as address:
        certificates.check(address, issued(tmp_path / "node", authority, "10.0.0.7"))
    assert stat.S_IMODE((tmp_path / "node" / "key.pem").stat().st_mode) == 0o600


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    authority = Authority.made()
    assert (Authority.of(tmp_path / "none"), certificates.environment(tmp_path / "none")) == (None, {})
    authority.keep(tmp_path / "some")
    assert Authority.of(tmp_path / "some") == authority
    assert certificates.environment(tmp_path / "some") == {}
    (tmp_path / "some" / "ca-key.pem").unlink()
    with pytest.raises(Refused, match="No such file"):
        Authority.of(tmp_path / "some")


@pytest.mark.parametrize(
    ("own", "serves", "said"),
    [
        ("other", "one", "is not of this invitation's cluster"),
        ("none", "one", "asks for a certificate, and this invitation brings none"),
        ("one", "none", "or knows none"),
        ("one", "elsewhere", "is not for `127.0.0.1`"),
    ],
)
def test_who_does_not_belong_there_is_refused(tmp_path: Path, own: str, serves: str, said: str) -> None:
    one = Authority.made()
    folders = {
        "one": issued(tmp_path / "one", one),
        "other": issued(tmp_path / "other", Authority.made()),
        "elsewhere": issued(tmp_path / "elsewhere", one, "10.9.9.9"),
        "none": None,
    }
    with head(folders[serves]) as address, pytest.raises(Refused, match=said) as found:
        certificates.check(address, folders[own])
    assert "invit" in found.value.cure


def test_who_is_not_asked_needs_no_certificate(tmp_path: Path) -> None:
    with head(None) as address:
        certificates.check(address, None)


def test_a_head_refuses_a_machine_that_another_authority_signed(tmp_path: Path) -> None:
    one, other = Authority.made(), Authority.made()
    stranger = issued(tmp_path / "stranger", other)
    (stranger / "ca.pem").write_text(one.cert)  # it takes the head for its own, and not the other way round
    with head(issued(tmp_path / "head", one)) as address, pytest.raises(Refused, match="does not take the certificate"):
        certificates.check(address, stranger)


def past() -> Authority:
    """One whose time is over."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ELIAS cluster")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=20)).not_valid_after(now - timedelta(days=10))
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return Authority(signed.public_bytes(pem).decode(), private.decode())


@pytest.mark.parametrize(
    ("authority", "said"),
    [
        (past(), "was good until"),
        (msgspec.structs.replace(Authority.made(), cert="nonsense"), "is damaged"),
        (msgspec.structs.replace(Authority.made(), key=Authority.made().key), "do not belong together"),
    ],
    ids=["expired", "damaged", "two halves"],
)
def test_an_authority_that_cannot_sign_is_refused(tmp_path: Path, authority: Authority, said: str) -> None:
    with pytest.raises(Refused, match=said) as found:
        authority.issue(tmp_path, HERE)
    assert found.value.cure
