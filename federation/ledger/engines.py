"""How the ledger speaks to SQLite and to PostgreSQL: connections whose commits are durable, and the fast way in for
records."""

import logging
import os
import socket
import struct
import uuid
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert, text, update
from sqlalchemy.engine import URL, ExceptionContext

from federation.ledger.faults import sqlstate
from federation.ledger.tables import VERSION, kind_and_point, lease, metadata, records, schema

BUSY_SECONDS = 5
"""How long a statement waits for another writer before it gives up as Temporary."""

STILL_SECONDS = 2
"""How long PostgreSQL lets a session stand still inside a transaction. Shorter than BUSY_SECONDS: whoever waits for it
gets through."""

SILENT_SECONDS = (10, 5, 3)
"""When PostgreSQL asks a session that says nothing whether its machine is still there, how long it waits for a word,
and how often it asks. By itself it asks after two hours: until then a machine that was cut off keeps a dozen sessions.
"""

Row = tuple[int, int, int, str, int, str, str, str, str, int, bytes, bytes]
"""A row of `records`, in the order of its columns."""


def sqlite_engine(path: Path, *, read_only: bool = False, journal: str = "WAL") -> Engine:
    """An engine whose every commit is on the disk (synchronous=FULL) before it returns."""
    query = {"uri": "true", "mode": "ro" if read_only else "rwc"}
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query=query)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own idea of transactions stays out of ours
        if not read_only:
            connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16384")  # KiB; more than the largest commit of a busy federation
        # Pages in the write-ahead log before it is copied into the file, at most 32 MiB: each copy waits for the disk
        # twice, and a page that many commits touched is copied once.
        connection.execute("PRAGMA wal_autocheckpoint=8000")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_create(path: Path) -> None:
    """Makes a ledger under another name first: a file under its own name is a whole ledger, so an empty one there is
    damage."""
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        engine = sqlite_engine(new, journal="DELETE")
        create(engine)
        engine.dispose()
        os.link(new, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        new.unlink(missing_ok=True)


def postgres_engine(url: URL, *, read_only: bool = False) -> Engine:
    """An engine of pg8000 connections. The server ends a session that stands still inside a transaction, so a
    process that was paused there cannot hold the lease row locked."""
    engine = create_engine(url.set(drivername="postgresql+pg8000"), connect_args={"timeout": BUSY_SECONDS})
    # What a lost connection means is said where it is used; the pool would print how it failed to say goodbye to it.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        _tune(connection._usock)
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{STILL_SECONDS}s'")
        for setting, value in zip(("idle", "interval", "count"), SILENT_SECONDS, strict=True):
            cursor.execute(f"SET tcp_keepalives_{setting} = {value}")
        if read_only:
            cursor.execute("SET default_transaction_read_only = on")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def lost(context: ExceptionContext) -> None:
        # Of a session that the server ended pg8000 reports what it met: the server's word, or a socket's error. Either
        # way the connection is of no more use.
        error = context.original_exception
        if isinstance(error, OSError) or sqlstate(error).startswith(("08", "57P", "25P03")):
            context.is_disconnect = True

    return engine


def _tune(connection: socket.socket) -> None:
    """Sends at once, and notices within some ten seconds that the other machine is gone.

    pg8000 leaves Nagle's algorithm on, which with delayed acknowledgements costs 40 ms a commit, and offers no option.
    """
    connection.settimeout(None)  # the one for connecting; a query may take its time
    if connection.family != socket.AF_UNIX:
        for option, value in _TCP:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


_TCP = (
    (socket.TCP_NODELAY, 1),
    (socket.TCP_USER_TIMEOUT, 10_000),  # ms
    (socket.TCP_KEEPIDLE, 5),
    (socket.TCP_KEEPINTVL, 2),
    (socket.TCP_KEEPCNT, 3),
)


def create(engine: Engine) -> None:
    """All tables with their first rows, in one transaction."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Of two processes that start together the second waits here, and then finds everything made.
            connection.execute(text("SELECT pg_advisory_xact_lock(5121985)"))
        if not connection.dialect.has_table(connection, schema.name):
            metadata.create_all(connection)
            connection.execute(insert(lease).values(one=1, epoch=0, holder="", expires=0))
            connection.execute(insert(schema).values(version=VERSION))


def migrate(engine: Engine) -> None:
    """Brings a ledger of an older version to this one, in one transaction; nothing of its records changes."""
    with engine.begin() as connection:
        if connection.execute(update(schema).where(schema.c.version == 1).values(version=2)).rowcount:
            for index in ("records_kind", "records_point"):
                connection.exec_driver_sql(f"DROP INDEX {index}")
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("DROP INDEX records_decision")
            kind_and_point.create(connection)


_COLUMNS = ", ".join(column.name for column in records.columns)
_INSERT = f"INSERT INTO records ({_COLUMNS}) VALUES ({', '.join('?' for _ in records.columns)})"  # noqa: S608
_COPY = f"COPY records ({_COLUMNS}) FROM STDIN WITH (FORMAT BINARY)"


def insert_records(connection: Connection, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_INSERT, list(rows))
    else:
        # pg8000 turns each parameter into text in Python, character by character; COPY takes the bytes as they are.
        cursor = connection.connection.cursor()
        cursor.execute(_COPY, stream=BytesIO(_binary(rows)))  # type: ignore[call-arg]
        cursor.close()


_NUMBERS = struct.Struct("!hiqiqiq")
_NUMBER = struct.Struct("!iq")
_SHORT = struct.Struct("!ii")
_LENGTH = struct.Struct("!i")


def _binary(rows: Iterable[Row]) -> bytes:
    """Rows in PostgreSQL's binary COPY format: each field is its length in four bytes and then its bytes."""
    length = _LENGTH.pack
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for seq, time, epoch, writer, incarnation, kind, point, subject, decision, attempt, body, leaf in rows:
        parts.append(_NUMBERS.pack(len(records.columns), 8, seq, 8, time, 8, epoch))
        name = writer.encode()
        parts += (length(len(name)), name, _NUMBER.pack(8, incarnation))
        for value in (kind, point, subject, decision):
            encoded = value.encode()
            parts += (length(len(encoded)), encoded)
        parts += (_SHORT.pack(4, attempt), length(len(body)), body, length(len(leaf)), leaf)
    parts.append(b"\xff\xff")
    return b"".join(parts)
