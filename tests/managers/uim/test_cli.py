"""The commands as a user or a script runs them, against the real API; the federation behind it is in this process."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from managers.uim import launch
from managers.uim.cli.app import app, main
from managers.uim.cli.job import state_words
from tests.policy.shelf import policy

from .conftest import House, event


class Elias:
    """`elias` with the settings of a house. `code`, `out`, `err`: of the last call."""

    def __init__(
        self, house: House, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.config = folder / "elias.yaml"
        self.config.write_text(f"state: {house.settings.state}\nlisten:\n  port: {house.settings.listen.port}\n")
        self._patch, self._capture = monkeypatch, capsys
        self.code, self.out, self.err = 0, "", ""

    def __call__(self, *arguments: str) -> str:
        self._patch.setattr(sys, "argv", ["elias", "--config", str(self.config), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        self.code = int(ended.value.code or 0)
        self.out, self.err = self._capture.readouterr()
        return self.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def elias(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(house, tmp_path, monkeypatch, capsys)


def _file(tmp_path: Path, content: str, name: str = "event.yaml") -> str:
    path = tmp_path / name
    path.write_text(content)
    return str(path)


HOT = "type: test.load\nsubject: n1\ntime: 2026-01-31T12:00:00Z\ndata: {load: 97}\n"
ODD = "type: test.load\nid: odd\nsubject: n1\ndata: {load: 50, gpu: 95}\n"


def test_an_event_in_a_file_is_decided(elias: Elias, tmp_path: Path) -> None:
    assert "demo.load n1: would relieve (by high)" in elias("decide", _file(tmp_path, HOT))
    assert elias.code == 0
    (decision,) = elias.json("decide", _file(tmp_path, json.dumps(event(data={"load": 1}))))["decisions"]
    assert decision["action"] == "hold"


def test_a_list_with_a_bad_event_is_decided_and_ends_in_1(elias: Elias, tmp_path: Path) -> None:
    out = elias("decide", _file(tmp_path, json.dumps([event("1"), event("2", type="test.laod")])))
    assert elias.code == 1
    assert "demo.load n1: hold" in out
    assert "did you mean `test.load`" in elias.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "event.yaml:"),
        ("a: 1\na: 2", "twice"),
        ("7", "no event"),
        ("subject: n1", "`type`"),
        ("type: x\nid: 7", "`str`"),
    ],
)
def test_a_file_that_is_no_event_is_a_mistake_with_its_place(
    elias: Elias, tmp_path: Path, content: str, said: str
) -> None:
    elias("decide", _file(tmp_path, content))
    assert elias.code == 1
    assert said in elias.err
    assert "Traceback" not in elias.err


def test_a_decision_is_explained_with_its_comparisons(elias: Elias, tmp_path: Path) -> None:
    (decision,) = elias.json("decide", _file(tmp_path, HOT))["decisions"]
    out = elias("explain", decision["id"])
    assert "load > limit: true (load is 97%, limit is 80%)" in out
    assert elias.json("explain", decision["id"])["explanation"]["same"]
    elias("explain", "absent")
    assert elias.code == 1


def test_a_case_is_listed_and_answered(elias: Elias, tmp_path: Path) -> None:
    elias("decide", _file(tmp_path, ODD))
    (case,) = elias.json("cases", "list", "--each")["cases"]
    assert case["id"] in elias("cases", "list")
    assert "demo.load n1: would relieve" in elias("cases", "answer", case["id"], "relieve", "--words", "too hot")
    elias("cases", "answer", case["id"], "relieve")
    assert elias.code == 1
    assert "before" in elias.err


def test_a_group_is_taken_handed_on_and_answered_as_a_whole(elias: Elias, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        event = {"id": name, "source": "tests", "type": "test.load", "subject": name, "data": {"load": 50, "gpu": 95}}
        elias("decide", _file(tmp_path, json.dumps(event)))
    (group,) = elias.json("cases")["groups"]
    assert "has it" in elias("cases", "ack", group["id"], "--words", "looking")
    assert "bob has it" in elias("cases", "assign", group["id"], "bob")
    elias("cases", "ack", group["id"])
    assert elias.code == 1
    assert "bob has it" in elias.err
    elias("cases", "ack", group["id"], "--take")
    assert "sleeps until" in elias("cases", "snooze", group["id"], "2h")
    elias("cases", "snooze", group["id"], "soon")
    assert (elias.code, "`30m`" in elias.err) == (1, True)
    elias("cases", "comment", group["id"], "the fan is loud")
    assert "the fan is loud" in elias("cases", "show", group["id"])
    assert "hold" in elias("cases", "override", group["id"], "hold", "--words", "it cools by itself")
    assert elias("cases", "bulk", group["id"]) == "2 answered, 0 not\n"
    assert elias.json("cases")["groups"] == []
    examples = [json.loads(line) for line in elias("cases", "export").splitlines()]
    assert [(one["action"], one["reason"]) for one in examples] == [
        ("hold", "it cools by itself"),
        ("relieve", ""),
        ("relieve", ""),
    ]
    elias("cases", "approve", group["id"])
    assert (elias.code, "before" in elias.err) == (1, True)


def test_without_schedules_nobody_is_on_call(elias: Elias) -> None:
    assert elias.json("cases", "on-call") == {"schedules": []}


def test_modes_are_shown_and_set(elias: Elias) -> None:
    assert elias.json("mode")["modes"]["demo.load/relieve"] == "observe"
    elias("mode", "demo.load/relieve", "act")
    assert elias("mode", "demo.load/relieve") == "demo.load/relieve\tact\n"
    elias("mode", "demo.load/nothing", "act")
    assert elias.code == 1


def test_a_freeze_holds_on_this_node_with_everything_down(elias: Elias, house: House) -> None:
    house.close()
    elias("freeze", "the cooling failed")
    assert elias.code == 3
    assert (house.settings.state / "frozen").exists()
    elias("unfreeze")
    assert elias.code == 3
    assert not (house.settings.state / "frozen").exists()


def test_a_freeze_reaches_the_record(elias: Elias, house: House) -> None:
    elias("freeze", "the cooling failed")
    assert house.federation.gate.state.frozen
    assert elias.json("status")["frozen"]
    elias("unfreeze")
    assert elias.code == 0
    assert not house.federation.gate.state.frozen


def test_status_names_what_runs(elias: Elias) -> None:
    out = elias("status")
    assert "demo\trunning\t7" in out
    assert "gpu-1\tup\t37 %" in out
    assert elias.json("status")["nodes"][0]["name"] == "gpu-1"


def test_what_cannot_be_reached_ends_in_3_and_says_how_to_start_it(elias: Elias, house: House) -> None:
    house.close()
    for command in (["status"], ["cases"], ["mode"], ["apps"], ["run", "--", "true"]):
        elias(*command)
        assert elias.code == 3
        assert "elias up" in elias.err


@pytest.fixture
def demo_roster(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read without the API is read with the points of the demo."""
    roster = SimpleNamespace(POINTS=tuple(house.points.values()), MANAGERS={}, SERVICES={}, DOERS={}, BEFOREHAND=())
    monkeypatch.setitem(sys.modules, "demo_roster", roster)
    monkeypatch.setattr(launch, "ROSTER", "demo_roster")


