import io
import json
import sys
from pathlib import Path

import pytest

from managers.uim.cli import signed_in
from managers.uim.cli.app import main

from ..conftest import House

PASSWORD = "correct horse battery staple"


class Shell:
    """`elias` on a machine of its own: with its own home, and the settings file that it is given."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
        self.config: Path | None = None
        self.code = 0
        self.complaint = ""

    def __call__(self, *arguments: str, typed: str = "") -> str:
        config = ["--config", str(self.config)] if self.config else []
        self._patch.setattr(sys, "argv", ["elias", *config, *arguments])
        self._patch.setattr(sys, "stdin", io.StringIO(typed))
        self.code = 0
        try:
            main()
        except SystemExit as ended:
            self.code = int(ended.code or 0)
        said = self._capsys.readouterr()
        self.complaint = said.err
        return said.out


@pytest.fixture
def elias(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path / "home", monkeypatch, capsys)
    made.config = tmp_path / "elias.yaml"
    made.config.write_text(f"state: {house.settings.state}\nlisten: {{port: {house.settings.listen.port}}}\n")
    return made


def test_an_account_is_added_listed_changed_and_disabled(elias: Shell, house: House) -> None:
    elias("accounts", "add", "ada", "--role", "operator", typed=PASSWORD + "\n")
    assert elias.code == 0
    elias("accounts", "role", "ada", "author")
    elias("accounts", "disable", "ada")
    assert elias("accounts", "list").split("\t")[:4] == ["ada", "author", "password", "disabled"]
    elias("accounts", "enable", "ada")
    new = elias("accounts", "password", "ada", "--generate").strip()
    with house.browser("ada", new) as browser:
        assert browser.get("/v1/me").json()["role"] == "author"
    assert "PUT /v1/accounts/ada/password" in elias("accounts", "trail")


def test_a_weak_password_is_refused_with_a_cure(elias: Shell) -> None:
    elias("accounts", "add", "ada", typed="short\n")
    assert elias.code == 1
    assert "three or four words" in elias.complaint


def test_a_token_is_made_listed_and_revoked(elias: Shell) -> None:
    secret = elias("tokens", "new", "--scope", "read", "--label", "prometheus").strip()
    id = secret.split("_")[1]
    assert elias("tokens", "list").startswith(f"{id}\t")
    elias("tokens", "revoke", secret)
    assert elias("tokens", "list") == ""
    elias("tokens", "new")
    assert (elias.code, "--scope read" in elias.complaint) == (1, True)


def test_who_signs_in_acts_as_themselves_until_they_sign_out(elias: Shell, house: House, tmp_path: Path) -> None:
    elias("accounts", "add", "ada", "--role", "viewer", typed=PASSWORD + "\n")
    assert "by first-day token" in elias("whoami")
    elias("login", "--name", "ada", typed=PASSWORD + "\n")
    assert json.loads(elias("whoami", "--json"))["name"] == "ada"
    assert signed_in.path().stat().st_mode & 0o777 == 0o600
    elias("freeze")
    assert (elias.code, "lacks the scope" in elias.complaint) == (1, True)
    elias("logout")
    assert "by first-day token" in elias("whoami")


def test_another_machine_reaches_it_by_signing_in(elias: Shell, house: House, tmp_path: Path) -> None:
    elias("accounts", "add", "ada", "--role", "viewer", typed=PASSWORD + "\n")
    elias.config = tmp_path / "elsewhere.yaml"
    elias.config.write_text(f"state: {tmp_path / 'nothing'}\n")
    elias("whoami")
    assert elias.code == 3
    elias("login", house.url, "--name", "ada", typed=PASSWORD + "\n")
    assert elias("whoami").startswith(f"ada, viewer at {house.url}")


def test_a_password_is_not_sent_in_the_clear(elias: Shell) -> None:
    elias("login", "http://elias.example:8600", typed=PASSWORD + "\n")
    assert (elias.code, "plain http is for this machine" in elias.complaint) == (1, True)
