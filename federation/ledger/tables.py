"""The tables of the ledger, the same on SQLite and on PostgreSQL."""

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, event

VERSION = 2
"""Of this schema. A ledger of a newer one is refused, never guessed at."""

metadata = MetaData()

# A sequence number is never reused, never chosen by the database.
records = Table(
    "records",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("writer", Text, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
)

# One index serves both ends: it finds the records of a decision, and it refuses a second asked or answered of the same
# attempt. For the other kinds its last column is null, and nulls are distinct. A SQLite ledger has a `Sidecar` instead.
# Written out: an `Index` with a condition loads PostgreSQL's dialect, 70 ms and 4 MB of every process that has SQLite.
_DECISION = DDL(  # type: ignore[no-untyped-call]
    "CREATE UNIQUE INDEX records_decision ON records"
    " (decision, kind, (CASE WHEN kind IN ('asked', 'answered') THEN attempt END)) WHERE decision <> ''"
)
event.listen(records, "after_create", _DECISION.execute_if(dialect="postgresql"))
kind_and_point = Index("records_kind_point", records.c.kind, records.c.point, records.c.seq)

lease = Table(
    "lease",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

writers = Table(
    "writers",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("incarnation", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

tiles = Table(
    "tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

schema = Table("ledger_schema", metadata, Column("version", Integer, nullable=False))