@pytest.mark.usefixtures("demo_roster")
def test_the_ledger_is_read_verified_and_replayed_with_everything_down(
    elias: Elias, house: House, tmp_path: Path
) -> None:
    (decision,) = elias.json("decide", _file(tmp_path, HOT))["decisions"]
    house.close()
    assert "demo.load n1" in elias("ledger", "tail")
    last = json.loads(elias("ledger", "tail", "-n", "1", "--json"))
    assert (last["kind"], last["body"]["action"]) == ("answered", "relieve")
    found = elias.json("ledger", "verify")
    assert found["fault"] is None
    elias("ledger", "export", str(tmp_path / "all.jsonl"))
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == found["size"]
    replayed = elias.json("ledger", "replay")
    assert (replayed["decisions"], replayed["identical"]) == (1, True)
    assert "load > limit: true" in elias("explain", decision["id"])


@pytest.mark.parametrize(("root", "code"), [("", 0), ("00" * 32, 1)])
def test_a_ledger_is_verified_against_what_was_noted_elsewhere(elias: Elias, root: str, code: int) -> None:
    found = elias.json("ledger", "verify")
    elias("ledger", "verify", "--witness", f"{found['size']}:{root or found['root']}")
    assert elias.code == code


@pytest.mark.usefixtures("demo_roster")
def test_an_audit_bundle_is_verified_without_its_ledger(elias: Elias, house: House, tmp_path: Path) -> None:
    (decision,) = elias.json("decide", _file(tmp_path, HOT))["decisions"]
    house.close()
    proof = tmp_path / "proof.jsonl"
    elias("ledger", "export", "--format", "audit", "--decision", decision["id"], str(proof))
    root = elias.json("ledger", "verify")["root"]
    assert f"in the log of {_size(proof)} records, root {root}" in elias("ledger", "verify", str(proof))
    elias("ledger", "verify", str(proof), "--witness", f"{_size(proof)}:{'00' * 32}")
    assert elias.code == 1
    proof.write_text(proof.read_text().replace("relieve", "believe"))
    elias("ledger", "verify", str(proof))
    assert elias.code == 1


def _size(proof: Path) -> int:
    size: int = json.loads(proof.read_text().splitlines()[0])["size"]
    return size


def test_the_token_opens_the_page(elias: Elias, house: House) -> None:
    assert elias("token").strip() == house.token
    link = elias("token", "--link").strip()
    assert link.startswith(f"{house.url}/login?link=")
    assert "Sign in as the owner" in httpx.get(link).text


