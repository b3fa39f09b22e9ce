"""What of the state folder goes into a back-up: what ELIAS can make anew neither from the ledger nor at its next start.

A file that nobody has thought of goes in: too much in a back-up costs room, too little costs more. `docs/operate/
backup.md` has the same table.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from sqlalchemy import Engine, func, insert, inspect, select
from sqlalchemy.engine import make_url

from federation import privatefile
from federation.errors import Refused
from federation.ledger import engines
from federation.ledger.backup.archive import STATE, Part, Reader, Writer, is_backup, sync
from federation.ledger.faults import mapped
from federation.ledger.verify import Progress
from federation.settings import Settings
from managers.uim.access import database

ACCESS = "access"
"""The part of a back-up with accounts and tokens: msgpack, table -> rows. People sign in again, so no session is in it,
and none that was ended comes back."""

LEFT = {
    "ledger.db*": "the back-up holds the records themselves",
    "access.db*": "the back-up holds its accounts and tokens",
    "elias.pid": "names a process",
    "ray.json": "names processes",
    "*.lock": "held by processes",
    "joined.*": "`elias join` brings it",
    "heads": "agents are told it anew",
    "machine": "stands for one machine, and two with the same would both be the head",
    "logs": "of processes that have ended",
    "*.log": "of processes that have ended",
    "nodes/*/agent.up": "says that an agent runs",
    "nodes/*/leave": "says that it is to end",
    "nodes/*/apps": "processes of that machine, with their logs",
    "trainings": "ULM asks for another",
    "evaluations": "made from policies",
    "models": "made by trainings",
    "mlflow*": "made from the ledger",
    "ulm/mlflow.yaml": "made from the settings",
}
"""What stays out, with all below it, and why."""

_PIECE, _LARGE = 2**20, 2**24  # bytes
_TABLES = {table.name: table for table in (database.accounts, database.tokens)}


class Put(NamedTuple):
    """Files and accounts that were put in place, and files that were there already and stay."""

    files: list[str]
    there: list[str]
    accounts: int


def save(settings: Settings, writer: Writer, progress: Progress | None = None) -> int:
    """How many files were written into the back-up. After the ledger, so that what executors remember is never older
    than what is on record. Refused: one cannot be read."""
    writer.add(ACCESS, msgspec.msgpack.encode(_access(settings)))
    paths, count = list(_files(settings.state)), 0
    for number, path in enumerate(paths):
        if progress is not None:
            progress(number, len(paths))
        name = f"{STATE}{path.relative_to(settings.state).as_posix()}"
        try:
            if path.suffix == ".db":
                writer.add(name, _database(path))
            else:
                _copy(writer, name, path)
        except FileNotFoundError:
            continue  # it ended meanwhile, as `bundle.next` does
        except (PermissionError, sqlite3.Error) as error:
            cure = "run it as the user who runs ELIAS; `--ledger-only` leaves the state folder out"
            raise Refused("backup.state", f"it cannot be read: {error}", place=str(path), cure=cure) from None
        count += 1
    return count


def load(settings: Settings, reader: Reader) -> Put:
    """Puts the files of a back-up into the state folder, readable by their owner alone. What is there stays: it is
    newer, or somebody's."""
    put, state = Put([], [], 0), settings.state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, part in reader.members():
        if name == ACCESS:
            put = put._replace(accounts=_enter(settings, reader, part.read()))
        elif name.startswith(STATE):
            path = PurePosixPath(name.removeprefix(STATE))
            if path.is_absolute() or ".." in path.parts or left(path):
                raise reader.damaged(name, "no back-up holds such a file")
            there = (state / path).exists()
            if not there:
                _write(state / path, part)
            (put.there if there else put.files).append(str(path))
    return put


def left(path: PurePosixPath) -> bool:
    """path: within the state folder."""
    return path.name.endswith(("-wal", "-shm", ".new")) or any(_below(path, pattern) for pattern in LEFT)


def _below(path: PurePosixPath, pattern: str) -> bool:
    parts = pattern.split("/")
    return len(path.parts) >= len(parts) and all(map(fnmatchcase, path.parts, parts))


def _files(state: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(state, followlinks=True):  # policies may lie on a larger disk
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not left(PurePosixPath((here / name).relative_to(state))))
        for path in (here / name for name in sorted(names)):
            hidden = path.name.startswith(".")  # on its way to another name
            if hidden or not path.is_file() or left(PurePosixPath(path.relative_to(state))):
                continue
            if not is_backup(path):  # or each would hold those before it
                yield path


def _copy(writer: Writer, name: str, path: Path) -> None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LARGE:  # written once, and then renamed
            writer.copy(name, file, size)
        else:
            writer.add(name, file.read())


def _database(path: Path) -> bytes:
    """A SQLite file as of one moment, also while it is written."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return connection.serialize()


def _write(path: Path, part: Part) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    privatefile.write_pieces(path, iter(partial(part.read, _PIECE), b""))
    sync(path.parent)


# Accounts and tokens


def _access(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    engine, place = _engine(settings)
    if engine is None:
        return {}
    try:
        with mapped(place), engine.connect() as connection:
            there = inspect(connection).get_table_names()
            return {
                name: [dict(row._mapping) for row in connection.execute(select(table))]
                for name, table in _TABLES.items()
                if name in there
            }
    finally:
        engine.dispose()


def _engine(settings: Settings) -> tuple[Engine | None, str]:
    address = make_url(settings.ledger_url)
    if address.get_backend_name() == "postgresql":
        return engines.postgres_engine(address, read_only=True), address.render_as_string(hide_password=True)
    path = settings.state / database.FILE
    return engines.sqlite_engine(path, read_only=True) if path.exists() else None, str(path)


def _enter(settings: Settings, reader: Reader, content: bytes) -> int:
    """How many accounts were added: all, where there are none yet."""
    try:
        rows = msgspec.msgpack.decode(content, type=dict[str, list[dict[str, Any]]])
    except msgspec.MsgspecError:
        raise reader.damaged(ACCESS) from None
    db = database.Database.open(settings)
    try:
        with db.begin() as connection:
            if any(connection.execute(select(func.count()).select_from(table)).scalar() for table in _TABLES.values()):
                return 0
            for name, table in _TABLES.items():
                if rows.get(name):
                    connection.execute(insert(table), rows[name])
    finally:
        db.close()
    return len(rows.get(database.accounts.name, ()))
