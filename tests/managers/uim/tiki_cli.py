"""`elias` in an empty folder: the settings are the defaults, the specs those that ship."""

import io
import json
import sys
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


class Elias:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capture = folder, patch, capture
        patch.chdir(folder)

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        self._patch.setattr(sys, "argv", ["elias", *arguments])
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *self._capture.readouterr())

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
