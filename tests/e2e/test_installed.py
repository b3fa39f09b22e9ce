"""An install as a user has it: from the built package, without extras, with the newest parts that the ranges allow."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.running import Running
from tests.e2e.asking import cli, sample

ROOT = Path(__file__).parents[2]
SOURCES = ("federation", "managers", "tiki", "tiki_specs", "training", "docs", "deploy", "pyproject.toml", "README.md")


class Installed(Running):
    """Of an environment of its own; nothing of this checkout is in its path."""

    def __init__(self, folder: Path, python: Path) -> None:
        super().__init__(folder)
        self.command = (str(python.with_name("elias")),)


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Built from a copy, for setuptools leaves a folder `build` where it builds."""
    copy, made = tmp_path / "source", tmp_path / "venv"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    python = made / "bin" / "python"
    # Of 8,500 modules a part is imported, and that is compiled then, and kept.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    words = ["install", "--no-compile", "--quiet", "--disable-pip-version-check", str(copy)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *words], check=True, timeout=900)
    return python


@pytest.mark.timeout(1200)  # the packages are fetched
def test_an_install_without_extras_serves_decides_and_shows_its_pages(tmp_path: Path, python: Path) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with Installed(folder, python) as elias:
        status, answer = elias.request("POST", "/v1/events", sample("first"))
        assert status == 200
        assert {d["action"] for d in answer["decisions"] if d["point"] == "urm.resource_pressure"} == {"hold"}
        for page in ("/", "/cases", "/nodes", "/managers", "/specs", "/policy", "/ledger", "/metrics"):
            assert elias.get(page)[0] == 200, page
        assert elias.get("/v1/openapi.json")[0] == 200
        assert "ufm" in cli(elias, "status").stdout
        assert "16" in cli(elias, "policy", "plan", "--gpus", "2x16GiB").stdout
