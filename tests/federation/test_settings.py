"""Settings: read strictly, explained with a cure, and every one of them documented."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from federation.errors import Refused
from federation.sections import seconds
from federation.settings import Settings, load

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()


def load_text(folder: Path, text: str) -> Settings:
    path = folder / "elias.yaml"
    path.write_text(text)
    return load(path)


# -- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30.0), ("5m", 300.0), ("2h", 7200.0), ("1d", 86400.0), ("250ms", 0.25), ("7", 7.0)]
)
def test_durations_are_written_with_their_unit(tmp_path: Path, text: str, value: float) -> None:
    assert load_text(tmp_path, f"telemetry: {{interval: {text}}}").telemetry.interval == value


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().listen.port == 8600
    assert load().state == tmp_path / ".elias"


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        load(tmp_path / "elias.yaml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_text(tmp_path, "").gate == Settings().gate


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "apps.yaml").touch()
    settings = load_text(tmp_path, "state: data\nspecs: ../rules\n")
    assert settings.state == tmp_path / "data"
    assert settings.specs == tmp_path / ".." / "rules"
    assert settings.apps == tmp_path / "apps.yaml"


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "says", "cure"),
    [
        ("listne: {port: 1}\n", "1:1", "listne: there is no such setting", "did you mean `listen`?"),
        ("listen:\n  prot: 8600\n", "2:3", "listen.prot: there is no such setting", "did you mean `port`?"),
        ("a: 1\nwebhook: {}\n", "1:1", "there is no such setting .and 1 more.", "`elias settings` lists"),
        ("gate:\n  caps:\n    - {atmost: 3, within: 5m}\n", "3:8", "gate.caps.0.atmost", "did you mean `at_most`?"),
        (
            "targets:\n  chat: {kind: webhook, url: http://x, timout: 1s}\n",
            "2:40",
            "targets.chat.timout",
            "did you mean `timeout`?",
        ),
        ("targets:\n  chat: {kind: slack}\n", "2:3", "targets.chat: write `url_env` or `url_file`", "lists"),
        ("targets:\n  chat: {kind: irc}\n", "2:3", "targets.chat: a target has a `kind`: webhook", "lists"),
        ("targets:\n  chat: {url: http://x}\n", "2:3", "targets.chat: a target has a `kind`: webhook", "lists"),
        (
            "targets:\n  mail: {kind: email, host: h, sender: a@b, to: [c@d], user: u}\n",
            "2:3",
            "a login is `user` with `password_env` or `password_file`",
            "lists",
        ),
        (
            "targets:\n  mail: {kind: email, host: h, sender: a@b, to: [c@d], user: u, password_env: P, tls: none}\n",
            "2:3",
            "a password does not travel in clear",
            "lists",
        ),
        (
            "targets:\n  mail: {kind: email, host: h, sender: a@b, to: [nobody]}\n",
            "2:50",
            "targets.mail.to.0",
            "lists",
        ),
        ("gate:\n  caps:\n    - {action: x/y, within: 5m}\n", "3:7", "gate.caps.0.at_most: Field required", "lists"),
        ("listen: {port: 99999}\n", "1:10", "less than or equal to 65535", "lists"),
        ("telemetry: {interval: 5 parsecs}\n", "1:13", "interval: write a duration as `30s`", "lists"),
        ("telemetry: {interval: -5}\n", "1:13", "greater than or equal to 0", "lists"),
        (
            "ray:\n  redis: {url: 'http://a:1'}\n",
            "2:3",
            "ray.redis: write the url like `redis://10.0.0.9:6379`",
            "lists",
        ),
        ("ray:\n  redis: {url: 'redis://u:planted@a:1'}\n", "2:3", "the password goes into `password_file`", "lists"),
        ("ray:\n  redis: {url: 'redis://a:99999'}\n", "2:3", "write the url like `redis://10.0.0.9:6379`", "lists"),
        ("ray:\n  redis: {url: 'redis://10.0.0.9:1'}\n", "2:3", "other machines can reach needs `pass", "lists"),
        ("ray:\n  redis: {password_file: f}\n", "2:3", "of no use without `url`", "lists"),
        ("gate: {windows: [{action: a/b, timezone: Mars}]}\n", "1:32", "`Mars` is not a time zone", "lists"),
        ("gate: {windows: [{action: a/b, days: [someday]}]}\n", "1:39", "'mon', 'tue'", "lists"),
        ("- listen\n", "1:1", "the file is not a mapping of settings", "lists"),
        ("just words\n", "1:1", "the file is not a mapping of settings", "lists"),
        ("listen: {port: 1}\nlisten: {port: 2}\n", "2:1", "the key `listen` is given twice", "correct this line"),
        ("a: &a {port: 1}\nlisten: *a\n", "2:9", "aliases are not allowed", "correct this line"),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_a_cure(
    tmp_path: Path, text: str, place: str, says: str, cure: str
) -> None:
    with pytest.raises(Refused, match=says) as refused:
        load_text(tmp_path, text)
    assert refused.value.place == f"{tmp_path}/elias.yaml:{place}"
    assert cure in refused.value.cure
    assert "planted" not in str(refused.value)


# -- what is documented ---------------------------------------------------------------------------------------------


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its path; `[]` stands for an item of a list, `<name>` for a name of the user's choice."""
    for name, field in model.model_fields.items():
        inner = list(_models(field.annotation))
        if not inner or not _is_model(field.annotation):
            yield f"{path}{name}", field
        for section in inner:
            optional = _is_model(field.annotation) or type(None) in get_args(field.annotation)
            item = "" if optional else ".<name>" if "dict" in str(field.annotation) else "[]"
            yield from sections(section, f"{path}{name}{item}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if _is_model(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def row(path: str, field: FieldInfo) -> str:
    return f"| `{path}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    default = field.default
    if field.is_required():
        return "required"
    if any(isinstance(m, BeforeValidator) and m.func is seconds for m in field.metadata):
        return f"`{default:g}s`"
    if default in (None, "", (), {}):
        return "none"
    if isinstance(default, tuple):
        return "below" if isinstance(default[0], BaseModel) else f"`[{', '.join(default)}]`"
    return f"`{default}`"


# What several kinds of targets have is told once.
ROWS = list(dict.fromkeys(row(path, field) for path, field in sections(Settings)))


@pytest.mark.parametrize(("path", "field"), list(sections(Settings)), ids=lambda x: x if isinstance(x, str) else "")
def test_every_setting_has_a_sentence(path: str, field: FieldInfo) -> None:
    assert field.description
    assert field.description.endswith(".")
    assert "\n" not in field.description


def test_the_page_lists_every_setting_as_it_is_and_no_other() -> None:
    assert [line for line in PAGE.splitlines() if line.startswith("| `")] == ROWS


@pytest.mark.parametrize("example", [p.split("```")[0] for p in PAGE.split("```yaml\n")[1:]])
def test_every_example_on_the_page_is_read(tmp_path: Path, example: str) -> None:
    assert load_text(tmp_path, example) != load_text(tmp_path, "")
