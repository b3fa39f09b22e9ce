"""What was in force when, by whose word, from the ledger; and what a word like `2026.10` or a digest means in it."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from federation.errors import Refused
from federation.ledger.store import Store
from federation.records import BundleText, Kind, Record, decode

_PAGE = 100


class Entry(NamedTuple):
    """A bundle put in force by record `seq` at ledger time `time` (ns). signatures: how many it carries; who made
    them is said by whoever trusts keys. The rest is as in `BundleText`."""

    seq: int
    time: int
    digest: str
    version: str
    origin: str
    by: str
    reason: str
    signatures: int
    uncovered: dict[str, str]


def history(store: Store, limit: int = 50, before: int | None = None) -> list[Entry]:
    """Newest first; the next page is `before` the last one's seq."""
    return [_entry(record) for record in store.latest(limit, kinds=[Kind.BUNDLE], before=before)]


def before(digests: Iterable[str], now: str) -> str:
    """What was in force before `now` came into force; digests newest first. Raises Refused where nothing else was."""
    since = itertools.dropwhile(lambda digest: digest != now, digests)
    other = next((digest for digest in since if digest not in (now, "")), None)
    if other is None:
        cure = "`elias bundle history` lists what was in force; name a digest or `--to VERSION`"
        raise Refused("no-bundle-before", "no other bundle was in force before this one", cure=cure)
    return other


def find(store: Store, wanted: str) -> BundleText:
    """The newest record of a bundle by digest (its first 6 digits or more) or version. Raises Refused when there is
    none, or several that differ."""
    found: dict[str, int] = {}
    for entry in _all(store) if wanted else ():
        if wanted in (entry.version, entry.digest) or (len(wanted) >= 6 and entry.digest.startswith(wanted)):
            found.setdefault(entry.digest, entry.seq)
    if not found:
        what = f"no bundle of digest or version `{wanted[:80]}` was in force"
        raise Refused("no-bundle", what, cure="`elias bundle history` lists them; `elias bundle activate` takes a file")
    if len(found) > 1:
        what = f"`{wanted}` is {len(found)} different bundles: {', '.join(list(found)[:5])}"
        raise Refused("bundle-ambiguous", what, cure="name the digest")
    (seq,) = found.values()
    (record,) = store.read(after=seq - 1, upto=seq)
    text: BundleText = decode(Kind.BUNDLE, record.body)
    return text


def namesake(store: Store, version: str, digest: str) -> str | None:
    """The digest of another bundle that was in force under this version; None: there is none."""
    others = (entry.digest for entry in _all(store) if entry.version == version and entry.digest != digest)
    return next(others, None)


def _all(store: Store) -> Iterator[Entry]:
    before = None
    while entries := history(store, _PAGE, before):
        yield from entries
        before = entries[-1].seq


def _entry(record: Record) -> Entry:
    header = record.header
    try:
        brief = msgspec.json.decode(record.body, type=_Brief)
    except msgspec.MsgspecError:  # somebody has written into the database; it was never used
        brief = _Brief("", origin="unreadable")
    fields = (brief.digest, brief.version, brief.origin, brief.by, brief.reason)
    return Entry(header.seq, header.time, *fields, len(brief.signatures), brief.uncovered)


class _Brief(msgspec.Struct):
    """A record without its texts."""

    digest: str
    version: str = ""
    origin: str = "folder"
    by: str = ""
    reason: str = ""
    signatures: list[msgspec.Raw] = []
    uncovered: dict[str, str] = {}
