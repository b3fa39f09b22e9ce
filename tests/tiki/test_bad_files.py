"""Files that are hardly specs: `elias tiki check` answers each with a place, and reads no more than it has to."""

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lab
import pytest

import tiki
from managers.uim.cli.app import main
from tiki import Invalid, Source
from tiki.limits import LARGEST

SPEC = b"## URM Admission Spec\n- decides: urm.admission\n- fallback: hold\n- otherwise: wait\n"


class Said(NamedTuple):
    code: int
    text: str


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(path: Path | str) -> Said:
        monkeypatch.setattr(sys, "argv", ["elias", "tiki", "check", str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out + said.err)

    return run


def nested(inner: str, depth: int) -> bytes:
    return SPEC + f"- when {'(' * depth}{inner}{')' * depth}: wait\n".encode()


BAD: dict[str, tuple[bytes, str]] = {
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 64, r":2:118: error TIKI-101: .* byte 135 is 0x80"),
    "zeros": (b"\0" * 4096, r":1:1: error TIKI-101: .* U\+0000"),
    "Latin 1": (SPEC + "\nFür alle.\n".encode("latin-1"), r":6:2: error TIKI-101: .* byte 84 is 0xfc"),
    "UTF-16": (SPEC.decode().encode("utf-16"), r":1:1: error TIKI-101: .* byte 0 is 0xff"),
    "a byte order mark": (b"\xef\xbb\xbf" + SPEC, r":1:1: error TIKI-101: .* U\+FEFF"),
    "a cut character": (SPEC + "é".encode()[:1], r":5:1: error TIKI-101: .* byte 82 is 0xc3"),
    "an escape of a terminal": (SPEC + b"\nWhy \x1b[2J\n", r":6:5: error TIKI-101: .* U\+001B"),
    "text that is turned around": (SPEC + "\n\u202e why\n".encode(), r":6:1: error TIKI-101: .* U\+202E"),
    "an old Mac": (SPEC.replace(b"\n", b"\r"), r":1:22: error TIKI-101: .* U\+000D"),
    "a stray carriage return": (
        SPEC.replace(b"wait\n", b"wait\r- fallback: wait\n"),
        r":4:18: error TIKI-101: .* U\+000D",
    ),
    "a line without end": (SPEC + b"x" * 10_000, r":5:4097: error TIKI-101: a line is longer than 4096"),
    "more than a file may hold": (b"Why.\n" * 300_000, r":1:1: error TIKI-101: the file is larger than 1 MiB"),
    "parentheses": (nested("fits_now", 1000), r":5:3: error TIKI-203"),
    "negations": (nested("not " * 900 + "fits_now", 1), r":5:3: error TIKI-203"),
    "brackets": (SPEC + b"- mine: " + b"[" * 2000 + b"\n", r":5:3: error TIKI-203"),
    "front matter without bottom": (b"---\ntiki: " + b"[" * 1000 + b"\n---\n" + SPEC, r":2:1: error TIKI-103"),
    "more bullets than a file may have": (
        SPEC + b"- when fits_now: wait\n" * 2001,
        r":2002:1: error TIKI-108: a file has at most",
    ),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_its_place(
    tmp_path: Path, check: Callable[..., Said], content: bytes, said: str
) -> None:
    (tmp_path / "bad.tiki").write_bytes(content)
    for path in (tmp_path / "bad.tiki", tmp_path):
        found = check(path)
        assert found.code == 1
        assert re.search(rf"bad\.tiki{said}", found.text), found.text[:500]
        assert len(found.text) < 100_000


def bytes_read() -> int:
    """By this process, from whatever it has open."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])  # type: ignore[index]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
def test_of_a_hundred_megabytes_little_is_read(tmp_path: Path, check: Callable[..., Said]) -> None:
    path = tmp_path / "large.tiki"
    path.write_bytes(SPEC)
    check(path)
    before = bytes_read()
    os.truncate(path, 100_000_000)
    found = check(path)
    assert bytes_read() - before <= 8 * LARGEST
    assert "large.tiki:1:1: error TIKI-101: the file is larger than 1 MiB" in found.text


class Endless(io.TextIOBase):
    """Text that never ends."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int | None = -1, /) -> str:
        assert size is not None
        assert size >= 0, "somebody reads to the end"
        self.given += size
        return ("Why.\n" * (size // 5 + 1))[:size]


def test_of_a_pipe_without_end_little_is_read(check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Endless()
    monkeypatch.setattr(sys, "stdin", pipe)
    assert "-:1:1: error TIKI-101: the file is larger than 1 MiB" in check("-").text
    assert pipe.given <= 2 * LARGEST


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no device of zeros")
def test_a_device_without_end_is_refused(check: Callable[..., Said]) -> None:
    assert "/dev/zero:1:1: error TIKI-101: the file is larger than 1 MiB" in check("/dev/zero").text


def test_a_file_that_is_not_there_is_named(tmp_path: Path, check: Callable[..., Said]) -> None:
    (tmp_path / "link.tiki").symlink_to("nowhere")
    found = check(tmp_path / "link.tiki")
    assert found.code == 1
    assert "link.tiki:1:1: error TIKI-101: the file cannot be read: No such file or directory" in found.text


def test_folders_in_a_circle_are_searched_once(tmp_path: Path, check: Callable[..., Said]) -> None:
    (tmp_path / "a.tiki").write_bytes(SPEC)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "folder.tiki").mkdir()
    found = check(tmp_path)
    assert (found.code, found.text) == (0, "1 files, 0 errors, 0 warnings\n")


def test_a_spec_that_stands_in_two_files_is_told_at_the_second(tmp_path: Path, check: Callable[..., Said]) -> None:
    for name in ("a.tiki", "b.tiki"):
        (tmp_path / name).write_bytes(SPEC.replace(b"- otherwise", b"- full: when ahead > 3: hold\n- otherwise"))
    found = check(tmp_path)
    assert found.code == 1
    assert re.findall(r"^(.*:\d+):\d+: error (TIKI-\d+)", found.text, re.MULTILINE) == [
        ("b.tiki:3", "TIKI-501"),
        ("b.tiki:4", "TIKI-502"),
        ("b.tiki:5", "TIKI-504"),
    ]


def test_lines_may_end_in_two_ways_in_one_file(tmp_path: Path, check: Callable[..., Said]) -> None:
    mixed = SPEC.replace(b"Spec\n", b"Spec\r\n").replace(b"hold\n", b"hold\r\n")
    (tmp_path / "a.tiki").write_bytes(mixed + b"\r\n- when fits_now\r\n  and ahead == nul: admit\n")
    assert "a.tiki:7:16: error TIKI-301" in check(tmp_path).text


CIRCLES = {
    "two settings": (["a: b", "b: a", "when state == a: shed_load"], ["TIKI-302"]),
    "a setting of itself": (["limit: limit", "when memory > limit: shed_load"], ["TIKI-401"]),
    "a setting of the point": (["memory_threshold: spare", "spare: memory_threshold"], ["TIKI-402", "TIKI-402"]),
    "lists": (["zones: [more]", "more: [zones]", "when state in zones and state in more: shed_load"], []),
}


@pytest.mark.parametrize(("bullets", "codes"), CIRCLES.values(), ids=CIRCLES)
def test_a_setting_takes_no_value_from_another(bullets: list[str], codes: list[str]) -> None:
    """A name is a value there, so what looks like a circle is none."""
    found = tiki.check([Source("a.tiki", lab.spec("fallback: hold", *bullets))], lab.POINTS, budget=0)
    assert [one.code for one in found if one.severity == "error"] == codes


LOOKALIKES = {
    "a wide space after the mark": "-\u00a0otherwise: hold",
    "an unseen space before the mark": "\u200b- otherwise: hold",
    "a dash": "– otherwise: hold",
    "a minus": "− otherwise: hold",
    "a hyphen that never breaks": "‑ otherwise: hold",
    "a heading with a wide space": "##\u00a0LAB Pressure Spec",
    "examples with a wide space": "###\u00a0Examples",
}


@pytest.mark.parametrize("line", LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_only_looks_like_a_part_of_a_spec_is_never_prose(line: str) -> None:
    source = Source("a.tiki", lab.spec("fallback: hold") + f"\n{line}\n")
    with pytest.raises(Invalid) as refused:
        tiki.build([source], lab.POINTS)
    assert [(one.line, one.excerpt) for one in refused.value.diagnostics] == [(4, line)]


def test_a_first_heading_with_a_wide_space_is_never_prose() -> None:
    source = Source("a.tiki", lab.spec("fallback: hold").replace("## ", "##\u00a0"))
    assert [(one.code, one.line) for one in tiki.check([source], lab.POINTS)] == [("TIKI-104", 1)]
