"""The fork server gives copies of itself to whoever is what it is, and to nobody else."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.runtime import worker

SERVER = """
import os, signal, socket, sys
from federation.runtime import forkserver
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with socket.socket(fileno=int(sys.argv[1])) as listener:
    wish = forkserver.serve(listener, sys.path[1:])
os.write(1, f"copy {wish.argv[1]} {wish.environment['COLOUR']} {os.getppid()}\\n".encode())
"""
ASKER = "import os; from federation.runtime import worker; os.write(1, f'asked {worker.copied()}\\n'.encode())"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "server.py").write_text(SERVER)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / worker.SOCKET))
        listener.listen()
        number = listener.fileno()
        command = [sys.executable, str(tmp_path / "server.py"), str(number)]
        process = subprocess.Popen(command, pass_fds=(number,), env={**os.environ, "PYTHONPATH": os.getcwd()})
    yield process
    process.kill()
    process.wait()


def asked(folder: Path, **more: str) -> list[list[str]]:
    """The lines of a program that asks there for a copy, and of the copy."""
    (folder / "asker.py").write_text(ASKER)
    known = {**os.environ, "PYTHONPATH": os.getcwd(), worker.FOLDER: str(folder), "COLOUR": "blue", **more}
    command = [sys.executable, str(folder / "asker.py"), "word"]
    ran = subprocess.run(command, env=known, capture_output=True, text=True, check=True)
    return sorted(line.split() for line in ran.stdout.splitlines())


def test_a_copy_has_the_words_environment_and_output_of_who_asked(
    server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    for colour in ("green", "red"):
        said = asked(tmp_path, COLOUR=colour)
        assert said == [["asked", "True"], ["copy", "word", colour, str(server.pid)]]


@pytest.mark.parametrize(
    "other", [{"RAY_JOB_ID": "02000000"}, {"PYTHONPATH": "/nowhere:" + os.getcwd()}], ids=["ray", "path"]
)
def test_who_would_be_something_else_gets_none(
    server: subprocess.Popen[bytes], tmp_path: Path, other: dict[str, str]
) -> None:
    assert asked(tmp_path, **other) == [["asked", "False"]]


@pytest.mark.parametrize("said", [b"", b"no JSON", b"{}", json.dumps({"argv": []}).encode()], ids=range(4))
def test_what_is_no_worker_is_sent_away_and_the_next_one_served(
    server: subprocess.Popen[bytes], tmp_path: Path, said: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(tmp_path / worker.SOCKET))
        stranger.sendall(said)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(16) == b""
    assert ["asked", "True"] in asked(tmp_path)


def test_without_a_server_there_is_none(tmp_path: Path) -> None:
    assert asked(tmp_path) == [["asked", "False"]]


def test_one_that_was_ended_gives_none(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert asked(tmp_path) == [["asked", "False"]]
