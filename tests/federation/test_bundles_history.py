"""What was in force when, and what a digest or a version means in the history of a ledger."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from federation.bundles.acceptance import record_of
from federation.bundles.artefact import make
from federation.bundles.history import before, find, history, namesake
from federation.errors import Refused
from federation.local import points_of
from federation.points import versions
from federation.records import BundleText, Entry, Kind, encode
from tests.federation.lab import SPEC, Lab, Laboratory, bundle

FIRST = bundle().digest


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    made = Laboratory(tmp_path)
    yield made
    made.close()


def text(heat: int, version: str, **words: str) -> BundleText:
    spec = SPEC.replace("heat > 90%", f"heat > {heat}%")
    artefact = make({"lab.tiki": spec}, versions(points_of([Lab])), version)
    return record_of(artefact, origin="file", by=words.get("by", ""), reason=words.get("reason", ""))


def put(lab: Laboratory, *bodies: BundleText | bytes) -> None:
    for body in bodies:
        raw = body if isinstance(body, bytes) else encode(body)
        lab.federation._commit("gate", [Entry(Kind.BUNDLE, "", "", "", raw)])


def digests(lab: Laboratory) -> list[str]:
    return [entry.digest for entry in history(lab.store)]


def test_the_newest_comes_first_with_who_and_why(lab: Laboratory) -> None:
    put(lab, text(91, "1.0", by="ada", reason="the furnace was replaced"))
    last, first = history(lab.store)
    assert (last.version, last.by, last.reason, last.origin) == ("1.0", "ada", "the furnace was replaced", "file")
    assert (first.digest, first.version, first.origin) == (FIRST, "", "folder")
    assert last.time >= first.time
    assert history(lab.store, before=last.seq) == [first]


def test_a_row_that_cannot_be_read_is_shown_as_such(lab: Laboratory) -> None:
    put(lab, b"no JSON")
    assert [entry.origin for entry in history(lab.store)] == ["unreadable", "folder"]


def test_what_was_in_force_before_is_the_last_one_that_differs(lab: Laboratory) -> None:
    now = text(91, "1.0")
    put(lab, now, msgspec.structs.replace(now, version="1.0-again"), b"no JSON", text(95, "forged"))
    assert before(digests(lab), now.digest) == FIRST
    put(lab, text(92, "2.0"))
    assert before(digests(lab), text(92, "2.0").digest) == text(95, "any").digest


@pytest.mark.parametrize("now", [FIRST, "0" * 32])
def test_where_nothing_else_was_in_force_there_is_nothing_to_go_back_to(lab: Laboratory, now: str) -> None:
    with pytest.raises(Refused, match="no other bundle was in force"):
        before(digests(lab), now)


def test_a_bundle_is_found_by_digest_by_its_first_digits_and_by_version(lab: Laboratory) -> None:
    wanted = text(91, "1.0")
    put(lab, wanted, *(text(92, "2.0", by=str(n)) for n in range(120)))
    for word in (wanted.digest, wanted.digest[:6], "1.0"):
        assert find(lab.store, word) == wanted
    assert find(lab.store, "2.0").by == "119"


@pytest.mark.parametrize("word", ["9.9", "f" * 32, "", "12345"])
def test_what_never_was_in_force_is_not_found(lab: Laboratory, word: str) -> None:
    with pytest.raises(Refused, match="was in force") as refused:
        find(lab.store, word)
    assert "elias bundle history" in refused.value.cure


def test_one_version_for_two_bundles_is_told_and_not_guessed(lab: Laboratory) -> None:
    one, other = text(91, "1.0"), text(92, "1.0")
    put(lab, one, other)
    with pytest.raises(Refused, match="2 different bundles") as refused:
        find(lab.store, "1.0")
    assert one.digest in refused.value.message
    assert namesake(lab.store, "1.0", one.digest) == other.digest
    assert namesake(lab.store, "2.0", one.digest) is None


def test_the_same_bundle_under_one_version_twice_is_one(lab: Laboratory) -> None:
    one = text(91, "1.0")
    put(lab, one, msgspec.structs.replace(one, origin="rollback"))
    assert find(lab.store, "1.0").origin == "rollback"
    assert namesake(lab.store, "1.0", one.digest) is None
