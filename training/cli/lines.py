"""What a demonstration says as it happens: a line, or for scripts a JSON document a line."""

import json
import os
from typing import Any

_TONES = {"trouble": 31, "done": 32, "elias": 32, "case": 33, "world": 33}  # ECMA-48: red, green, yellow


def line(clock: str, kind: str, text: str, *, json_: bool, **more: Any) -> None:
    """clock: what stands before it. more: what the document says besides."""
    if json_:
        document({"kind": kind, **more, "text": text})
        return
    if os.isatty(1) and "NO_COLOR" not in os.environ:
        kind = f"\x1b[{_TONES[kind]}m{kind:8}\x1b[0m"
    print(f"{clock}  {kind:8}{text}", flush=True)


def document(said: dict[str, Any]) -> None:
    print(json.dumps(said, ensure_ascii=False), flush=True)
