"""Secrets: where they are, whether others may read them, and how none of them is ever told."""

import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from federation.runtime.credentials import tls_folder, token_file
from federation.settings import Settings
from managers.uim import tls
from managers.uim.access.database import FILE as ACCOUNTS
from managers.uim.cli import signed_in
from managers.uim.doctor.finding import ERROR, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

PRIVATE = Code("secrets.private", OK, "every secret that was found is for its owner alone")
OPEN = Code(
    "secrets.open",
    ERROR,
    "other users of this machine may read a secret",
    "`chmod 600` it; if others may have read it, replace it",
)
SHARED = Code(
    "secrets.shared",
    WARNING,
    "every user of this machine may read a secret that a setting names",
    "`chmod o=` it",
)
UNREADABLE = Code(
    "secrets.unreadable",
    ERROR,
    "a file that holds a secret cannot be read",
    "correct the setting, or the owner of the file",
)
EMPTY = Code("secrets.empty", ERROR, "a file that should hold a secret is empty", "write the secret into it, alone")
NOT_SET = Code(
    "secrets.not_set",
    WARNING,
    "a variable that a setting names is not set in this shell; ELIAS may have been started with it",
    "set it in the environment that ELIAS starts in",
)

SHORTEST = 3  # characters of a secret that is looked for in texts: shorter ones are parts of ordinary words
_LARGEST = 64 << 10  # bytes of a file that are a secret
# In a URL: a password, or a user that is so long that it is a token.
_LOGIN = re.compile(r"(?<=://)(?:([^/\s?#:@]*:)[^/\s?#]*|[^/\s?#:@]{16,})@")


class Named(NamedTuple):
    """A secret that a setting names, by variable or by file."""

    setting: str
    env: str = ""
    file: Path | None = None


class File(NamedTuple):
    """mode: of the file, its lower bits. ours: it lies in the state folder; others are named by a setting, and hold a
    secret alone. problem: why it cannot be read; empty: it can."""

    place: str
    mode: int = 0o600
    size: int = 1
    ours: bool = True
    problem: str = ""


def named(settings: Settings) -> Iterator[Named]:
    """All of them that are set."""
    for number, provider in enumerate(settings.advisors.providers):
        yield Named(f"advisors.providers.{number}", provider.key_env, provider.key_file)
    targets = {f"targets.{name}": target for name, target in settings.targets.items()}
    for name, target in {**targets, "alertmanager": settings.alertmanager, "prometheus": settings.prometheus}.items():
        for kind in ("secret", "url", "password"):
            yield Named(f"{name}.{kind}", getattr(target, f"{kind}_env", ""), getattr(target, f"{kind}_file", None))
    yield Named("kubernetes.kubeconfig", "", settings.kubernetes.kubeconfig)
    yield Named("policy.key_file", "", settings.policy.key_file)
    yield Named("ray.redis.password_file", "", settings.ray.redis.password_file)
    yield Named("listen.key", "", settings.listen.key)
    if settings.access.oidc is not None:
        yield Named("access.oidc.secret_env", settings.access.oidc.secret_env)


def kept(settings: Settings) -> list[Path]:
    """Files of ours that nobody else may read."""
    state = settings.state
    names = ("token", ACCOUNTS, "ledger.db", "ledger.db-wal", "ledger.db-index")
    peers = (settings.peers_folder / name for name in ("signing.key", "key.pem"))
    return [*(state / name for name in names), *_of_cluster(state), *peers, tls.ours(state).key, signed_in.path()]


def _of_cluster(state: Path) -> Iterator[Path]:
    """Of the one that begins here, and of the one that was joined."""
    for head in (True, False):
        yield token_file(state, head=head)
        yield from (tls_folder(state, head=head) / name for name in ("key.pem", "ca-key.pem"))


