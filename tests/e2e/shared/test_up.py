"""`elias up` on this machine: live figures, real decisions, jobs that run, and what a newcomer does first."""

import contextlib
import http.client
import json
import stat
import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from tests.e2e.asking import cli, sample
from tests.e2e.waiting import until


def served(elias: Running) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return elias.get("/readyz")[0] == 200
    return False


def test_this_machine_appears_as_a_node_with_its_live_figures(elias: Running) -> None:
    def node() -> Any:
        _, answer = elias.get("/v1/nodes")
        nodes = answer["nodes"]
        return nodes if nodes and nodes[0].get("report") else None

    (found,) = until(node)
    assert found["status"] == "up"
    assert 0 < found["report"]["memory"] < 100
    assert found["cpus"] >= 1


def test_an_event_is_decided_and_can_be_explained(elias: Running) -> None:
    status, answer = elias.request("POST", "/v1/events", sample("explain-me"))
    assert status == 200
    (decision,) = [d for d in answer["decisions"] if d["point"] == "urm.resource_pressure"]
    assert decision["action"] == "hold"
    status, explained = elias.get(f"/v1/decisions/{decision['id']}/explain")
    assert status == 200
    assert "memory" in json.dumps(explained)


def test_the_token_is_for_its_owner_alone_and_is_asked_for(elias: Running) -> None:
    assert stat.S_IMODE((elias.state / "token").stat().st_mode) == 0o600
    with contextlib.closing(elias.connect()) as connection:
        connection.request("GET", "/v1/nodes")
        assert connection.getresponse().status == 401


def test_a_job_runs_on_the_node_and_its_end_is_the_outcome(elias: Running) -> None:
    done = cli(elias, "run", "--cpu", "0.5", "--memory", "10MB", "--", "sh", "-c", "echo hello from $ELIAS_JOB")
    assert "hello from" in done.stdout
    failed = cli(elias, "run", "--", "sh", "-c", "exit 3", check=False)
    assert failed.returncode == 3


def test_the_doctor_finds_nothing_wrong(elias: Running) -> None:
    wanted = {"processes.run", "serving.ready", "ports.ours", "ledger.sound", "versions.cluster_agrees"}

    def found() -> Any:
        ran = cli(elias, "doctor", "--json", check=False)
        severities = {one["code"]: one["severity"] for one in json.loads(ran.stdout)["findings"]}
        return severities if ran.returncode == 0 and wanted <= set(severities) else None

    assert "error" not in until(found).values()


def test_up_again_attaches_to_what_runs(elias: Running) -> None:
    before = elias.get("/v1/managers")[1]
    again = cli(elias, "up")
    assert again.returncode == 0
    assert str(elias.port) in again.stdout
    assert elias.get("/v1/managers")[0] == 200
    assert [m["pid"] for m in elias.get("/v1/managers")[1]["members"]] == [m["pid"] for m in before["members"]]


def test_what_was_started_in_the_background_is_drained_before_it_ends_and_a_back_up_of_it_goes_on(
    own_elias: Running,
) -> None:
    elias = own_elias
    assert cli(elias, "up", "--detach").returncode == 0
    until(lambda: served(elias))
    known = elias.request("POST", "/v1/events", sample("known"))[1]["decisions"][0]["id"]
    cli(elias, "ledger", "backup", "one.backup")
    lost = elias.request("POST", "/v1/events", sample("lost"))[1]["decisions"][0]["id"]
    running = cli(elias, "ledger", "restore", "one.backup", "--aside", check=False)
    assert (running.returncode, "ELIAS runs (process " in running.stderr) == (1, True), running.stderr
    down = cli(elias, "down")
    assert (down.returncode, "draining (process " in down.stderr) == (0, True), down.stderr
    assert (elias.state / "elias.log").read_text().splitlines()[-1].endswith(" draining")
    assert cli(elias, "down").stderr.strip() == "nothing was running"

    restored = json.loads(cli(elias, "ledger", "restore", "one.backup", "--aside", "--json").stdout)
    assert cli(elias, "up", "--detach").returncode == 0
    until(lambda: served(elias))
    statuses = [elias.get(f"/v1/decisions/{id}")[0] for id in (known, lost)]
    assert statuses == [200, 404]
    assert elias.request("POST", "/v1/events", sample("lost"))[0] == 200
    ran = cli(elias, "run", "--", "sh", "-c", "echo done on the same node")
    assert "done on the same node" in ran.stdout  # which knew a greater epoch than the back-up
    assert cli(elias, "ledger", "verify", "--witness", f"{restored['size']}:{restored['root']}").returncode == 0
    assert json.loads(cli(elias, "ledger", "replay", "--json").stdout)["identical"]
    assert cli(elias, "down").returncode == 0


