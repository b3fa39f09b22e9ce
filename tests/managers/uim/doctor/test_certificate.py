"""The certificate: its time, its key and its names, of real files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.runtime import credentials
from federation.runtime.session import Session
from federation.settings import Listen, Settings
from managers.uim import tls
from managers.uim.doctor import certificate
from managers.uim.doctor.certificate import Seen
from managers.uim.doctor.finding import Finding
from managers.uim.doctor.here import Here

from .certificates import made

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = frozenset({"elias.example"})
SOUND = Seen("cert.pem", NOW - DAY, NOW + 90 * DAY, NAMES, NAMES, True)


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (SOUND, ["certificate.sound"]),
        (SOUND._replace(ends=NOW + 31 * DAY), ["certificate.sound"]),
        (SOUND._replace(ends=NOW + 30 * DAY), ["certificate.ends"]),
        (SOUND._replace(ends=NOW), ["certificate.expired"]),
        (SOUND._replace(begins=NOW + DAY), ["certificate.early"]),
        (SOUND._replace(key_fits=False), ["certificate.key"]),
        (SOUND._replace(names=frozenset({"other.example"})), ["certificate.names"]),
        (SOUND._replace(names=frozenset({"*.example"})), ["certificate.sound"]),
        (SOUND._replace(names=frozenset({"*.example"}), wanted=frozenset({"a.b.example"})), ["certificate.names"]),
        (SOUND._replace(names=frozenset(), wanted=frozenset()), ["certificate.sound"]),
    ],
)
def test_what_is_seen_of_a_certificate(seen: Seen, codes: list[str]) -> None:
    assert [one.code for one in certificate.judge(seen, NOW)] == codes


def test_the_names_that_people_use() -> None:
    listen = Listen(host="0.0.0.0", tls=True, hosts=("a.example",), url="https://B.example:8443")
    assert certificate.wanted(listen) == {"a.example", "b.example"}
    assert certificate.wanted(Listen(tls=True)) == frozenset()
    assert certificate.wanted(Listen(host="10.0.0.1", tls=True)) == {"10.0.0.1"}


def found_with(pair: tls.Pair, *hosts: str) -> list[Finding]:
    listen = Listen(tls=True, cert=pair.cert, key=pair.key, hosts=hosts)
    return list(certificate.check(Here(Settings(listen=listen), None, False, None, "head")))


def test_real_certificates(tmp_path: Path) -> None:
    sound, expired = made(tmp_path / "a", 365, "elias.example", "10.0.0.1"), made(tmp_path / "b", -1, "elias.example")
    for pair, host, code in (
        (sound, "elias.example", "certificate.sound"),
        (sound, "10.0.0.1", "certificate.sound"),
        (sound, "other.example", "certificate.names"),
        (expired, "elias.example", "certificate.expired"),
        (made(tmp_path / "c", 20, "elias.example"), "elias.example", "certificate.ends"),
        (made(tmp_path / "d", 20, "elias.example", since=-2), "elias.example", "certificate.early"),
        (tls.Pair(sound.cert, expired.key), "elias.example", "certificate.key"),
        (tls.Pair(tmp_path / "none", sound.key), "elias.example", "certificate.broken"),
        (tls.Pair(sound.key, sound.cert), "elias.example", "certificate.broken"),
    ):
        assert [one.code for one in found_with(pair, host)] == [code], code


def test_a_certificate_of_our_own_making_is_made_by_the_next_start(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, listen=Listen(tls=True, hosts=("elias.example",)))
    here = Here(settings, None, False, None, "head")
    assert [one.code for one in certificate.check(here)] == ["certificate.none"]
    assert not (tmp_path / "tls").exists()
    tls.serving(settings)
    assert [one.code for one in certificate.check(here)] == ["certificate.sound"]
    made(tmp_path / "tls", 10, "elias.example")
    (found,) = certificate.check(here)
    assert (found.code, "makes a new one" in found.cure) == ("certificate.ends", True)


def test_the_authority_of_a_cluster_and_the_certificates_that_it_gave(tmp_path: Path) -> None:
    credentials.begin(tmp_path, "127.0.0.1", tls=True)
    session = Session("127.0.0.1:1", "", 1, 1.0, "m", "t")
    up, down = (Here(Settings(state=tmp_path), session, serves, None, "head") for serves in (True, False))
    assert [one.code for one in certificate.check_cluster(up)] == ["certificate.sound"] * 2
    assert [one.code for one in certificate.check_cluster(down)] == ["certificate.sound"]
    made(credentials.tls_folder(tmp_path), 10)
    assert [one.code for one in certificate.check_cluster(up)] == ["certificate.sound", "certificate.ends"]
    (credentials.tls_folder(tmp_path) / "ca.pem").write_text("none")
    assert [one.code for one in certificate.check_cluster(down)] == ["certificate.broken"]
    assert list(certificate.check_cluster(Here(Settings(state=tmp_path / "none"), None, False, None, "head"))) == []


def test_plain_http_has_none() -> None:
    assert list(certificate.check(Here(Settings(), None, False, None, "head"))) == []
