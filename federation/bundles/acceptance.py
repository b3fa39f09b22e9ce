"""The check before use: every process that decides by a bundle makes it for itself, on what it got from the ledger and
with the keys of its own settings.

So neither whoever speaks for the gate nor whoever writes into the database can put rules in force: what does not stand
up to the check is refused, and what was in force stays.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

import tiki
from federation.bundles import artefact
from federation.bundles.artefact import Artefact, Content
from federation.clock import SECOND
from federation.errors import Refused
from federation.ledger.store import Store
from federation.records import BundleText, Kind, Record, decode

PLACE = "the bundle"
_PAGE = 20  # records read at a time: nearly always the first one stands


class Accepted(NamedTuple):
    """A bundle that may be used, with its record."""

    text: BundleText
    bundle: tiki.Bundle


class Refusal(NamedTuple):
    """Why the bundle of record `seq` is not used here."""

    seq: int
    why: str


class Acceptance:
    """points: of this ELIAS. trust: folder of public keys, read at each check, so that a key that is added or taken
    away counts at once. require: whether a signature is needed. place: what refusals name.

    accepted: what this process decides by. refused: why not by the newest bundle on record; None: it does.
    """

    accepted: Accepted

    def __init__(
        self, points: Mapping[str, tiki.Point], trust: Path | None, *, require: bool, place: str = PLACE
    ) -> None:
        self.points = points
        self.versions = {name: point.version for name, point in points.items()}
        self.trust, self.require, self.place = trust, require, place
        self.refused: Refusal | None = None
        self._compiled: tiki.Bundle | None = None  # the last: who lost the log asks for it again

    def bundle(self, text: BundleText, at: int) -> tiki.Bundle:
        """What this record puts in force at ledger time `at` (ns). Raises Refused for what may not come into force:
        changed, not signed by a key that counts, of another language or for other points, expired, or not sound.
        """
        self.check(text, at)
        if self._compiled is not None and self._compiled.digest == text.digest:
            return self._compiled
        try:
            self._compiled = tiki.rebuild(text.sources, self.points)
        except tiki.Invalid as error:
            cure = "correct the specs and build it anew; `elias tiki check` shows the same"
            raise Refused("bundle-unsound", str(error), place=self.place, cure=cure) from None
        return self._compiled

    def check(self, text: BundleText, at: int) -> None:
        """All of `bundle` but the compilation."""
        content = content_of(text)
        artefact.check_digest(content, self.place)
        if self.require:
            self.signers(text)
        artefact.check_expiry(content, datetime.fromtimestamp(at / SECOND, UTC), self.place)
        artefact.check_language(content, self.place)
        artefact.check_points(content, self.versions, self.place)

    def signers(self, text: BundleText) -> tuple[str, ...]:
        """Who signed it, by the names of the keys that are trusted here. Raises Refused where nobody did."""
        if self.trust is None:
            cure = "set `bundles.trust` in elias.yaml to the folder of the public keys that count"
            raise Refused("no-keys", "no key is trusted here", place=self.place, cure=cure)
        from federation.bundles.keys import trusted  # noqa: PLC0415 - OpenSSL, which most installations need not load
        from federation.bundles.signing import signers  # noqa: PLC0415

        return signers(content_of(text), text.signatures, trusted(self.trust), self.place)

    def accept(self, accepted: Accepted) -> None:
        """Decide by this from now on."""
        self.accepted, self.refused = accepted, None

    def take(self, record: Record, in_use: tiki.Bundle) -> tiki.Bundle:
        """The bundle to decide by once this record is there: its own, or the one in use where that is refused."""
        try:
            text = text_of(record)
            if text.digest == in_use.digest:
                self.check(text, record.header.time)
                self.accept(Accepted(text, in_use))
            else:
                self.accept(Accepted(text, self.bundle(text, record.header.time)))
        except Refused as error:
            self.refused = Refusal(record.header.seq, str(error))
            return in_use
        return self.accepted.bundle

    def newest(self, store: Store) -> Accepted | None:
        """What is in force: the newest bundle on record that stands up to the check. None: there is none, or the
        newest was made for other points, and whoever puts bundles in force has to bring it up to date first.
        """
        self.refused = None
        before = None
        while found := store.latest(_PAGE, kinds=[Kind.BUNDLE], before=before):
            for record in found:
                try:
                    text = text_of(record)
                    self.accepted = Accepted(text, self.bundle(text, record.header.time))
                    return self.accepted
                except Refused as error:
                    self.refused = self.refused or Refusal(record.header.seq, str(error))
                    if error.code == "bundle-points":
                        return None
            before = found[-1].header.seq
        return None


def text_of(record: Record) -> BundleText:
    """Raises Refused when the record cannot be read."""
    try:
        text: BundleText = decode(Kind.BUNDLE, record.body)
    except msgspec.MsgspecError as error:
        cure = "`elias ledger verify` names the first record that was changed"
        raise Refused("bundle-record", f"the record cannot be read: {error}", place=PLACE, cure=cure) from None
    return text


def content_of(text: BundleText) -> Content:
    """What its signatures are about."""
    return Content(text.digest, text.version, text.language, text.expires, text.versions, text.sources)


def artefact_of(text: BundleText) -> Artefact:
    """The file again, as it was put in force."""
    return Artefact(artefact.FORMAT, content_of(text), text.signatures)


def record_of(given: Artefact, *, origin: str, by: str, reason: str) -> BundleText:
    """The record that puts an artefact in force."""
    content = given.content
    return BundleText(
        content.digest,
        content.texts,
        content.points,
        version=content.version,
        language=content.language,
        expires=content.expires,
        signatures=given.signatures,
        origin=origin,
        by=by,
        reason=reason,
    )
