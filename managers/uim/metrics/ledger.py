"""The log: how large, how fast, who holds it, and how long a commit takes."""

from collections.abc import Iterator

from federation.clock import SECOND
from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

RECORDS = Family("gauge", "elias_ledger_records", "records in the ledger")
BYTES = Family("gauge", "elias_ledger_bytes", "size of its files; not told where a database server keeps it")
AGE = Family("gauge", "elias_ledger_age_seconds", "since its last record; time passing is itself on record")
EPOCH = Family("gauge", "elias_ledger_epoch", "epoch of whoever may append")
LEASE = Family("gauge", "elias_ledger_lease_seconds", "until the lease of that epoch ends, unless it is renewed")
APPENDED = Family("counter", "elias_ledger_appended_records_total", "records that this appender has committed")
GROUP = Family("histogram", "elias_ledger_commit_records", "records that shared one commit")
SECONDS = Family("histogram", "elias_ledger_commit_seconds", "of one commit, until the database has it")

FAMILIES = (RECORDS, BYTES, AGE, EPOCH, LEASE, APPENDED, GROUP, SECONDS)


def lines(scrape: Scrape) -> Iterator[str]:
    head, lease, appender = scrape.head, scrape.lease, scrape.healths.get("appender") or {}
    yield from RECORDS.one(head and head.size)
    yield from BYTES.one(scrape.size)
    yield from AGE.one(head and max(0, scrape.now - head.time) / SECOND)
    yield from EPOCH.one(lease and lease.epoch)
    yield from LEASE.one(lease and (lease.expires - scrape.now) / SECOND)
    yield from APPENDED.one(appender.get("appended"))
    yield from GROUP.one(appender.get("group"))
    yield from SECONDS.one(appender.get("seconds"))
