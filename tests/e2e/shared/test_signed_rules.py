"""Signed rules from the first start to a forged row in the database, on a federation that runs."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiki
from benchmarks.running import Running
from federation.bundles import artefact, keys, signing
from federation.ledger.store import Store
from federation.points import schemas, versions
from federation.records import Asked, BundleText, Kind, decode, encode
from federation.runtime.roster import Roster
from tests.e2e.asking import cli, sample
from tests.e2e.conftest import SETTINGS
from tests.e2e.waiting import until

REPOSITORY = Path(__file__).resolve().parents[3]
REQUIRED = "specs: specs\nbundles:\n  trust: trust\n  require_signature: true\n"


class House:
    """An ELIAS that asks for signatures, with the files that people made for it: `old.bundle` and `new.bundle`, signed
    by Ada, who is trusted, and others that nobody should put in force.
    """

    def __init__(self, folder: Path) -> None:
        self.elias = Running(folder, SETTINGS + REQUIRED)
        self.folder = folder
        shutil.copytree(REPOSITORY / "tiki_specs", folder / "specs")
        for name in ("ada", "eve"):
            keys.generate(folder / f"{name}.key")
        (folder / "trust").mkdir()
        shutil.copy(folder / "ada.pub", folder / "trust")
        self.old = self.build("old", "ada")
        self.build("unsigned")
        self.edit("memory_threshold: 80%", "memory_threshold: 60%")
        self.new = self.build("new", "ada")
        self.build("stranger", "eve")
        self._tamper("new", "tampered")

    def cli(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = cli(self.elias, *arguments, check=False)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    def edit(self, old: str, new: str) -> None:
        path = self.folder / "specs" / "urm" / "resource_allocation.tiki"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def build(self, name: str, *signers: str) -> str:
        """The digest."""
        points = Roster("managers.roster").points
        made = artefact.make(tiki.load(self.folder / "specs", schemas(points)).texts, versions(points), name)
        for signer in signers:
            made = signing.sign(made, keys.load_private(self.folder / f"{signer}.key"))
        (self.folder / f"{name}.bundle").write_bytes(artefact.dump(made))
        return made.content.digest

    def _tamper(self, name: str, other: str) -> None:
        """With rules of somebody's own under a signature of Ada's, everything else made to fit."""
        given = artefact.load((self.folder / f"{name}.bundle").read_bytes(), name)
        texts = {path: text.replace("60%", "50%") for path, text in given.content.texts.items()}
        forged = artefact.make(texts, given.content.points, given.content.version)
        forged = msgspec.structs.replace(forged, signatures=given.signatures)
        (self.folder / f"{other}.bundle").write_bytes(artefact.dump(forged))

    @property
    def in_force(self) -> dict[str, Any]:
        found: dict[str, Any] = self.elias.get("/v1/bundle")[1]
        return found

    def decides(self, id: str) -> str:
        """The clause that meets a node with 70 % of its memory in use and a busy GPU: none in `old`, the trigger in
        `new`. Who answers there depends on whether this machine is calm enough to be a refuge."""
        status, answer = self.elias.request("POST", "/v1/events", sample(id, id, memory=70.0, gpu=95.0))
        assert status in (200, 202), answer
        (decision,) = [d for d in answer["decisions"] if d["point"] == "urm.resource_pressure"]
        return str(decision["clause"])

    def refusals(self) -> dict[str, str]:
        """By process, why it does not use the newest bundle on record."""
        members = self.elias.get("/v1/managers")[1]["members"]
        found = {m["name"]: m["health"].get("bundle_refused") for m in members if "bundle" in m["health"]}
        return {name: refusal["why"] for name, refusal in found.items() if refusal}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.elias.stop()


@pytest.mark.timeout(600)  # three starts and twenty commands
def test_only_rules_that_somebody_trusted_signed_come_into_force_and_stay_there(house: House) -> None:
    elias = house.elias

    refused = house.cli("up", code=1)
    assert "elias bundle activate FILE --at-start" in refused.stderr
    refused = house.cli("bundle", "activate", "unsigned.bundle", "--at-start", code=1)
    assert "it is not signed" in refused.stderr
    house.cli("bundle", "activate", "old.bundle", "--at-start", "--reason", "the first one")
    elias.start()
    assert (house.in_force["digest"], house.in_force["signers"]) == (house.old, ["ada"])
    assert house.decides("under-old") == "otherwise"

    said = house.cli("bundle", "activate", "new.bundle", "--reason", "ask sooner")
    assert "signed by ada" in said.stdout
    assert "no longer covers" in said.stderr
    assert list(house.in_force["uncovered"]) == ["urm.resource_pressure"]
    assert house.decides("under-new") == "crowded_gpu"

    for name, why in (
        ("unsigned", "it is not signed"),
        ("stranger", "none of these keys is trusted"),
        ("tampered", "the signature of `ada` does not fit"),
    ):
        refused = house.cli("bundle", "activate", f"{name}.bundle", code=1)
        assert why in refused.stderr
        assert "cure:" in refused.stderr
    house.edit("memory_threshold: 60%", "memory_threshold: 50%")
    until(lambda: "was edited" in house.in_force["problem"].get("message", ""))
    assert "edits of the spec folder change nothing" in house.cli("status").stdout
    assert house.in_force["digest"] == house.new

    intrude = [sys.executable, "-m", "tests.e2e.intruder", str(elias.state), str(house.folder / "tampered.bundle")]
    subprocess.run(intrude, cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    until(lambda: {"gate", "ufm", "ucm", "urm", "ulm", "uim", "uam"} == set(house.refusals()))
    assert "the signature of `ada` does not fit" in house.refusals()["urm"]
    assert "REFUSED by urm" in house.cli("status").stdout
    assert house.decides("past-the-intruder") == "crowded_gpu"

    house.cli("bundle", "rollback", "--reason", "too many questions")
    assert house.in_force["digest"] == house.old
    assert house.refusals() == {}
    assert house.decides("rolled-back") == "otherwise"
    entries = json.loads(house.cli("bundle", "history", "--json").stdout)
    assert [(e["version"], e["origin"]) for e in entries] == [
        ("old", "rollback"),
        ("new", "file"),
        ("new", "file"),
        ("old", "file"),
    ]
    assert entries[0]["reason"] == "too many questions"

    elias.stop()
    elias.start()
    assert house.in_force["digest"] == house.old
    assert house.decides("restarted") == "otherwise"
    house.cli("bundle", "rollback", "--to", "new", code=1)  # the intruder's record has that version too
    house.cli("bundle", "rollback", house.new)
    assert house.decides("forward-again") == "crowded_gpu"
    assert house.cli("ledger", "verify").returncode == 0
    replayed = json.loads(house.cli("ledger", "replay", "--json").stdout)
    assert replayed["identical"]
    assert replayed["decisions"] + replayed["waiting"] >= 6
    assert decided_under(elias) == {house.old, house.new}

    elias.stop()
    forge_newest(elias, house.folder / "tampered.bundle")
    elias.start()
    assert house.in_force["digest"] == house.old
    assert "the signature of `ada` does not fit" in house.refusals()["urm"]
    assert house.decides("past-the-forged-row") == "otherwise"
    house.cli("ledger", "verify", code=1)


def decided_under(elias: Running) -> set[str]:
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        points = ["urm.resource_pressure"]
        asked = [decode(Kind.ASKED, r.body) for r in store.read(kinds=[Kind.ASKED], points=points)]
        return {body.bundle for body in asked if isinstance(body, Asked) and body.event.source == "test"}
    finally:
        store.close()


def forge_newest(elias: Running, file: Path) -> None:
    """Writes other rules into the row of the bundle in force."""
    given = artefact.load(file.read_bytes(), str(file)).content
    with sqlite3.connect(elias.state / "ledger.db") as database:
        where = "seq = (SELECT max(seq) FROM records WHERE kind = 'bundle')"
        (raw,) = database.execute(f"SELECT body FROM records WHERE {where}").fetchone()
        text: BundleText = decode(Kind.BUNDLE, raw)
        forged = msgspec.structs.replace(text, sources=given.texts, digest=given.digest)
        database.execute(f"UPDATE records SET body = ? WHERE {where}", (encode(forged),))
    database.close()
