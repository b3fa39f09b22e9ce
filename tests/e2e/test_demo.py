"""`elias demo`: somebody starts it, sees decisions, failures and recoveries, answers a case, and ends it."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.waiting import until

PATIENCE = 240.0
COMMAND = (sys.executable, "-m", "managers.uim.cli", "demo", "--json", "--seed", "7")


class Demo:
    """What a running demonstration has said so far, one JSON document a line."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.out = folder / "said.jsonl"
        self.log = folder / "demo.log"
        environment = {**os.environ, "TMPDIR": str(folder)}
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *options], cwd=folder, stdout=out, stderr=log, start_new_session=True, env=environment
            )

    def said(self, kind: str) -> list[dict[str, Any]]:
        assert self.process.poll() in (None, 0), self.log.read_text()[-2000:]
        lines = [json.loads(line) for line in self.out.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["kind"] == kind]

    def request(self, method: str, path: str, body: Any = None) -> Any:
        url = urlsplit(self.said("up")[0]["url"])
        token = url.query.partition("token=")[2]
        with contextlib.closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)) as connection:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return json.loads(connection.getresponse().read() or b"null")

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Demo]:
    running = Demo(folder)
    yield running
    running.end()


@pytest.mark.timeout(600)
def test_a_newcomer_sees_decisions_failures_and_recoveries_and_answers_a_case(demo: Demo, folder: Path) -> None:
    until(lambda: demo.said("up"), PATIENCE)
    expected = {f"n{number:02}" for number in range(1, 21)}
    until(lambda: {node["name"] for node in demo.request("GET", "/v1/nodes")["nodes"]} == expected, PATIENCE)

    # something fails, and what ELIAS does about it changes the simulated cluster
    until(lambda: demo.said("trouble"), PATIENCE)
    until(lambda: any(line["text"].startswith("drain") for line in demo.said("done")), PATIENCE)
    until(lambda: any(node["status"] == "drained" for node in demo.request("GET", "/v1/nodes")["nodes"]), PATIENCE)
    until(lambda: any(line["text"].startswith("readmit") for line in demo.said("done")), PATIENCE)

    # the policy decides what the rules leave open, and what it is not sure of is a case that can be answered
    until(lambda: demo.request("GET", "/v1/decisions?tier=policy")["decisions"], PATIENCE)
    until(lambda: demo.said("case"), PATIENCE)
    case = until(lambda: demo.request("GET", "/v1/cases")["cases"], PATIENCE)[0]
    answer = {"action": case["options"][-1]["action"], "args": case["options"][-1].get("args", {}), "words": "tried"}
    demo.request("POST", f"/v1/cases/{case['id']}/answer", answer)
    decided = until(lambda: _answered(demo, case["id"]), PATIENCE)
    assert decided["tier"] == "operator"

    # it says what it is, and leaves nothing behind
    config = Path(demo.said("up")[0]["config"])
    assert "imulation" in config.read_text()
    leaders = [p for p in psutil.process_iter() if _of(p, config.parent)]
    assert leaders
    assert demo.end() == 0
    assert not config.exists()
    assert not [p for p in psutil.process_iter() if _of(p, config.parent)]


def _answered(demo: Demo, decision: str) -> Any:
    found = demo.request("GET", f"/v1/decisions/{decision}")
    return found if found["status"] == "answered" else None


def _of(process: psutil.Process, folder: Path) -> bool:
    """Whether a process belongs to the demonstration in this folder."""
    with contextlib.suppress(psutil.Error):
        return str(folder) in process.environ().get("ELIAS_LOGS", "")
    return False


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--for", "soon"), "write a duration as `90s` or `10m`"),
        (("--folder", "."), "name another folder"),
        (("--speed", "0"), "--speed"),
    ],
)
def test_what_cannot_be_run_is_told_with_a_cure(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    (tmp_path / "elias.yaml").write_text("")
    ran = subprocess.run([*COMMAND, *options], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode in (1, 2)
    assert says in ran.stderr
