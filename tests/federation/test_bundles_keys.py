"""Keys and signatures: who signed, and everything that does not count as a signature."""

import shutil
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from federation.bundles import keys, signing
from federation.bundles.artefact import Artefact, Signature, make
from federation.bundles.keys import generate, id_of, load_private, load_public, trusted
from federation.errors import Refused

CONTENT = make({"a.tiki": "## LAB Spec\n"}, {"lab.furnace": 1}, "1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the keys of Ada, Bob and Eve; the first two are trusted."""
    (tmp_path / "trust").mkdir()
    for name in ("ada", "bob", "eve"):
        generate(tmp_path / f"{name}.key")
    for name in ("ada", "bob"):
        shutil.copy(tmp_path / f"{name}.pub", tmp_path / "trust")
    return tmp_path


def signed(folder: Path, *names: str, artefact: Artefact = CONTENT) -> Artefact:
    for name in names:
        artefact = signing.sign(artefact, load_private(folder / f"{name}.key"))
    return artefact


def signers(folder: Path, artefact: Artefact) -> tuple[str, ...]:
    return signing.signers(artefact.content, artefact.signatures, trusted(folder / "trust"), "x.bundle")


# -- signatures -----------------------------------------------------------------------------------------------------


def test_the_signers_are_named_by_the_files_of_their_keys(folder: Path) -> None:
    assert signers(folder, signed(folder, "ada")) == ("ada",)
    assert signers(folder, signed(folder, "bob", "ada")) == ("ada", "bob")


def test_a_signature_of_somebody_else_beside_that_of_a_trusted_one_does_no_harm(folder: Path) -> None:
    assert signers(folder, signed(folder, "eve", "ada")) == ("ada",)


def test_the_order_of_signing_and_signing_again_change_nothing(folder: Path) -> None:
    assert signed(folder, "ada", "bob") == signed(folder, "bob", "ada", "bob")


def test_an_unsigned_bundle_is_told_to_be_signed(folder: Path) -> None:
    with pytest.raises(Refused, match="it is not signed") as refused:
        signers(folder, CONTENT)
    assert "elias bundle sign" in refused.value.cure


def test_a_key_that_is_not_trusted_is_named_and_who_is(folder: Path) -> None:
    with pytest.raises(Refused, match="none of these keys is trusted here") as refused:
        signers(folder, signed(folder, "eve"))
    assert id_of(load_public(folder / "eve.pub")) in refused.value.message
    assert "ada, bob" in refused.value.cure


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.1"},
        {"expires": None, "language": 2},
        {"texts": {"a.tiki": "## LAB Spec\n- otherwise: hold\n"}},
        {"points": {"lab.furnace": 2}},
        {"digest": "0" * 32},
    ],
)
def test_a_signature_covers_everything(folder: Path, change: dict[str, object]) -> None:
    given = signed(folder, "ada")
    content = msgspec.structs.replace(given.content, **change)
    with pytest.raises(Refused, match="the signature of `ada` does not fit"):
        signing.signers(content, given.signatures, trusted(folder / "trust"), "")


def test_nobody_signs_in_the_name_of_another(folder: Path) -> None:
    by_eve = signed(folder, "eve").signatures[0].value
    forged = Signature(id_of(load_public(folder / "ada.pub")), by_eve)
    with pytest.raises(Refused, match="another key signed it"):
        signing.signers(CONTENT.content, [forged], trusted(folder / "trust"), "")


@pytest.mark.parametrize("value", [b"", b"\x00" * 64, b"\xff" * 1000])
def test_a_signature_of_any_length_is_only_a_wrong_one(folder: Path, value: bytes) -> None:
    forged = Signature(id_of(load_public(folder / "ada.pub")), value)
    with pytest.raises(Refused, match="does not fit"):
        signing.signers(CONTENT.content, [forged], trusted(folder / "trust"), "")


# -- keys -----------------------------------------------------------------------------------------------------------


def test_a_private_key_is_for_its_owner_alone_and_is_never_replaced(tmp_path: Path) -> None:
    generate(tmp_path / "ada.key")
    assert stat.S_IMODE((tmp_path / "ada.key").stat().st_mode) == 0o600
    before = (tmp_path / "ada.key").read_bytes()
    with pytest.raises(Refused, match="there is a file already"):
        generate(tmp_path / "ada.key")
    (tmp_path / "ada.pub").unlink()
    with pytest.raises(Refused, match="there is a file already"):
        generate(tmp_path / "ada.key")
    assert (tmp_path / "ada.key").read_bytes() == before
    assert not (tmp_path / "ada.pub").exists()


def test_a_key_that_others_can_read_signs_nothing(folder: Path) -> None:
    (folder / "ada.key").chmod(0o640)
    with pytest.raises(Refused, match="can be read by other users") as refused:
        load_private(folder / "ada.key")
    assert "chmod 600" in refused.value.cure


@pytest.mark.parametrize(("given", "says"), [(b"", "has a passphrase"), (b"wrong", "not the passphrase")])
def test_a_passphrase_is_asked_for_and_must_be_the_right_one(tmp_path: Path, given: bytes, says: str) -> None:
    generate(tmp_path / "ada.key", b"correct horse")
    assert keys.is_locked(tmp_path / "ada.key")
    assert load_private(tmp_path / "ada.key", b"correct horse")
    with pytest.raises(Refused, match=says):
        load_private(tmp_path / "ada.key", given)


def test_a_passphrase_for_a_key_without_one_is_a_mistake(folder: Path) -> None:
    with pytest.raises(Refused, match="the key has no passphrase"):
        load_private(folder / "ada.key", b"any")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "not a public key"), (b"\xff" * 100, "not a public key"), (b"x" * 5000, "too large to be a key")],
)
def test_a_file_in_the_trust_folder_that_is_no_key_is_named(folder: Path, content: bytes, says: str) -> None:
    (folder / "trust" / "zed.pub").write_bytes(content)
    with pytest.raises(Refused, match=says) as refused:
        trusted(folder / "trust")
    assert "zed.pub" in refused.value.place


def test_a_private_key_in_the_trust_folder_is_no_public_one(folder: Path) -> None:
    shutil.copy(folder / "eve.key", folder / "trust" / "eve.pub")
    with pytest.raises(Refused, match="not a public key"):
        trusted(folder / "trust")


def test_a_trust_folder_that_is_empty_or_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, says in (("empty", "no public key here"), ("gone", "No such file")):
        with pytest.raises(Refused, match=says) as refused:
            trusted(tmp_path / name)
        assert refused.value.cure


@pytest.mark.parametrize("name", ["", "ada.pub"])
def test_a_trust_folder_that_everybody_may_write_to_is_trusted_by_nobody(folder: Path, name: str) -> None:
    (folder / "trust" / name).chmod(0o777)
    with pytest.raises(Refused, match="every user of this machine may write here"):
        trusted(folder / "trust")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_keys_of_openssl_are_read_and_others_are_told_their_kind(tmp_path: Path) -> None:
    for name, kind in (("ed.key", ["-algorithm", "ed25519"]), ("rsa.key", ["-algorithm", "rsa"])):
        subprocess.run(["openssl", "genpkey", *kind, "-out", name], cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / name).chmod(0o600)
    command = ["openssl", "pkey", "-in", "ed.key", "-pubout", "-out", "ed.pub"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert id_of(load_private(tmp_path / "ed.key").public_key()) == id_of(load_public(tmp_path / "ed.pub"))
    with pytest.raises(Refused, match="not an Ed25519 key"):
        load_private(tmp_path / "rsa.key")
