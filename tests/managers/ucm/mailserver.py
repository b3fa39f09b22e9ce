"""A real mail server for tests: TLS with a certificate of its own, logins, and mailboxes that say no."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "elias", "correct horse"


class Mailbox:
    """What arrived. private: of each mail, whether it came over TLS, and after a login. refusals: replies to addresses;
    replies: to the next mails; "hang": none."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.private: list[tuple[bool, bool]] = []
        self.refusals: dict[str, str] = {}
        self.replies: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.replies:
            reply = self.replies.pop(0)
            if reply == "hang":
                await asyncio.Event().wait()
            return reply
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.private.append((encrypted, bool(session.authenticated)))
        return "250 OK"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    sound = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=sound, handled=sound)


@contextlib.asynccontextmanager
async def serving(box: Mailbox, kind: str, folder: Path) -> AsyncIterator[int]:
    """kind: starttls, tls, or none (without login). Gives the port; `folder` holds `ca.pem`."""
    login: dict[str, Any] = {} if kind == "none" else {"authenticator": _login, "auth_required": True}
    if kind == "starttls":
        login |= {"tls_context": context(folder), "require_starttls": True}
    elif kind == "tls":
        # The library counts no other TLS than that which it began itself, and warns where it would insist on a login.
        login |= {"auth_required": False, "auth_require_tls": False}
    loop = asyncio.get_running_loop()
    encrypted = context(folder) if kind == "tls" else None
    server = await loop.create_server(
        lambda: SMTP(box, hostname="mail.test", loop=loop, **login), "127.0.0.1", 0, ssl=encrypted
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def context(folder: Path) -> ssl.SSLContext:
    """With a certificate for 127.0.0.1 that signs itself; `ca.pem` is what to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return made
