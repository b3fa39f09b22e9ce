"""The units, by systemd's own checks, and by what they start. No systemd runs them here."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import program

from .commands import DEPLOY, ROOT, parsed

SYSTEMD = DEPLOY / "systemd"
UNITS = ("elias.service", "elias-node@.service")
EXPOSURE = 25  # tenths, of 100: systemd calls up to 40 `OK`
DIFFERENT = ("Description", "Conflicts", "After", "ExecStart", "Environment")


def settings_of(unit: str) -> list[tuple[str, str]]:
    lines = (SYSTEMD / unit).read_text().splitlines()
    return [
        (name, value) for name, equals, value in (line.partition("=") for line in lines if line[:1] != "#") if equals
    ]


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """With the ELIAS that is here in the place of the one that they name; of the node's, one of its machines."""
    text = (SYSTEMD / request.param).read_text()
    path = tmp_path / request.param.replace("@", "@10.0.0.1")
    path.write_text(text.replace("/opt/elias/bin/elias", str(Path(sys.executable).with_name("elias"))))
    return path


def test_systemd_understands_it(unit: Path) -> None:
    ran = subprocess.run([program("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_it_is_exposed_as_little_as_its_work_allows(unit: Path) -> None:
    command = [program("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE}", unit]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-200:]


def test_both_units_differ_in_what_they_start_alone() -> None:
    head, node = ([one for one in settings_of(unit) if one[0] not in DIFFERENT] for unit in UNITS)
    assert head == node


@pytest.mark.parametrize("unit", UNITS)
def test_it_starts_a_command_that_there_is(unit: str) -> None:
    """Also with the flags that its first lines show for a drop-in."""
    (line,) = [value for name, value in settings_of(unit) if name == "ExecStart"]
    (flags,) = re.findall(r'^#   Environment="ELIAS_\w+=(.+)"$', (SYSTEMD / unit).read_text(), re.MULTILINE)
    (variable,) = re.findall(r"\$(\w+)", line)
    assert ("Environment", f"{variable}=") in settings_of(unit)
    for given in ("", flags):
        _, *words = shlex.split(line.replace("%i", "10.0.0.1").replace(f"${variable}", given))
        name, options = parsed(*words)
        assert name == ("join" if "@" in unit else "up")
        assert options.get("head", "10.0.0.1") in (bool(given), "10.0.0.1")


def test_the_page_of_back_ups_names_the_same_places() -> None:
    page = (ROOT / "docs" / "operate" / "backup.md").read_text()
    assert "ExecStart=/opt/elias/bin/elias --config /etc/elias/elias.yaml " in page
    assert "User=elias" in page
