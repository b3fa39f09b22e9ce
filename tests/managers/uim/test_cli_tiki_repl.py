"""`elias tiki repl`: facts from a pipe, time that passes when told, and the decision with each."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tiki_cli import Elias

SPEC = """## URM Resource Pressure Spec
- decides: urm.resource_pressure
- fallback: request_operator
- hot: when memory > 90% for 30s, clear at 80%: shed_load
- full: when disk > 95%, cooldown 1m: scale_out
- never migrate when target.gpu_free < job.gpu
- otherwise: hold
"""


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    made = Elias(tmp_path, monkeypatch, capsys)
    made.write("my.tiki", SPEC)
    return made


def typed(elias: Elias, *lines: str) -> list[str]:
    said = elias("tiki", "repl", "my.tiki", stdin="\n".join(lines))
    assert (said.code, said.err) == (0, "")
    return [" ".join(line.split()) for line in said.out.splitlines()]


def test_every_change_of_a_fact_shows_the_decision(elias: Elias) -> None:
    assert typed(elias, "memory=50% disk=10%", "disk=97%", "disk=unknown") == [
        "0s hold, by otherwise",
        "0s scale_out, by full",
        "0s fallback to operator: a rule that might have decided is unknown",
    ]


def test_windows_latches_and_cooldowns_run_on_the_time_that_passes(elias: Elias) -> None:
    lines = ["memory=50% disk=10%", "memory=95%", "+29s", "+2s", "memory=85%", "memory=80%", "disk=97%", "+3m"]
    assert typed(elias, *lines) == [
        "0s hold, by otherwise",
        "0s hold, by otherwise",
        "29s hold, by otherwise",
        "30s shed_load, by hot",
        "31s shed_load, by hot; in force since 30s, it does not fire again",
        "31s shed_load, by hot; in force since 30s, it does not fire again",
        "31s hold, by otherwise",
        "31s scale_out, by full",
        "91s scale_out, by full",
        "151s scale_out, by full",
        "211s scale_out, by full",
    ]


def test_why_shows_the_rules_the_windows_and_the_guards(elias: Elias) -> None:
    lines = ["memory=95% disk=10%", "+10s", "candidate migrate target.gpu_free=1 job.gpu=2", "why"]
    out = "\n".join(typed(elias, *lines))
    assert "it holds now, for how long is not known" in out
    assert "hot has held for 10s, it takes 30s" in out
    assert out.count("forbidden by guard 1") == 2


def test_facts_rules_and_help_are_listed(elias: Elias) -> None:
    out = "\n".join(typed(elias, "memory=95%", "facts", "rules", "help"))
    assert "memory 95% percent memory in use" in out
    assert "disk unknown percent" in out
    assert "hot hot: when memory > 90% for 30s, clear at 80%: shed_load my.tiki:4" in out
    assert "guard 1 never migrate when" in out
    assert "+30s let time pass" in out


def test_reset_forgets_everything_and_quit_ends(elias: Elias) -> None:
    lines = ["memory=95% disk=97%", "+1m", "reset", "facts", "quit", "memory=1%"]
    out = typed(elias, *lines)
    assert out[-1].startswith("cordoned unknown")
    assert "memory unknown percent memory in use" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("memory=95", "write `80%`"),
        ("memry=95%", "did you mean `memory`?"),
        ("wy", "is not NAME=VALUE"),
        ("+30", "write `+30s` or `+5m`"),
        ("candidate migrat", "did you mean `migrate`?"),
    ],
)
def test_a_wrong_line_says_what_to_do_and_the_rest_goes_on(elias: Elias, line: str, said: str) -> None:
    found = elias("tiki", "repl", "my.tiki", stdin=f"{line}\nmemory=50% disk=10%\n")
    assert found.code == 1
    assert said in found.err
    assert "hold, by otherwise" in found.out


def test_an_edit_is_read_at_once_and_a_broken_one_is_named(elias: Elias) -> None:
    """Between two lines, as a person edits."""

    def typed() -> Iterator[str]:
        yield "memory=95% disk=10%\n"
        elias.write("my.tiki", SPEC.replace(" for 30s, clear at 80%", ""))
        yield "facts\n"
        elias.write("my.tiki", SPEC.replace("memory >", "memry >"))
        yield "memory=96%\n"
        elias.write("my.tiki", SPEC)
        yield "memory=50%\n"

    said = elias("tiki", "repl", "my.tiki", stdin=typed())
    assert "shed_load, by hot" in said.out
    assert "did you mean `memory`" in said.err
    assert said.out.rstrip().endswith("hold, by otherwise")


def test_a_terminal_has_a_prompt_history_and_completion(elias: Elias) -> None:
    """On a real terminal, with readline."""
    main, other = pty.openpty()
    environment = {**os.environ, "HOME": str(elias.folder), "TERM": "dumb"}
    command = [sys.executable, "-m", "managers.uim.cli", "tiki", "repl", "my.tiki"]
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment)
    os.close(other)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 4096).decode()

    until("> ")
    os.write(main, b"gp\t95%\n")
    until("fallback to operator")
    os.write(main, b"quit\n")
    assert process.wait(60) == 0
    os.close(main)
    assert "gpu=95%" in (elias.folder / ".elias_tiki_history").read_text()