def test_an_edited_spec_is_in_force_for_the_next_event_and_a_broken_edit_is_not(own_elias: Running) -> None:
    specs = own_elias.folder / "specs"
    shipped = Path(__file__).resolve().parents[3] / "tiki_specs"
    subprocess.run(["cp", "-r", str(shipped), str(specs)], check=True)
    with (own_elias.folder / "elias.yaml").open("a") as settings:
        settings.write("specs: specs\n")
    own_elias.start()
    first = own_elias.get("/v1/bundle")[1]["digest"]
    path = specs / "urm" / "resource_pressure.tiki"
    path = path if path.exists() else next((specs / "urm").glob("*pressure*.tiki"))
    text = path.read_text()
    path.write_text(text.replace("- otherwise: hold", "- otherwise: hlod"))
    until(lambda: own_elias.get("/v1/bundle")[1].get("problem"))
    assert own_elias.get("/v1/bundle")[1]["digest"] == first
    path.write_text(text.replace("disk > 95%", "disk > 94%"))
    until(lambda: own_elias.get("/v1/bundle")[1]["digest"] != first)
    _, answer = own_elias.request("POST", "/v1/events", sample("after-the-edit"))
    explained = own_elias.get(f"/v1/decisions/{answer['decisions'][0]['id']}/explain")[1]
    assert "94" in json.dumps(explained)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"id": 7}', 422),
        (json.dumps(sample("x") | {"type": "elias.resource.smaple"}).encode(), 422),
        (json.dumps(sample("x", memory="97 furlongs")).encode(), 422),
        (b"[" + b"1," * 3_000_000 + b"1]", 413),
    ],
)
def test_bad_input_is_told_what_to_do(elias: Running, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {elias.token}", "Content-Type": "application/json"}
    with contextlib.closing(elias.connect()) as connection:
        connection.request("POST", "/v1/events", body, headers)
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
    assert (response.status, bool(error["message"]), bool(error["cure"])) == (status, True, True)


def test_the_ledger_verifies_and_replays_while_everything_runs(elias: Running) -> None:
    assert cli(elias, "ledger", "verify").returncode == 0
    replayed = json.loads(cli(elias, "ledger", "replay", "--json").stdout.strip().splitlines()[-1])
    assert replayed["differences"] in (0, [])


LEFT_OUT = ("logs/*", "*.log", "*.lock", "*.pid", "ray.json", "heads", "machine", "joined*", "ledger.db*", "access.db*")


def test_a_back_up_is_taken_while_everything_runs_and_can_be_rehearsed(elias: Running, tmp_path: Path) -> None:
    taken = json.loads(cli(elias, "ledger", "backup", str(tmp_path), "--json").stdout)
    checked = json.loads(cli(elias, "ledger", "verify", taken["file"], "--json").stdout)
    assert (checked["size"], checked["root"]) == (taken["size"], taken["root"])
    with tarfile.open(taken["file"]) as tar:
        names = [name.removeprefix("state/") for name in tar.getnames() if name.startswith("state/")]
    assert {"token", "ray.token"} <= set(names)
    assert [name for name in names if any(fnmatch(name, pattern) for pattern in LEFT_OUT)] == []
    url = f"sqlite:///{tmp_path}/rehearsal.db"
    cli(elias, "ledger", "restore", taken["file"], "--url", url)
    assert cli(elias, "ledger", "verify", "--url", url).returncode == 0
    assert json.loads(cli(elias, "ledger", "replay", "--url", url, "--json").stdout)["identical"]
    assert cli(elias, "ledger", "verify", "--witness", f"{taken['size']}:{taken['root']}").returncode == 0
