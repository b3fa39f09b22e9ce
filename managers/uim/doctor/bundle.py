"""A file for whoever is asked for help: what `elias doctor` finds, and what is needed to follow it. Without secrets.

Everything passes two nets: the secrets of this installation as they stand, and the scrubber of the advisors, which
knows secrets, addresses, paths and names by their form. The same thing has the same placeholder in all files. No body
of a record is in it, and no output of a job or an application.
"""

import gzip
import io
import json
import os
import platform
import re
import socket
import tarfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

import tiki
from federation import privatefile
from federation.advisors.scrub import Scrubber
from federation.errors import EliasError, Refused
from federation.ledger import engines, tables
from federation.ledger.faults import mapped
from federation.ledger.store import Store
from federation.runtime.session import Session
from federation.settings import Settings
from managers.uim import tokens
from managers.uim.access import database
from managers.uim.doctor import checks, secrets, serving, versions
from managers.uim.doctor.beside import Tell, beside
from managers.uim.web.settings import rows

MOST = 2 << 20  # bytes of the end of each log
LONGEST = 256  # characters of a word; the time to scrub it grows with their square, and at 7,000 is a second
PATIENCE = 60.0  # seconds for the facts: the kinds of a ledger of 10 million records are counted in some ten

_README = """What somebody needs to help with an ELIAS, written by `elias support`.

{files}

Secrets, addresses, paths and names were taken out: `<host 1>` is the same host in every file. What takes them out
knows them by their form, by the settings of this installation, and other machines by what ELIAS says of its nodes
while it runs. It may miss one, such as the name of a project that a person wrote into a rule, or a host whose name has
two letters. LOOK AT EVERY FILE BEFORE YOU SEND IT.
"""
_ABOUT = {
    "doctor.json": "what `elias doctor` found",
    "settings.txt": "every setting; what may hold a secret is not shown",
    "versions.json": "the system, Python, and every package installed beside ELIAS",
    "status.json": "the processes and nodes, if ELIAS answers",
    "ledger.json": "size, head, and how many records of each kind; no record",
    "ray.json": "the Ray session: its processes and their memory",
}
_LOGS = ("elias.log", "logs/*.log")
# Of Ray's own logs those of its services: what jobs and their workers print is their users'.
_RAY = ("start.log", "session_latest/logs/gcs_server*", "session_latest/logs/raylet*", "session_latest/logs/dashboard*")
_ELSEWHERE = re.compile("^(slurm|kubernetes):")
_LONG = re.compile(rf"\S{{{LONGEST + 1},}}")
_KNOWN = ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::")  # noqa: S104 - they say nothing about anybody


def write(file: Path, load: Callable[[], Settings], tell: Tell = lambda done, total: None) -> list[str]:
    """The names of what is in it. Raises Refused where it cannot be written."""
    found = collect(load, tell)
    try:
        privatefile.write(file, packed(found))
    except OSError as error:
        cure = "name a file in a folder that exists"
        raise Refused("support-file", error.strerror or str(error), place=str(file), cure=cure) from None
    return sorted(found)


def collect(load: Callable[[], Settings], tell: Tell = lambda done, total: None) -> dict[str, str]:
    """Each file's text by its name, ready to be sent. Facts that cannot be had say why."""
    findings = [asdict(one) for one in checks.examine(load)]
    try:
        settings = load()
    except Refused:
        settings = None
    facts: dict[str, Callable[[], Any]] = {"doctor.json": lambda: findings, "versions.json": _versions}
    if settings is not None:
        facts["status.json"] = partial(serving.status, settings)
        facts["ledger.json"] = partial(_ledger, settings)
        facts["ray.json"] = partial(_ray, settings)
    answers = beside(list(facts.values()), PATIENCE)
    clean = Cleaner(settings, _machines(dict(zip(facts, answers, strict=True)).get("status.json")))
    logs = list(_logs(settings)) if settings is not None else []
    tell(1, 2 + len(logs))
    texts = {
        name: clean.json(_why(answer) if isinstance(answer, Exception) else answer)
        for name, answer in zip(facts, answers, strict=True)
    }
    if settings is not None:
        shown = rows(settings.model_dump(mode="json"))
        texts["settings.txt"] = "".join(f"{clean.text(f'{name}: {value}')}\n" for name, value in shown)
        for number, path in enumerate(logs):
            if text := clean.log(read(path)):
                texts[f"logs/{path.name}"] = text
            tell(2 + number, 2 + len(logs))
    about = {name: _ABOUT[name] for name in sorted(_ABOUT) if name in texts}
    listed = [f"{name:<15}{words}" for name, words in about.items()]
    listed.append(f"{'logs/':<15}the last {MOST >> 20} MiB of each log of ELIAS and of Ray's services")
    texts["README.txt"] = _README.format(files="\n".join(listed))
    tell(2 + len(logs), 2 + len(logs))
    return texts


