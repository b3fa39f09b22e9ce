"""UIM serves once it can: it may be started while the database of the accounts is away."""

from pathlib import Path
from typing import Any

import pytest

from federation.errors import Temporary
from federation.settings import Settings
from managers.uim import service as uim
from managers.uim import serving
from managers.uim.launch import ROSTER


async def test_a_start_without_the_database_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[int]()

    def server(*_args: Any, **_kwargs: Any) -> str:
        tried.append(len(tried))
        if len(tried) < 3:
            raise Temporary("the database does not answer")
        return "served"

    monkeypatch.setattr(uim, "LEDGER_AWAY", 0)
    monkeypatch.setattr(serving, "server", server)
    service = uim.UimService("uim", Settings(state=tmp_path), ROSTER)
    assert await service._served() == "served"
    assert len(tried) == 3
