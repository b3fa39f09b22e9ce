"""Commands that need what the core does not install."""

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.errors import Refused
from managers.uim.cli.app import app


@pytest.mark.parametrize(
    "arguments", [("train", "policy", "--out", "made"), ("demo-learning", "--folder", "made")], ids=lambda one: one[0]
)
def test_without_torch_a_command_says_at_once_what_to_install(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, Refused)
    assert "torch" in refused.message
    assert refused.cure == "pip install 'elias[train]'"
    assert list(tmp_path.iterdir()) == []
