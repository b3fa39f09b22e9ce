"""Mail over SMTP (RFC 5321), with a plain and an HTML part.

The Message-ID comes from the message's id, so that a mail that arrives twice is one in the mailbox; mails about the
same subject refer to one root, so that they stand together.
"""

import hashlib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from html import escape

import aiosmtplib

from federation.targets import Email
from managers.ucm.channels.delivery import REFUSED, SERVER, THROTTLED, UNREACHABLE, Delivery, Reply
from managers.ucm.notice import Notice, one_line

TITLE = 200  # characters of a subject line


async def send(target: Email, delivery: Delivery, page: str) -> Reply:
    """Raises Refused without its password, or when the body is no notice."""
    message = written(target, delivery, page)
    password = target.password()
    session = aiosmtplib.SMTP(
        hostname=target.host,
        port=target.at,
        use_tls=target.tls == "tls",
        start_tls=target.tls == "starttls",
        tls_context=ssl.create_default_context(cafile=target.ca_file) if target.tls != "none" else None,
        timeout=target.timeout,
    )
    try:
        await session.connect()
        if password:
            await session.login(target.user, password)
        refused, _ = await session.send_message(message)
        with suppress(aiosmtplib.SMTPException):  # the mail is taken, whatever becomes of the goodbye
            await session.quit()
    except aiosmtplib.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        return Reply(failure_of(first.code), f"SMTP {first.code}, every recipient refused", first.code)
    except aiosmtplib.SMTPResponseException as error:
        return Reply(failure_of(error.code), f"SMTP {error.code}", error.code)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Reply(UNREACHABLE, type(error).__name__)
    finally:
        session.close()
    return Reply(detail=f"{len(refused)} of {len(target.to)} recipients refused" if refused else "", status=250)


def failure_of(code: int) -> str:
    """The kind of failure that a reply means (RFC 5321, 4.2.1): 4yz may pass, 5yz will not get better."""
    if code == 421:  # the server closes: nothing about this mail
        return SERVER
    return THROTTLED if 400 <= code < 500 else REFUSED


def written(target: Email, delivery: Delivery, page: str) -> EmailMessage:
    notice, subject = Notice.of(delivery.body), delivery.event.subject
    domain = target.sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Subject"] = one_line(notice.title)[:TITLE]
    message["Date"] = localtime()
    message["Message-ID"] = f"<{delivery.id}@{domain}>"
    if subject:
        root = f"<{hashlib.sha256(subject.encode()).hexdigest()[:32]}.subject@{domain}>"
        message["In-Reply-To"] = message["References"] = root
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no mail that says "I am on holiday" in return
    message.set_content(_plain(notice, page))
    message.add_alternative(_html(notice, page), subtype="html")
    return message


def _plain(notice: Notice, page: str) -> str:
    facts = "\n".join(f"{name}: {value}" for name, value in notice.fields.items())
    address = notice.address(page)
    link = f"{notice.label}: {address}" if address else ""
    return "\n\n".join(part for part in (notice.title, notice.text, facts, link) if part) + "\n"


def _html(notice: Notice, page: str) -> str:
    parts = [f"<h1 style='font-size:1.2em'>{escape(notice.title)}</h1>"]
    parts += [f"<p>{'<br>'.join(map(escape, block.splitlines()))}</p>" for block in notice.text.split("\n\n") if block]
    if notice.fields:
        cell = "style='text-align:left;padding-right:1em'"
        rows = (f"<tr><th {cell}>{escape(n)}</th><td>{escape(v)}</td></tr>" for n, v in notice.fields.items())
        parts.append(f"<table>{''.join(rows)}</table>")
    address = notice.address(page)
    if address:
        parts.append(f"<p><a href='{escape(address)}'>{escape(notice.label)}</a></p>")
    return f"<!doctype html><html lang='en'><body style='font-family:sans-serif'>{''.join(parts)}</body></html>\n"
