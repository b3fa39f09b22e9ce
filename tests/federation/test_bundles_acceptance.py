"""The check before use: what a process takes from the ledger, and what it refuses whoever wrote it there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.bundles import keys, signing
from federation.bundles.acceptance import Acceptance, artefact_of, content_of, record_of
from federation.bundles.artefact import Artefact, dump, load, make
from federation.clock import SECOND
from federation.errors import Refused
from federation.ledger.store import Store
from federation.local import points_of
from federation.points import schemas, versions
from federation.records import BundleText, Entry, Header, Kind, Record, decode, encode
from tests.federation.lab import SPEC, Lab, Laboratory, bundle

POINTS = points_of([Lab])
NOW = 1_800_000_000 * SECOND
OTHER = SPEC.replace("heat > 90%", "heat > 80%")
THIRD = SPEC.replace("heat > 90%", "heat > 85%")


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    (tmp_path / "trust").mkdir()
    for name in ("ada", "eve"):
        keys.generate(tmp_path / f"{name}.key")
    (tmp_path / "ada.pub").rename(tmp_path / "trust" / "ada.pub")
    return tmp_path / "trust"


@pytest.fixture
def strict(trust: Path) -> Acceptance:
    return Acceptance(schemas(POINTS), trust, require=True)


@pytest.fixture
def open_() -> Acceptance:
    return Acceptance(schemas(POINTS), None, require=False)


def built(spec: str = SPEC, version: str = "1.0", **more: Any) -> Artefact:
    return make({"lab.tiki": spec}, versions(POINTS), version, **more)


def text(trust: Path | None = None, spec: str = SPEC, by: str = "ada", **more: Any) -> BundleText:
    """The record of a bundle that `by` signed, if there are keys."""
    artefact = built(spec, **more)
    if trust is not None:
        artefact = signing.sign(artefact, keys.load_private(trust.parent / f"{by}.key"))
    return record_of(artefact, origin="file", by="operator", reason="")


def record(body: BundleText | bytes, seq: int = 7) -> Record:
    header = Header(seq, NOW, 1, "gate", 1, Kind.BUNDLE, "", "", "")
    return Record(header, body if isinstance(body, bytes) else encode(body))


# -- what is accepted -----------------------------------------------------------------------------------------------


def test_a_record_is_the_file_again() -> None:
    artefact = built()
    again = decode(Kind.BUNDLE, encode(record_of(artefact, origin="file", by="ada", reason="")))
    assert artefact_of(again) == artefact
    assert load(dump(artefact_of(again)), "") == artefact


def test_a_signed_bundle_is_used(strict: Acceptance, trust: Path) -> None:
    assert strict.bundle(text(trust), NOW).digest == built().content.digest


def test_the_same_bundle_is_compiled_once_and_checked_each_time(strict: Acceptance, trust: Path) -> None:
    before = strict.bundle(text(trust), NOW)
    assert strict.bundle(text(trust), NOW) is before
    with pytest.raises(Refused):
        strict.bundle(text(trust, by="eve"), NOW)
    assert strict.bundle(text(trust, OTHER), NOW).digest != before.digest


def test_a_record_of_an_earlier_elias_stays_readable_and_is_used(open_: Acceptance) -> None:
    old = {"digest": bundle().digest, "sources": bundle().texts, "versions": versions(POINTS), "v": 1}
    found = decode(Kind.BUNDLE, msgspec.json.encode(old))
    assert found.origin == "folder"
    assert open_.bundle(found, NOW).digest == bundle().digest


def test_without_the_setting_nobody_has_to_sign(open_: Acceptance) -> None:
    assert open_.bundle(text(), NOW)


# -- what is refused ------------------------------------------------------------------------------------------------


def with_other_text(found: BundleText) -> BundleText:
    return msgspec.structs.replace(found, sources={"lab.tiki": OTHER})


def with_other_text_and_its_digest(found: BundleText) -> BundleText:
    content = built(OTHER).content
    return msgspec.structs.replace(found, sources=content.texts, digest=content.digest)


def without_signature(found: BundleText) -> BundleText:
    return msgspec.structs.replace(found, signatures=[])


def with_later_expiry(found: BundleText) -> BundleText:
    return msgspec.structs.replace(found, expires=datetime(2100, 1, 1, tzinfo=UTC))


def as_other_language(found: BundleText) -> BundleText:
    return msgspec.structs.replace(found, language=2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (with_other_text, "bundle-tampered"),
        (with_other_text_and_its_digest, "bundle-signature"),
        (without_signature, "bundle-unsigned"),
        (with_later_expiry, "bundle-signature"),
        (as_other_language, "bundle-signature"),
    ],
)
def test_a_row_that_was_edited_in_the_database_is_refused(
    strict: Acceptance, trust: Path, change: Callable[[BundleText], BundleText], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        strict.bundle(change(text(trust)), NOW)
    assert refused.value.code == code
    assert refused.value.cure


def test_who_put_it_in_force_and_why_is_not_signed(strict: Acceptance, trust: Path) -> None:
    """The signature is about the rules; the ledger's tree is what keeps these words."""
    assert strict.bundle(msgspec.structs.replace(text(trust), by="bob", reason="again", origin="rollback"), NOW)