def _why(error: Exception) -> dict[str, str]:
    return {"unknown": str(error) if isinstance(error, EliasError | TimeoutError) else type(error).__name__}


class Cleaner:
    """Takes out what must not leave, with the same placeholder for the same thing throughout."""

    def __init__(self, settings: Settings | None, machines: Collection[str] = ()) -> None:
        """machines: names of nodes, beside those that this one knows."""
        words = settings.advisors.withhold if settings else ()
        self._mask = secrets.Mask(secrets.values(settings))
        self._scrubber = Scrubber(_hosts(settings) | {*machines}, _users(settings), words, _declared())
        # What is installed is ours, and where it lies is not.
        self._roots = sorted({str(Path(one.__path__[0]).parent) + "/" for one in (tiki, psutil)}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for root in self._roots:
            text = text.replace(root, "")
        return self._scrubber.text(self._mask.text(text))

    def json(self, data: Any) -> str:
        return json.dumps(self._values(data), ensure_ascii=False, indent=2) + "\n"

    def log(self, raw: bytes) -> str:
        """raw: whole lines, as `ending` gives them."""
        whole = self._mask.text(raw.decode("utf-8", "replace"))
        return self.text(_LONG.sub(lambda found: f"<word of {len(found[0])} characters>", whole))

    def _values(self, data: Any) -> Any:
        """Names are values as well: some mappings are by node or by target."""
        if isinstance(data, Mapping):
            return {self.text(str(name)): self._pair(str(name), value) for name, value in data.items()}
        if isinstance(data, list | tuple):
            return [self._values(one) for one in data]
        return self.text(data) if isinstance(data, str) else data

    def _pair(self, name: str, value: Any) -> Any:
        """What the name says of the value counts: a password is known by that."""
        if isinstance(value, str):
            before, whole = f"{self.text(name)}: ", self.text(f"{name}: {value}")
            return whole.removeprefix(before) if whole.startswith(before) else self.text(value)
        return self._values(value)


def ending(text: bytes, most: int = MOST) -> bytes:
    """The last bytes of a log, from the beginning of a line; and not from within a key, whose first line is gone."""
    if len(text) > most:
        _, _, text = text[-most:].partition(b"\n")
        key, end = text.find(b"-----END "), text.find(b"-----BEGIN ")
        if key >= 0 and not 0 <= end < key:
            _, _, text = text[key:].partition(b"\n")
    return text


def _logs(settings: Settings) -> Iterator[Path]:
    session = Session.of(settings.state)
    folders = [(settings.state, _LOGS)] + ([(Path(session.temp_dir), _RAY)] if session else [])
    for folder, patterns in folders:
        yield from sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def read(log: Path) -> bytes:
    """Its end, with what it was before it was rotated last."""
    try:
        parts = [_tail(path) for path in (log.with_name(f"{log.name}.1"), log) if path.exists()]
    except OSError as error:
        return f"it cannot be read: {error.strerror}".encode()
    return ending(b"".join(parts))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MOST - 1))
        return file.read(MOST + 1)


