"""`elias tiki diff`: an edit of specs, held against a ledger that a real manager wrote."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiki
from federation.clock import VirtualClock
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.points import schemas
from federation.records import Event
from federation.runtime.roster import Roster
from federation.settings import Settings, shipped_specs
from managers.uim.launch import ROSTER
from managers.urm.manager import Urm

from .tiki_cli import Elias

SPEC = """## URM Resource Pressure Spec
- decides: urm.resource_pressure
- fallback: request_operator
- hot: when memory > 90%: consult [shed_load, hold]
- otherwise: hold
"""


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    made = Elias(tmp_path, monkeypatch, capsys)
    made.write("old/pressure.tiki", SPEC)
    made.write("new/pressure.tiki", SPEC.replace("90%", "80%"))
    return made


@pytest.fixture
def ledger(elias: Elias) -> Iterator[str]:
    """The questions of one URM about three nodes, under the specs in `old`."""
    settings, clock = Settings(state=elias.folder), VirtualClock()
    store = Store.open(str(elias.folder / "ledger.db"))
    gate = [tiki.Source("gate.tiki", (shipped_specs() / "gate" / "gate.tiki").read_text())]
    bundle = tiki.build([tiki.Source("pressure.tiki", SPEC), *gate], schemas(Roster(ROSTER).points))
    federation = LocalFederation([Urm(settings)], bundle, store, clock, settings)
    for number, (node, memory) in enumerate([("a", 85.0), ("b", 95.0), ("c", 20.0), ("b", 50.0)]):
        clock.advance(1)
        data = {"memory": memory, "cpu": 10.0, "gpu": None, "disk": 10.0}
        federation.post([Event(str(number), "test", "elias.resource.sample", node, None, data)])
    yield str(elias.folder / "ledger.db")
    store.close()


def test_decisions_that_would_have_been_different_are_named_and_counted(elias: Elias, ledger: str) -> None:
    said = elias("tiki", "diff", "old", "new", "--ledger", ledger)
    assert said.code == 0
    (line,) = [line for line in said.out.splitlines() if "urm.resource_pressure a: hold" in line]
    assert line.endswith("hold -> consult(hold, shed_load)")
    assert "1 of 4 recorded decisions would have been different" in said.out
    assert "urm\turm.resource_pressure\thold -> consult\t1" in said.out
    (decision,) = elias("tiki", "diff", "old", "new", "--ledger", ledger, "--json").json["decisions"]
    assert line.startswith(decision["decision"])
    assert decision["url"].endswith(f"/decisions/{decision['decision']}")


@pytest.mark.parametrize("word", ["latest", "digest"])
def test_what_is_in_force_is_named_by_its_digest_or_as_the_latest(elias: Elias, ledger: str, word: str) -> None:
    found = elias("tiki", "diff", "latest", "new", "--ledger", ledger, "--json").json
    old = found["old"][:10] if word == "digest" else word
    assert elias("tiki", "diff", old, "new", "--ledger", ledger, "--json").json == found
    assert found["recorded"]["urm.resource_pressure"]["changed"] == 1


def test_a_revision_of_git_is_read_without_checking_it_out(elias: Elias) -> None:
    for command in (
        ["init", "-q"],
        ["add", "old"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True, cwd=elias.folder)
    elias.write("old/pressure.tiki", SPEC.replace("90%", "70%"))
    for word, path in (("HEAD:old", "old"), ("HEAD:old/pressure.tiki", "old/pressure.tiki")):
        said = elias("tiki", "diff", word, path, "--no-ledger", "--json")
        assert said.json["points"] == ["urm.resource_pressure"]
        assert elias("tiki", "diff", word, word, "--no-ledger", "--json").json["points"] == []


def test_specs_that_mean_the_same_are_said_to(elias: Elias, ledger: str) -> None:
    elias.write("new/pressure.tiki", f"Words.\n\n{SPEC}")
    assert elias("tiki", "diff", "old", "new", "--ledger", ledger).out == "the rules are the same\n"


def test_what_is_decided_otherwise_is_told_for_all_inputs_with_an_example(elias: Elias) -> None:
    said = elias("tiki", "diff", "old", "new", "--no-ledger")
    assert "hold -> consult [shed_load, hold]: memory > 80% and memory <= 90%; for example memory=" in said.out
    (point,) = elias("tiki", "diff", "old", "new", "--no-ledger", "--json").json["meaning"]
    (difference,) = point["differences"]
    assert (difference["exactly"], difference["unknown_only"]) == (True, False)
    assert point["consults"] == "refuted"


def test_rules_that_are_written_otherwise_and_mean_the_same_are_proved_to(elias: Elias) -> None:
    elias.write("new/pressure.tiki", SPEC.replace("memory > 90%", "not memory <= 90% and not memory is absent"))
    assert "proved for all inputs" in elias("tiki", "diff", "old", "new", "--no-ledger").out


def test_guards_and_settings_that_changed_are_told(elias: Elias) -> None:
    guard = "- timeout: 5m\n- never migrate when memory > 50%\n- otherwise"
    elias.write("new/pressure.tiki", SPEC.replace("- otherwise", guard))
    out = elias("tiki", "diff", "old", "new", "--no-ledger").out
    assert "migrate is newly forbidden: " in out
    assert "timeout: 1h -> 5m" in out


def test_a_setting_that_the_manager_reads_itself_is_named(elias: Elias) -> None:
    old = "## UAM Restart Spec\n- decides: uam.restart\n- fallback: hold\n- backoff_max: 1m\n- otherwise: hold\n"
    elias.write("old/restart.tiki", old)
    elias.write("new/restart.tiki", old.replace("1m", "5m"))
    assert "backoff_max is read by UAM itself" in elias("tiki", "diff", "old", "new", "--no-ledger").out


@pytest.mark.parametrize("all_", [True, False])
def test_only_the_first_decisions_are_named_unless_all_are_wanted(elias: Elias, ledger: str, all_: bool) -> None:
    elias.write("new/pressure.tiki", SPEC.replace("otherwise: hold", "otherwise: consult [migrate, hold]"))
    said = elias("tiki", "diff", "old", "new", "--ledger", ledger, *(["--all"] if all_ else ["-n", "1"]))
    assert said.out.count("hold -> consult(hold, migrate)\n") == (3 if all_ else 1)
    assert ("and 2 more; `--all` names them" in said.out) != all_


def test_without_a_ledger_here_the_meaning_is_compared_all_the_same(elias: Elias) -> None:
    said = elias("tiki", "diff", "old", "new")
    assert said.code == 0
    assert "there is no ledger here" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "new"], "name a file, a folder, a bundle, `HEAD~1:tiki_specs`"),
        (["HEAD~1:old", "new"], "write REVISION:PATH"),
        (["latest", "new"], "there is no ledger here"),
        (["torn.bundle", "new"], "this is not a bundle"),
        (["old", "broken.tiki"], "did you mean `memory`?"),
        (["old", "new", "--ledger", "absent.db"], "there is no ledger here"),
    ],
)
def test_a_mistake_says_what_to_do(elias: Elias, arguments: list[str], said: str) -> None:
    elias.write("broken.tiki", SPEC.replace("memory", "memry"))
    elias.write("torn.bundle", "{")
    found = elias("tiki", "diff", *arguments)
    assert found.code == 1
    assert said in found.err


def test_a_digest_that_is_not_on_record_is_told(elias: Elias, ledger: str) -> None:
    said = elias("tiki", "diff", "0123456789ab", "new", "--ledger", ledger)
    assert said.code == 1
    assert "`elias bundle history` lists them" in said.err


def test_a_bundle_that_was_built_is_compared_like_its_folder(elias: Elias) -> None:
    assert elias("bundle", "build", "old", "--version", "1").code == 0
    assert elias("tiki", "diff", "1.bundle", "old", "--no-ledger", "--json").json["points"] == []
    assert elias("tiki", "diff", "1.bundle", "new", "--no-ledger", "--json").json["points"] == ["urm.resource_pressure"]


def test_a_terminal_gets_a_table_and_a_bar(elias: Elias, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    said = elias("tiki", "diff", "old", "new", "--ledger", ledger)
    assert "hold -> consult" in said.out


def test_what_may_differ_over_time_is_not_told_as_a_fact(elias: Elias) -> None:
    elias.write("old/pressure.tiki", SPEC.replace("90%", "90% for 30s"))
    elias.write("new/pressure.tiki", SPEC.replace("90%", "90% and jobs > 3 for 30s"))
    out = elias("tiki", "diff", "old", "new", "--no-ledger").out.splitlines()
    (stricter,) = [line for line in out if "consult [shed_load, hold] -> hold" in line]
    (looser,) = [line for line in out if "hold -> consult [shed_load, hold]" in line]
    assert "until 15s ago jobs=3" in stricter
    assert "may differ" not in stricter
    assert "may differ: the times at which conditions held are taken as independent" in looser
