"""What `apps.yaml` may say, and what it says when it is wrong."""

from pathlib import Path

import pytest

from federation.errors import Refused
from managers.uam import apps


def write(folder: Path, text: str) -> Path:
    path = folder / "apps.yaml"
    path.write_text(text)
    return path


def test_a_declaration_needs_a_command_and_nothing_else(tmp_path: Path) -> None:
    (app,) = apps.load(write(tmp_path, "apps: {web: {command: [serve]}}")).values()
    assert (app.instances, app.restart, app.node, app.strategy) == (1, "permanent", "any", "one_for_one")
    assert app.launch["cwd"] == str(tmp_path)


@pytest.mark.parametrize("text", ["", "apps:\n", "apps: {}"])
def test_a_file_may_declare_nothing(tmp_path: Path, text: str) -> None:
    if text == "apps:\n":
        with pytest.raises(Refused):
            apps.load(write(tmp_path, text))
    else:
        assert apps.load(write(tmp_path, text)) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apps: {web: {}}", "apps.web.command: Field required"),
        ("apps: {web: {command: []}}", "apps.web.command: Tuple should have at least 1 item"),
        ("apps: {web: {command: serve}}", "apps.web.command: Input should be a valid tuple"),
        ("apps: {web: {command: [a], comand: [b]}}", "apps.web.comand: Extra inputs are not permitted"),
        ("apps: {Web!: {command: [a]}}", "apps.Web!: String should match pattern"),
        ("apps: {web: {command: [a], memory: 2 GB}}", "apps.web.memory"),
        ("apps: {web: {command: [a], stop: {signal: KIL}}}", "apps.web.stop.signal: Input should be 'TERM'"),
        ("apps: {web: {command: [a], stop: {grace: soon}}}", "write a duration as `30s`"),
        ("apps: {web: {command: [a], check: {tcp: '80', http: 'http://x'}}}", "give one of `command`, `tcp` or `http`"),
        ("apps: {web: {command: [a], check: {tcp: localhost}}}", "`tcp` is a port"),
        ("apps: {web: {command: [a], check: {http: 'file:///etc/passwd'}}}", "`http` is a URL"),
        ("apps: {web: {command: [a], group: pair}}", "which `groups` does not name"),
        ("apps: {web: {command: [a], instances: 1000}}", "apps.web.instances"),
        ("apps: {web: {command: [a]}, web: {command: [b]}}", "the key `web` is given twice"),
        ("apps: [", "expected the node content"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(Refused) as caught:
        apps.load(path)
    assert message in str(caught.value)
    assert str(path) in caught.value.place
    assert caught.value.cure


def test_what_needs_no_restart_leaves_the_digest_alone(tmp_path: Path) -> None:
    def digest(rest: str) -> str:
        return apps.load(write(tmp_path, f"apps: {{web: {{command: [serve]{rest}}}}}"))["web"].digest

    assert digest("") == digest(", priority: 3, memory: 2GB, instances: 4, restart: transient")
    assert len({digest(""), digest(", env: {A: b}"), digest(", cwd: sub"), digest(", node: n2")}) == 4


def test_sizes_and_durations_carry_units(tmp_path: Path) -> None:
    text = "apps: {web: {command: [a], memory: 2GiB, stop: {grace: 2m}}}"
    (app,) = apps.load(write(tmp_path, text)).values()
    assert (app.memory, app.launch["stop"]["grace"]) == (2 * 2**30, 120.0)


def test_the_example_of_the_documentation_is_sound(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "applications.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    assert list(apps.load(write(tmp_path, text))) == ["database", "web", "backup"]