def _machines(status: Any) -> set[str]:
    """Names of all nodes, as far as ELIAS has told them."""
    nodes = status.get("nodes", ()) if isinstance(status, Mapping) else ()
    return {_ELSEWHERE.sub("", str(node.get("name", ""))) for node in nodes} - {""}


def _hosts(settings: Settings | None) -> set[str]:
    nodes = {path.name for path in settings.state.glob("nodes/*")} if settings else set()
    return {socket.gethostname(), socket.getfqdn(), *nodes} - {"localhost"}


def _users(settings: Settings | None) -> set[str]:
    """root is everywhere, and says nothing about anybody."""
    found = {psutil.Process().username()}
    if settings is not None:
        found |= _accounts(settings)
        if (settings.state / "token").exists():
            found.add(tokens.owner(settings.state))
    return found - {"root"}


def _accounts(settings: Settings) -> set[str]:
    """Names of people, as far as they can be had."""
    file, url = settings.state / database.FILE, settings.ledger_url
    names = select(database.accounts.c.name)
    try:
        if not url.startswith("postgresql"):
            engine = engines.sqlite_engine(file, read_only=True)
        else:
            engine = engines.postgres_engine(make_url(url), read_only=True)
        try:
            with mapped(str(file)), engine.connect() as connection:
                return set(connection.execute(names).scalars())
        finally:
            engine.dispose()
    except (EliasError, ArgumentError):
        return set()


def _declared() -> set[str]:
    """Names of ours that look like names of hosts: of our files, and of what can be found."""
    ours = {path.name for package in ("tiki", "federation", "managers") for path in _package(package).rglob("*.py")}
    return {*ours, *_KNOWN, *(one.name for one in checks.codes()), *_ABOUT}


def _package(name: str) -> Path:
    return Path(tiki.__file__).parents[1] / name


def _versions() -> dict[str, Any]:
    system = platform.uname()
    return {
        "system": f"{system.system} {system.release} {system.machine}",
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "cpus": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "wrong": [one._asdict() for one in versions.packages() if not one.found],
        "packages": dict(sorted({one.name: one.version for one in distributions()}.items())),
    }


def _ledger(settings: Settings) -> dict[str, Any]:
    """Raises what a Store does."""
    store = Store.open(settings.ledger_url, read_only=True)
    try:
        head, lease = store.head(), store.lease()
        kind = tables.records.c.kind
        counted = store.fetch(select(kind, func.count()).group_by(kind).order_by(kind))
        ((schema,),) = store.fetch(select(tables.schema.c.version))
    finally:
        store.close()
    address = make_url(settings.ledger_url)
    file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
    parts = {"database": "", "wal": "-wal", "index": "-index"}
    found = {part: file.with_name(file.name + end) for part, end in parts.items()} if file else {}
    return {
        "backend": address.get_backend_name(),
        "schema": schema,
        "records": head.size,
        "newest": _at(head.time),
        "epoch": lease.epoch,
        "lease_ends": _at(lease.expires),
        "kinds": {name: count for name, count in counted},
        "bytes": {part: path.stat().st_size for part, path in found.items() if path.exists()},
    }


def _ray(settings: Settings) -> dict[str, Any]:
    session = Session.of(settings.state)
    if session is None:
        return {"session": None}
    found = []
    for process in session.processes():
        try:
            with process.oneshot():
                found.append({"pid": process.pid, "name": process.name(), "bytes": process.memory_info().rss})
        except psutil.Error:
            continue
    return {
        "session": {"head": session.head, "serves": session.serves(), "address": session.address},
        "started": _at(round(session.started * 1e9)),
        "processes": found,
    }


def _at(time_ns: int) -> str:
    """UTC, to the second; empty for never."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns / 1e9)) if time_ns else ""


def packed(texts: Mapping[str, str]) -> bytes:
    """A .tar.gz that names no user."""
    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=whole, mode="wb", filename="") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in sorted(texts.items()):
            content = text.encode()
            entry = tarfile.TarInfo(f"elias-support/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return whole.getvalue()