def check(here: Here) -> Iterator[Finding]:
    settings = here.settings
    files = [observe(path) for path in kept(settings) if path.exists()]
    wanted = [] if here.role == "node" else list(named(settings))  # a node has those of its head
    files += [observe(one.file, one.setting) for one in wanted if one.file is not None]
    missing = [one for one in wanted if one.env and not os.environ.get(one.env)]
    yield from judge(files, missing)


def observe(path: Path, setting: str = "") -> File:
    place, ours = f"{setting}: {path}" if setting else str(path), not setting
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        return File(place, ours=ours, problem=error.strerror or str(error))
    return File(place, stat.S_IMODE(found.st_mode), found.st_size, ours)


def judge(files: Iterable[File], missing: Iterable[Named]) -> Iterator[Finding]:
    """missing: that a setting names by a variable which is not set."""
    files, missing = list(files), list(missing)
    sound = 0
    for file in files:
        if file.problem:
            yield UNREADABLE.found(file.problem, file.place)
        elif file.ours and file.mode & 0o077:
            yield OPEN.found(f"its mode is {file.mode:04o}", file.place)
        elif file.mode & 0o007:
            yield SHARED.found(f"its mode is {file.mode:04o}", file.place)
        elif not file.ours and not file.size:
            yield EMPTY.found("it is empty", file.place)
        else:
            sound += 1
    for one in missing:
        yield NOT_SET.found(f"`{one.env}` is not set here", one.setting)
    if sound == len(files) and not missing:
        yield PRIVATE.found(f"{sound} files with secrets, for their owner alone")


def values(settings: Settings | None) -> frozenset[str]:
    """Every secret that this installation has, as far as it can be read here."""
    if settings is None:
        return frozenset()
    found: set[str] = set()
    for one in named(settings):
        found.add(os.environ.get(one.env, "") if one.env else "")
        found |= _of_file(one.file)
    for path in (settings.state / "token", *_of_cluster(settings.state), tls.ours(settings.state).key):
        found |= _of_file(path)
    found |= _of_login()
    urls = [settings.ledger.url, settings.mlflow.uri, settings.alertmanager.url, settings.telemetry.traces.endpoint]
    urls += [str(getattr(target, "url", "")) for target in settings.targets.values() if target.kind == "webhook"]
    urls += [one for one in found if "://" in one]  # the address of a chat
    for url in urls:
        found |= _of_url(url)
    return frozenset(one for one in found if len(one) >= SHORTEST)


def _of_file(path: Path | None) -> set[str]:
    """What it holds: a word, the lines of a key, or in a longer text what may be a token."""
    try:
        text = path.read_bytes()[:_LARGEST].decode("utf-8", "replace").strip() if path is not None else ""
    except OSError:
        return set()
    lines = [line.strip() for line in text.splitlines() if not line.startswith("-----")]
    return {text, *lines, *(word for line in lines for word in line.split() if len(word) >= 16)}


def _of_login() -> set[str]:
    try:
        return {json.loads(signed_in.path().read_bytes())["session"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _of_url(url: str) -> set[str]:
    """Its password, and what its path and query may hold: of a webhook those are the key."""
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return set()
    long = {one for one in re.split(r"[/?&=;]", f"{parts.path}?{parts.query}") if len(one) >= 16}
    return {password, unquote(password), *long}


class Mask:
    """Takes secrets out of a text wherever they stand, also inside of words, encoded for a URL or escaped."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest)) or r"(?!)")

    def text(self, text: str) -> str:
        masked = self._pattern.sub("<secret>", text)
        return _LOGIN.sub(lambda found: f"{found[1] or ''}<secret>@", masked)

    def finding(self, finding: Finding) -> Finding:
        seen, place, cure = map(self.text, (finding.seen, finding.place, finding.cure))
        return Finding(finding.code, finding.severity, seen, place, cure)


def _forms(secret: str) -> set[str]:
    written = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return {*written, *(unicodedata.normalize("NFKC", one) for one in written)}
