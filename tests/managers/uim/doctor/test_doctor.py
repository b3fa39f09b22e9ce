"""`elias doctor` as a person or a script runs it, and its page."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from federation.errors import Refused
from federation.ledger.store import Store
from federation.settings import Settings
from managers.uim.doctor import checks, codes
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Severity
from tests.e2e.waiting import until
from tests.ports import free_port

PAGE = Path(__file__).parents[4] / "docs" / "operate" / "doctor.md"
CLI = (sys.executable, "-m", "managers.uim.cli")


def test_the_page_lists_exactly_the_codes_that_there_are() -> None:
    page = PAGE.read_text()
    assert codes.written(page) == page, "run: python -m managers.uim.doctor.codes docs/operate/doctor.md"


def test_every_code_is_named_once_after_its_theme_and_says_what_to_do() -> None:
    names = [one.name for one in checks.codes()]
    assert len(set(names)) == len(names) > 80
    for one in checks.codes():
        assert one.name.partition(".")[0] in {"check", *(theme.__name__.rpartition(".")[2] for theme in checks.THEMES)}
        assert one.meaning
        assert one.cure or one.severity in (OK, NOTE), one.name


@pytest.mark.parametrize(
    ("severities", "worst"),
    [([], OK), ([OK, NOTE], NOTE), ([WARNING, OK, NOTE], WARNING), ([OK, ERROR, WARNING], ERROR)],
)
def test_the_worst_counts(severities: list[Severity], worst: Severity) -> None:
    found = [Code("a.b", one, "it").found("so") for one in severities]
    assert checks.worst(found) is worst
    assert checks.failed(found) is (worst is ERROR)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = {**clean, "XDG_CONFIG_HOME": str(folder / "config")}
    return subprocess.run(
        [*CLI, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_on_a_fresh_machine_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "elias.yaml").write_text(f"listen:\n  port: {free_port()}\n")
    wanted = {"processes.none", "state.none", "ledger.none", "settings.sound", "versions.sound", "ports.free"}

    def seen() -> Any:
        """Once the machine is not so busy that a check is late."""
        ran = _run(tmp_path, "doctor", "--json")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        told = json.loads(ran.stdout)
        return told if wanted <= {one["code"] for one in told["findings"]} else None

    told = until(seen)
    found = {one["code"]: one for one in told["findings"]}
    assert set(found["state.none"]) == {"code", "severity", "seen", "place", "cure"}
    assert sum(told["counts"].values()) == len(told["findings"])
    assert not {"check.failed", "error"} & {*found, *told["counts"]}
    assert [path.name for path in tmp_path.iterdir()] == ["elias.yaml"]


def test_where_no_terminal_is_each_finding_is_a_line_and_an_error_ends_in_1(tmp_path: Path) -> None:
    (tmp_path / "elias.yaml").write_text("listen:\n  prot: 1\nledger:\n  url: postgresql://ada:planted@127.0.0.1:1/x\n")
    ran = _run(tmp_path, "doctor")
    first, *rest = (line.split("\t") for line in ran.stdout.splitlines())
    assert ran.returncode == 1
    assert [len(cells) for cells in (first, *rest)] == [5] * (1 + len(rest))
    assert first[:2] == ["error", "settings.broken"]
    assert (first[2].endswith("elias.yaml:2:3"), "did you mean `port`" in first[4]) == (True, True)
    assert {"versions.sound"} <= {code for _, code, *_ in rest}
    assert ran.stderr.startswith("1 error, ")
    assert "planted" not in ran.stdout + ran.stderr


def test_a_support_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "elias.yaml").write_text(f"listen:\n  port: {free_port()}\n")
    ran = _run(tmp_path, "support", "x.tar.gz")
    assert (ran.returncode, "look at it before you send it" in ran.stderr) == (0, True), ran.stderr
    assert ran.stdout.startswith("x.tar.gz: 7 files")
    assert (tmp_path / "x.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_broken_ledger_is_an_error_and_the_rest_is_looked_at_all_the_same(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/ledger.db").close()
    (tmp_path / "ledger.db").write_bytes(b"this is no database" * 1000)
    (tmp_path / "ledger.db").chmod(0o600)
    settings = Settings.model_validate({"state": tmp_path, "listen": {"port": free_port()}})
    found = checks.examine(lambda: settings)
    assert [one.code for one in found if one.severity is ERROR] == ["ledger.damaged"]
    assert {"settings.sound", "ports.free", "versions.sound"} <= {one.code for one in found}


def test_what_cannot_be_loaded_leaves_the_machine_itself() -> None:
    def load() -> Settings:
        raise Refused("settings", "no", place="elias.yaml:1", cure="yes")

    found = [one.code for one in checks.examine(load)]
    assert found[0] == "settings.broken"
    assert {code.partition(".")[0] for code in found} == {"settings", "versions", "clock", "gpus"}
