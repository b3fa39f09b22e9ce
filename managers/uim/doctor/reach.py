"""Whether what the settings name can be reached: a connection, TLS where it has any, and of vLLM its health.

No key is sent, nothing is asked of a model, nobody gets a message.
"""

import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from federation.settings import Settings
from managers.uim.doctor.beside import beside
from managers.uim.doctor.endpoints import Endpoint, endpoints, trusted
from managers.uim.doctor.finding import OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

ANSWERS = Code("reach.answers", OK, "it takes connections, with a certificate that is trusted where it has TLS")
SILENT = Code(
    "reach.silent",
    WARNING,
    "what a setting names cannot be reached",
    "see that it runs, that its address is right, and that no firewall is in between",
)
TLS = Code(
    "reach.tls",
    WARNING,
    "its certificate is not trusted, or it does not speak TLS",
    "renew it there, or have this machine trust who signed it",
)
ILL = Code(
    "reach.ill",
    WARNING,
    "a vLLM server says that it is not well; others answer, or the embedded policy",
    "see its log; start it again",
)

PATIENCE = 5.0  # seconds for all of them together
_ONE = 3.0  # seconds for a connection


class Answer(NamedTuple):
    """problem: why there is no connection. tls: why its certificate does not do. status: of its health; 0: not asked.
    Empty, empty: it is well."""

    problem: str = ""
    tls: str = ""
    status: int = 0


def check(here: Here) -> Iterator[Finding]:
    yield from of(here.settings, PATIENCE)


def of(settings: Settings, patience: float) -> Iterator[Finding]:
    found = list(endpoints(settings))
    for one, answer in zip(found, beside([partial(observe, one) for one in found], patience), strict=True):
        if isinstance(answer, Answer):
            yield judge(one, answer)
        elif isinstance(answer, TimeoutError):
            yield judge(one, Answer(f"no answer within {patience:g} s"))
        else:
            yield judge(one, Answer(type(answer).__name__))


def observe(one: Endpoint) -> Answer:
    if not one.host:
        return Answer("this is no address")
    try:
        with socket.create_connection((one.host, one.port), _ONE) as line:
            if one.tls:
                with trusted(one).wrap_socket(line, server_hostname=one.host):
                    pass
    except ssl.SSLError as error:
        return Answer(tls=str(getattr(error, "verify_message", "")) or error.reason or "no TLS")
    except OSError as error:
        return Answer(problem=error.strerror or str(error) or type(error).__name__)
    return Answer(status=_health(one.health) if one.health else 0)


def _health(url: str) -> int:
    import httpx  # noqa: PLC0415

    try:
        return httpx.get(url, timeout=_ONE, trust_env=False).status_code
    except httpx.HTTPError:
        return -1


def judge(one: Endpoint, answer: Answer) -> Finding:
    where = f"the proxy {one.at}, before {one.via}," if one.via else one.at
    if answer.problem:
        return SILENT.found(f"{where}: {answer.problem}", one.setting)
    if answer.tls:
        return TLS.found(f"{where}: {answer.tls}", one.setting)
    if answer.status and answer.status != 200:
        said = f"/health answers {answer.status}" if answer.status > 0 else "/health does not answer"
        return ILL.found(f"{where}: {said}", one.setting)
    return ANSWERS.found(f"{where} answers", one.setting)
