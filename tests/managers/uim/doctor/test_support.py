"""The support file: what helps is in it, and nothing that must not leave."""

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from federation.clock import SystemClock
from federation.errors import Refused
from federation.settings import Settings
from managers.uim.access.accounts import Accounts
from managers.uim.access.database import Database
from managers.uim.access.person import Role
from managers.uim.doctor import bundle
from managers.uim.doctor.bundle import Cleaner, ending
from tests.advisors.test_scrub import PLANTED
from tests.managers.uim.doctor.ledgers import left
from tests.ports import free_port

LINE = "2026-01-31 12:00:00,123 INFO elias.ufm: "
CUT = "a private key that is cut"  # and all that follows it
FORMS = {kind: value for kind, value in PLANTED.items() if not kind.endswith("that is known")}


@pytest.fixture
def planted(settings: Settings) -> Settings:
    """With everything that must not leave in logs, words and names of people."""
    state = settings.state
    (state / "logs").mkdir()
    (state / "nodes" / "gpu-17").mkdir(parents=True)
    secrets = ["planted-sign", "planted-oidc", "planted-key", "planted-password", "planted-replica", "planted-alerts"]
    secrets += ["planted-db/pw", "planted-db%2Fpw", "planted-mlflow", "planted-chat-address", "planted-in-the-path"]
    secrets += [(state / name).read_text().strip() for name in ("token", "ray.token", "joined.token")]
    lines = [f"{LINE}{text}" for kind, (text, _) in FORMS.items() if kind != CUT] + [
        f"{LINE}x{secret}x" for secret in secrets
    ]
    lines += [f"{LINE}GPU-17 hangs", f"{LINE}for Acme Corp.", f"{LINE}it went on"]
    (state / "logs" / "ufm.log").write_text("\n".join(lines) + "\n")
    (state / "logs" / "ufm.log.1").write_text("\n".join(reversed(lines)) + "\n")
    (state / "elias.log").write_text("\n".join([*lines, FORMS[CUT][0]]) + "\n")
    left(f"sqlite:///{state}/ledger.db")
    advisors = settings.advisors.model_copy(update={"withhold": ("Acme Corp",)})
    listen = settings.listen.model_copy(update={"port": free_port(), "url": "https://ada:planted-page@elias.example"})
    words = "password: hunter2 for jane.doe+x@example.com of Acme Corp"
    return settings.model_copy(update={"advisors": advisors, "listen": listen, "notice": words})


@pytest.fixture
def files(planted: Settings, tmp_path: Path) -> dict[str, str]:
    """What a support file holds, by name."""
    file = tmp_path / "support.tar.gz"
    names = bundle.write(file, lambda: planted)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        assert {(one.uname, one.gname, one.uid, one.mode) for one in tar} == {("", "", 0, 0o600)}
        found = {one.name.removeprefix("elias-support/"): tar.extractfile(one) for one in tar}
        texts = {name: one.read().decode() for name, one in found.items() if one is not None}
    assert sorted(texts) == names
    return texts


def test_no_secret_and_no_name_is_in_any_of_its_files(files: dict[str, str]) -> None:
    for name, text in files.items():
        assert "planted" not in text, name
        assert {kind for kind, (_, secret) in FORMS.items() if secret in text} == set(), name
        for word in ("GPU-17", "gpu-17", "Acme", "hunter2", "jane"):
            assert word not in text, (name, word)


def test_what_helps_is_in_it(files: dict[str, str]) -> None:
    assert set(files) == {
        *("README.txt", "doctor.json", "settings.txt", "versions.json", "status.json", "ledger.json", "ray.json"),
        *("logs/ufm.log", "logs/elias.log"),
    }
    assert "LOOK AT EVERY FILE BEFORE YOU SEND IT" in files["README.txt"]
    assert all(name in files["README.txt"] for name in files if "/" not in name and name != "README.txt")
    assert {"ledger.unreachable", "reach.silent"} <= {one["code"] for one in json.loads(files["doctor.json"])}
    assert "ledger.tick: 10.0" in files["settings.txt"].splitlines()
    assert json.loads(files["versions.json"])["packages"]["ray"]
    assert json.loads(files["status.json"])["unknown"]
    assert files["logs/ufm.log"].count("INFO elias.ufm: it went on") == 2


def test_of_a_ledger_there_are_counts_and_no_records(planted: Settings, tmp_path: Path) -> None:
    local = planted.model_copy(update={"ledger": planted.ledger.model_copy(update={"url": ""})})
    facts = json.loads(bundle.collect(lambda: local)["ledger.json"])
    assert (facts["backend"], facts["records"], facts["kinds"]) == ("sqlite", 2, {"epoch": 1, "tick": 1})
    assert facts["bytes"]["database"] > 0


def test_people_with_an_account_are_known_by_their_names(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    accounts = Database.open(settings)
    Accounts(accounts, SystemClock()).add("graceh", Role.VIEWER, "four words that differ")
    accounts.close()
    assert Cleaner(settings).text("graceh says so") == "<user 1> says so"


def test_without_settings_there_is_what_can_be_had(tmp_path: Path) -> None:
    def load() -> Settings:
        raise Refused("settings", "no", place="/home/jane/elias.yaml:1")

    found = bundle.collect(load)
    assert set(found) == {"README.txt", "doctor.json", "versions.json"}
    assert "jane" not in "".join(found.values())


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    def load() -> Settings:
        raise Refused("settings", "no")

    with pytest.raises(Refused, match="No such file"):
        bundle.write(tmp_path / "none" / "x.tar.gz", load)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"x" * 20 + b"secr3t\ntwo\n", b"two\n"),
        (b"-----BEGIN KEY-----\nMIIE\n-----END KEY-----\ntwo\n", b"two\n"),
        (b"x" * 40, b""),
    ],
)
def test_the_end_of_a_log_begins_with_a_line_and_not_within_a_key(text: bytes, left: bytes) -> None:
    assert ending(text, 28) == left


def test_a_word_that_is_too_long_to_be_looked_at_is_left_out_whole(tmp_path: Path) -> None:
    found = Cleaner(Settings(state=tmp_path)).log(b"a " + b"x" * 100_000 + b" b\n")
    assert found == "a <word of 100000 characters> b\n"


def test_what_a_name_says_of_a_value_counts_in_facts_too(tmp_path: Path) -> None:
    facts = {"password": "hunter2", "status": "running", "deep": [{"token": "abc", "n": 7}]}
    clean = json.loads(Cleaner(Settings(state=tmp_path)).json(facts))
    assert clean == {"password": "<secret 1>", "status": "running", "deep": [{"token": "<secret 2>", "n": 7}]}


def test_the_source_of_an_error_stays_readable(tmp_path: Path) -> None:
    trace = f'File "{bundle.__file__}", line 7, in write'
    assert Cleaner(Settings(state=tmp_path)).text(trace) == 'File "managers/uim/doctor/bundle.py", line 7, in write'


def test_what_is_packed_is_read_back() -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle.packed({"a": "b"}))) as tar:
        (one,) = tar.getmembers()
        assert one.name == "elias-support/a"


def test_nodes_that_this_machine_does_not_know_are_taken_out_by_the_word_of_elias() -> None:
    status = {"nodes": [{"name": "gpu-18"}, {"name": "slurm:acme-a1"}, {}]}
    clean = bundle.Cleaner(None, bundle._machines(status))
    text = clean.text("agent.gpu-18 is up, and slurm:acme-a1 is held")
    assert [word for word in ("gpu-18", "acme") if word in text] == []
    assert bundle._machines({"unknown": "ELIAS does not answer"}) == set()
