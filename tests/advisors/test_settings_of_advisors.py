"""Which providers may be named, and what is refused with a cure."""

from pathlib import Path

import pytest

from federation.errors import Refused
from federation.settings import Settings, load


def read(folder: Path, providers: str, more: str = "") -> Settings:
    path = folder / "elias.yaml"
    path.write_text(f"advisors:\n  providers:\n    - {providers}\n{more}")
    return load(path)


def test_nobody_is_asked_by_default() -> None:
    settings = Settings().advisors
    assert settings.providers == ()
    assert not settings.asks("ucm.coordination")


def test_all_points_are_asked_about_unless_some_are_named(tmp_path: Path) -> None:
    claude = "{kind: anthropic, model: m, key_env: K}"
    assert read(tmp_path, claude).advisors.asks("ucm.coordination")
    named = read(tmp_path, claude, "  points: [ucm.storm]\n").advisors
    assert (named.asks("ucm.storm"), named.asks("ucm.coordination")) == (True, False)


def test_a_key_file_is_relative_to_the_settings_and_its_key_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "claude.key").write_text("abc\n")
    (provider,) = read(tmp_path, "{kind: anthropic, model: m, key_file: claude.key}").advisors.providers
    assert provider.key() == "abc"


def test_a_server_of_ones_own_needs_no_key(tmp_path: Path) -> None:
    (provider,) = read(tmp_path, "{kind: openai, model: m, base_url: 'http://gpu-box:11434/v1'}").advisors.providers
    assert provider.key() == ""


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        ("{kind: anthropic, model: m}", "asks for a key: name `key_env` or `key_file`"),
        ("{kind: claude, model: m}", "'anthropic' or 'openai'"),
        ("{kind: anthropic, key_env: K}", "model: Field required"),
        ("{kind: anthropic, model: m, key: abc}", "there is no such setting"),
        ("{kind: anthropic, model: m, key_env: K, key_file: f}", "exclude each other"),
        ("{kind: openai, model: m, key_env: K, base_url: 'http://far.example/v1'}", "a key does not travel in clear"),
        ("{kind: openai, model: m, base_url: 'ftp://far.example'}", "base_url"),
        ("{kind: openai, model: m, base_url: 'https://user@far.example'}", "base_url"),
        ("{kind: anthropic, model: m, key_env: K, input_price: 3}", "go together"),
        ("{kind: anthropic, model: m, key_env: K, input_price: -3, output_price: 1}", "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(tmp_path: Path, providers: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        read(tmp_path, providers)
    assert refused.value.place.startswith(f"{tmp_path}/elias.yaml:3:")


def test_a_key_file_that_is_not_there_or_is_empty_is_refused_with_a_cure(tmp_path: Path) -> None:
    (provider,) = read(tmp_path, "{kind: anthropic, model: m, key_file: none.key}").advisors.providers
    with pytest.raises(Refused, match=r"none\.key: its key cannot be read"):
        provider.key()
    (tmp_path / "none.key").write_text("\n")
    with pytest.raises(Refused, match="there is no key"):
        provider.key()