def test_settings_say_what_differs_from_the_default(elias: Elias, house: House) -> None:
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in elias("settings").splitlines()}
    assert rows["listen.port"] == [str(house.settings.listen.port), "default 8600"]
    assert rows["listen.host"] == ["127.0.0.1", ""]
    assert elias.json("settings")["ledger"]["tick"] == 10.0


SPEC = """## UIM Access Spec
- block_at:   20_failures_per_minute
- when failures >= block_at: block
- otherwise: hold

### Examples
| failures | decides |
| --- | --- |
| 20_failures_per_minute | block |
"""


def test_a_spec_is_checked_tested_explained_and_formatted(elias: Elias, tmp_path: Path) -> None:
    path = _file(tmp_path, SPEC, "a.tiki")
    elias("tiki", "check", path)
    assert elias.code == 0
    assert "1 examples, 0 failed" in elias("tiki", "test", path)
    assert "block" in elias("tiki", "explain", "uim.access", "failures=30_failures_per_minute", "--specs", path)
    elias("tiki", "fmt", "--check", path)
    assert elias.code == 1
    elias("tiki", "fmt", path)
    elias("tiki", "fmt", "--check", path)
    assert elias.code == 0


def test_a_typo_in_a_spec_is_found_with_place_and_suggestion(elias: Elias, tmp_path: Path) -> None:
    path = _file(tmp_path, SPEC.replace("failures >=", "falures >="), "a.tiki")
    out = elias("tiki", "check", path)
    assert elias.code == 1
    assert ":3:" in out
    assert "did you mean `failures`" in out
    elias("tiki", "test", _file(tmp_path, SPEC.replace("| block |", "| hold |"), "b.tiki"))
    assert elias.code == 1


def test_a_point_says_what_a_spec_may_use(elias: Elias) -> None:
    assert "failures  rate" in elias("tiki", "schema", "uim.access")
    assert elias.json("tiki", "schema", "uim.access")["facts_schema"]["type"] == "object"
    elias("tiki", "schema", "uim.acess")
    assert "did you mean `uim.access`" in elias.err


def test_a_wrong_command_line_ends_in_2(elias: Elias) -> None:
    elias("frobnicate")
    assert elias.code == 2


def test_what_is_not_registered_is_not_kept_so_that_it_can_come_again_with_what_it_lacks(
    elias: Elias, house: House, tmp_path: Path
) -> None:
    policy(tmp_path / "trained", {}, {})
    elias("policy", "register", str(tmp_path / "trained"))
    assert (elias.code, list((house.settings.state / "policies").iterdir())) == (1, [])


def test_a_full_disk_is_no_bug_and_says_what_to_do(elias: Elias) -> None:
    elias("cases", "export", "--format", "csv", "--out", "/dev/full")
    assert elias.code == 1
    assert "there is no room on the disk" in elias.err
    assert "make room" in elias.err


def test_a_bug_asks_to_be_reported_with_a_file(elias: Elias, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(house.link, "on_tree", broken)
    elias("status")
    assert elias.code == 70
    assert "BUG" in elias.err
    report = Path(elias.err.strip().split()[-1])
    assert "Traceback" in report.read_text()
    report.unlink()


def test_every_command_teaches_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    def walk(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        below = getattr(command, "commands", {})
        return [p for name, one in below.items() for p in walk(one, (*path, name))] if below else [path]

    whole = typer.main.get_command(app)
    monkeypatch.setattr("typer.testing._get_command", lambda app: whole)  # which it would make anew for each call
    for path in walk(whole, ()):
        shown = CliRunner().invoke(app, [*path, "--help"])
        assert shown.exit_code == 0
        assert path == ("cases", "list") or "Example" in shown.output, path


def test_help_loads_nothing_heavy() -> None:
    heavy = ["ray", "numpy", "sqlalchemy", "pydantic", "fastapi", "lark", "httpx"]
    code = f"import sys, managers.uim.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"state": "waiting", "node": "", "detail": "no room", "exit_code": None}, "waiting: no room"),
        ({"state": "running", "node": "n1", "detail": "", "exit_code": None}, "running on n1"),
        ({"state": "failed", "node": "n1", "detail": "x", "exit_code": 7}, "failed on n1 with exit code 7"),
        ({"state": "done", "node": "n1", "detail": "", "exit_code": 0}, "done on n1"),
        ({"state": "forwarded", "node": "", "detail": "x", "exit_code": None, "peer": "west"}, "forwarded at west"),
        (
            {"state": "failed", "node": "", "detail": "x", "exit_code": 7, "peer": "west"},
            "failed at west with exit code 7",
        ),
    ],
)
def test_where_a_job_stands_is_said_in_a_few_words(job: dict[str, Any], words: str) -> None:
    assert state_words({"peer": "", **job}) == words
