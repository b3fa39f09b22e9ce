"""`elias` in an empty folder: the settings are the defaults, the specs those that ship."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from managers.uim.cli.app import main


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class _Pipe(io.TextIOBase):
    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def readline(self, size: int | None = -1, /) -> str:
        return next(self._lines, "")


class Elias:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capture = folder, patch, capture
        patch.chdir(folder)

    def __call__(self, *arguments: str, stdin: str | Iterator[str] = "") -> Said:
        """stdin: a text, or lines that are made as they are read."""
        self._patch.setattr(sys, "argv", ["elias", *arguments])
        self._patch.setattr(sys, "stdin", io.StringIO(stdin) if isinstance(stdin, str) else _Pipe(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *self._capture.readouterr())

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
