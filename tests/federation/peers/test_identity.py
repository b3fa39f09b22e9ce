"""The files by which clusters know one another."""

from pathlib import Path

import pytest

from federation.bundles import keys
from federation.errors import Refused
from federation.peers import identity


def test_a_card_is_made_once_and_read_by_the_peer(tmp_path: Path) -> None:
    first = identity.card(tmp_path / "peers", "east")
    assert identity.card(tmp_path / "peers", "east") == first
    assert "PRIVATE" not in first
    (tmp_path / "east.card").write_text(first)
    known = identity.read_card(tmp_path / "east.card")
    mine = identity.ours(tmp_path / "peers", "east")
    assert known.key == mine.sign.public_key()
    assert len(known.certificates) == 1
    for secret in (tmp_path / "peers" / "signing.key", mine.key):
        assert secret.stat().st_mode & 0o777 == 0o600


def test_a_card_with_an_old_and_a_new_certificate_takes_both(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / f"{name}.card").write_text(identity.card(tmp_path / name, "east"))
    new = (tmp_path / "new.card").read_text()
    path = tmp_path / "both.card"
    path.write_text((tmp_path / "old.card").read_text() + new[new.index("-----BEGIN CERTIFICATE") :])
    assert len(identity.read_card(path).certificates) == 2


@pytest.mark.parametrize("case", ["missing", "empty", "no_certificate", "no_key", "half", "large", "not_ascii"])
def test_what_is_no_card_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    whole = identity.card(tmp_path / "peers", "east")
    begin = whole.index("-----BEGIN CERTIFICATE")
    texts = {
        "empty": "",
        "no_certificate": whole[:begin],
        "no_key": whole[begin:],
        "half": whole[:-120],
        "large": whole + "\n" * (64 << 10),
        "not_ascii": whole + "é",
    }
    path = tmp_path / "east.card"
    if case in texts:
        path.write_text(texts[case])
    with pytest.raises(Refused) as error:
        identity.read_card(path)
    assert (error.value.code, error.value.place) == ("peer-card", str(path))
    assert "elias peers card" in error.value.cure


def test_a_card_with_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    whole = identity.card(tmp_path / "peers", "east")
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    path = tmp_path / "east.card"
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    path.write_text(pem + whole[whole.index("-----BEGIN CERTIFICATE") :])
    with pytest.raises(Refused, match="Ed25519"):
        identity.read_card(path)


def test_a_signing_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    identity.ours(tmp_path, "east")
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(Refused) as error:
        identity.ours(tmp_path, "east")
    assert error.value.code == "key-mode"
    assert keys.id_of(keys.load_public(tmp_path / "signing.pub"))