def test_a_key_counts_as_long_as_it_is_in_the_folder(strict: Acceptance, trust: Path) -> None:
    by_eve = text(trust, by="eve")
    with pytest.raises(Refused, match="none of these keys is trusted"):
        strict.bundle(by_eve, NOW)
    (trust.parent / "eve.pub").rename(trust / "eve.pub")
    assert strict.bundle(by_eve, NOW)
    (trust / "ada.pub").unlink()
    with pytest.raises(Refused, match="none of these keys is trusted"):
        strict.bundle(text(trust), NOW)


def test_a_trust_folder_that_is_gone_lets_nothing_in(strict: Acceptance, trust: Path) -> None:
    found = text(trust)
    trust.rename(trust.parent / "away")
    with pytest.raises(Refused, match=r"bundles\.trust"):
        strict.bundle(found, NOW)


def test_a_bundle_that_has_expired_is_refused_and_one_in_force_stays(open_: Acceptance) -> None:
    """Judged by the time of the record: a restart at night takes no rules away."""
    until = datetime.fromtimestamp(NOW / SECOND, UTC) + timedelta(seconds=10)
    found = text(expires=until)
    assert open_.bundle(found, NOW)
    with pytest.raises(Refused, match="could be put in force until"):
        open_.bundle(found, NOW + 10 * SECOND)


@pytest.mark.parametrize("points", [{}, {"lab.furnace": 2}, versions(POINTS) | {"lab.more": 1}])
def test_a_bundle_for_other_points_is_refused_with_their_names(open_: Acceptance, points: dict[str, int]) -> None:
    found = record_of(make({"lab.tiki": SPEC}, points, "1.0"), origin="file", by="", reason="")
    with pytest.raises(Refused, match=r"built for another version of .*lab") as refused:
        open_.bundle(found, NOW)
    assert "elias bundle build" in refused.value.cure


def test_specs_with_errors_are_refused_with_their_place(open_: Acceptance) -> None:
    with pytest.raises(Refused, match=r"lab.tiki:\d+:\d+: error TIKI-"):
        open_.bundle(text(spec=SPEC.replace("- otherwise: run", "- otherwise: rnu")), NOW)


# -- what is in use -------------------------------------------------------------------------------------------------


def test_what_is_refused_leaves_in_use_what_was_so_and_says_why(strict: Acceptance, trust: Path) -> None:
    before = strict.bundle(text(trust), NOW)
    for wrong in (text(None, OTHER), with_other_text(text(trust)), b'{"digest": 7}', b""):
        assert strict.take(record(wrong), before) is before
        assert strict.refused is not None
        assert strict.refused.seq == 7
    after = strict.take(record(text(trust, OTHER)), before)
    assert after.digest == built(OTHER).content.digest
    assert strict.refused is None


def test_a_record_with_the_digest_in_use_is_checked_too(strict: Acceptance, trust: Path) -> None:
    before = strict.bundle(text(trust), NOW)
    assert strict.take(record(without_signature(text(trust))), before) is before
    assert strict.refused is not None


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    made = Laboratory(tmp_path)
    yield made
    made.close()


def put(lab: Laboratory, body: BundleText | bytes) -> None:
    raw = body if isinstance(body, bytes) else encode(body)
    lab.federation._commit("gate", [Entry(Kind.BUNDLE, "", "", "", raw)])


def newest(acceptance: Acceptance, store: Store) -> str:
    found = acceptance.newest(store)
    return found.text.digest if found else ""


def test_after_a_restart_the_newest_that_stands_up_to_the_check_is_in_use(
    strict: Acceptance, trust: Path, lab: Laboratory
) -> None:
    assert newest(strict, lab.store) == ""  # the laboratory's own is not signed
    assert strict.refused is not None
    put(lab, text(trust))
    put(lab, text(trust, OTHER, version="1.1"))
    assert newest(strict, lab.store) == built(OTHER).content.digest
    assert strict.refused is None
    for _ in range(25):
        put(lab, text(None, THIRD))
        put(lab, b"{}")
    assert newest(strict, lab.store) == built(OTHER).content.digest
    assert strict.refused is not None


def test_one_for_the_points_of_another_elias_waits_to_be_brought_up_to_date(open_: Acceptance, lab: Laboratory) -> None:
    """And no older one takes its place."""
    put(lab, record_of(make({"lab.tiki": OTHER}, {"lab.furnace": 9}, "1.1"), origin="file", by="", reason=""))
    assert open_.newest(lab.store) is None


def test_content_of_a_folder_is_what_a_file_of_it_would_have() -> None:
    found = bundle()
    edited = BundleText(found.digest, found.texts, versions(POINTS), version="1.0")
    assert content_of(edited) == built().content
