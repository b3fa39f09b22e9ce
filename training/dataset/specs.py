"""What the specs of the past set, by the bundle that was in force."""

from collections.abc import Mapping
from typing import Any

import tiki
from federation.ledger.store import Store
from federation.records import BundleText, Kind, Record, decode
from tiki import Point, Source
from tiki.diagnostics import Report, errors
from tiki.groups import check_group, groups
from tiki.merge import OVERLAYS, place
from tiki.values import Mark

Settings = Mapping[str, Any]
"""Of a point, by name, in canonical units (`tiki.Program.settings`)."""


class Specs:
    """Of the first `upto` records of a ledger. Bundles are read as they are asked for: a year has many."""

    def __init__(self, store: Store, points: Mapping[str, Point], upto: int) -> None:
        self._store, self._points = store, points
        self._seqs: dict[str, int] = {}
        for record in store.read(upto=upto, kinds=[Kind.BUNDLE]):
            self._seqs.setdefault(_text(record).digest, record.header.seq)
        self._known: dict[tuple[str, str], Settings | None] = {}

    def settings(self, bundle: str, point: str) -> Settings | None:
        """None: this bundle is not on record, or its specs of the point have errors by the point's schema of now."""
        key = bundle, point
        if key not in self._known:
            self._known[key] = self._read(bundle, point)
        return self._known[key]

    def _read(self, bundle: str, point: str) -> Settings | None:
        seq = self._seqs.get(bundle)
        if seq is None:
            return None
        (record,) = self._store.read(after=seq - 1, upto=seq, kinds=[Kind.BUNDLE])
        return settings_of(_text(record).sources, self._points, point)


def settings_of(texts: Mapping[str, str], points: Mapping[str, Point], point: str) -> Settings | None:
    """texts: of a bundle, by path. Other points may have changed since, or be gone: only what the bundle says of this
    one, and of those that a spec joins with it, has to make sense today."""
    documents = {path: tiki.read(Source(path, text)) for path, text in sorted(texts.items())}
    base = [one for path, one in documents.items() if not path.startswith(OVERLAYS)]
    overlays = [one for path, one in documents.items() if path.startswith(OVERLAYS)]
    placed = place(base, overlays, points, Report())
    group = next(one for one in groups(placed, points) if point in one.names)
    checked = check_group(group)
    if errors([*checked.found, *(found for one in documents.values() for found in one.diagnostics)]):
        return None
    declared = {setting.name for setting in points[point].settings}  # those of the language are no policy's business
    settings = checked.plans[point].settings
    return {name: value for name, value in settings.items() if name in declared and not isinstance(value, Mark)}


def _text(record: Record) -> BundleText:
    text: BundleText = decode(Kind.BUNDLE, record.body)
    return text
