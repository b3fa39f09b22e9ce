"""`elias apps`, `elias messages`, and a job that waits for a person: as an operator uses them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.records import Outcome
from federation.targets import Webhook
from managers.uam import apps
from managers.uam.manager import Uam
from managers.ucm.manager import Ucm
from managers.ufm.manager import Ufm
from managers.uim.cli.app import main
from managers.urm.manager import Urm
from tests.managers.urm.kit import report

from .conftest import House


class Operator:
    """`elias` at an installation with applications and a webhook."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capture = folder, monkeypatch, capsys
        targets = {"pager": Webhook(kind="webhook", url="http://127.0.0.1:9/hook")}
        self.house = House(folder, Uam, Ucm, targets=targets)
        port = self.house.settings.listen.port
        (folder / "elias.yaml").write_text(f"state: {folder}\nlisten:\n  port: {port}\n")
        self.code, self.err = 0, ""

    def __call__(self, *arguments: str) -> str:
        self._patch.setattr(sys, "argv", ["elias", "--config", str(self.folder / "elias.yaml"), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        self.code = int(ended.value.code or 0)
        out, self.err = self._capture.readouterr()
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def running(self, text: str) -> None:
        """Applications that were declared, started on a node, and reported as running."""
        path, federation = self.folder / "apps.yaml", self.house.federation
        path.write_text(text)
        uam = federation.desks["uam"].manager
        assert isinstance(uam, Uam)
        uam.declare(apps.load(path))
        federation.tick()
        federation.report("uam", [{"node": "n1", "processes": []}])
        federation.tick()
        told = []
        for decision, wish in list(federation.gate.state.released.items()):
            known = {name: wish.effect.payload[name] for name in ("app", "instance", "digest")}
            told.append({**known, "effect": decision, "status": "running", "uptime": 3700.0, "pid": 7, "memory": 5e6})
            federation.outcome(decision, Outcome("done", "", {"effect": decision}))
        federation.report("uam", [{"node": "n1", "processes": told}])

    def dead_letter(self, text: str) -> str:
        """A message that its target rejected; its id."""
        event = {"specversion": "1.0", "id": text, "source": "tests", "type": "elias.message.send", "subject": "n1"}
        with self.house.client() as client:
            sent = client.post("/v1/events", json={**event, "data": {"target": "pager", "body": {"text": text}}}).json()
        (decision,) = sent["decisions"]
        data = {"failure": "rejected", "status": 400}
        self.house.federation.outcome(decision["id"], Outcome("failed", "400", data))
        self.house.clock.advance(1)
        self.house.federation.tick()
        return str(decision["id"])


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    made = Operator(tmp_path, monkeypatch, capsys)
    yield made
    made.house.close()


WEB = "apps:\n  web: {command: [sleep, '60'], instances: 2}\n  db: {command: [sleep, '60']}\n"


def test_applications_are_listed_as_a_person_reads_them(elias: Operator) -> None:
    elias.running(WEB)
    rows = {line.split("\t")[0]: line.split("\t") for line in elias("apps").splitlines()}
    assert set(rows) == {"web/0", "web/1", "db/0"}
    assert rows["db/0"] == ["db/0", "running", "n1", "7", "1h 1m", "5 MB", "0", ""]
    assert {app["name"] for app in elias.json("apps")["apps"]} == set(rows)


def test_without_applications_the_page_that_tells_how_is_named(
    elias: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    said = elias("apps")
    assert "docs/applications.md" in said
    assert (Path(__file__).parents[3] / "docs" / "applications.md").exists()


@pytest.mark.parametrize(("name", "asked"), [("web/0", ["web/0"]), ("web", ["web/0", "web/1"])])
@pytest.mark.parametrize("request_", ["start", "stop", "restart"])
def test_an_instance_or_all_of_an_application_are_asked(
    elias: Operator, name: str, asked: list[str], request_: str
) -> None:
    elias.running(WEB)
    found = elias.json("apps", request_, name)["decisions"]
    assert [decision["subject"] for decision in found] == asked
    assert {decision["point"] for decision in found} == {"uam.restart"}


def test_an_application_that_is_not_there_is_met_with_a_suggestion(elias: Operator) -> None:
    elias.running(WEB)
    elias("apps", "stop", "wab")
    assert elias.code == 1
    assert "did you mean `web`?" in elias.err


def test_dead_letters_are_listed_and_sent_again(elias: Operator) -> None:
    first, second = elias.dead_letter("one"), elias.dead_letter("two")
    out = elias("messages")
    assert "pager\twebhook\t0\t0\t0\tclosed" in out
    assert f"{first}\tpager\tn1\tnormal\t1\trejected, status 400" in out
    assert "deliver" in elias("messages", "resend", first)
    assert [one["id"] for one in elias.json("messages")["dead"]] == [second]
    assert [decision["action"] for decision in elias.json("messages", "resend", "--target", "pager")["decisions"]]
    assert elias.json("messages")["dead"] == []


def test_all_dead_letters_are_sent_again(elias: Operator) -> None:
    for text in ("one", "two", "three"):
        elias.dead_letter(text)
    assert len(elias.json("messages", "resend", "--all")["decisions"]) == 3
    assert elias("messages", "resend", "--all") == ""
    assert elias.code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name one"), (["7", "--all"], "name one"), (["7"], "`elias messages` lists them")],
)
def test_a_mistake_about_dead_letters_says_what_to_do(elias: Operator, arguments: list[str], said: str) -> None:
    elias("messages", "resend", *arguments)
    assert elias.code == 1
    assert said in elias.err


def test_a_job_that_waits_because_of_a_freeze_says_how_to_go_on(tmp_path: Path) -> None:
    house = House(tmp_path, Urm, Ufm)
    (tmp_path / "elias.yaml").write_text(f"state: {tmp_path}\nlisten:\n  port: {house.settings.listen.port}\n")
    for manager in ("ufm", "urm"):
        house.federation.report(manager, [report("n1")])
    house.link.on_set_freeze("gate", True, "ada", "the cooling failed")
    command = [sys.executable, "-m", "managers.uim.cli", "--config", str(tmp_path / "elias.yaml"), "run", "--", "true"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Ctrl-C" in line:
                process.terminate()
    house.close()
    text = "".join(said)
    assert "effects are frozen: `elias unfreeze` first, then answer the case" in text
    assert "answer it: `elias cases answer " in text
    assert "with release or hold" in text
    assert "Ctrl-C leaves the job waiting" in text
