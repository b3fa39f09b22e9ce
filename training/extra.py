"""The optional half: `pip install 'elias[train]'`."""

import importlib.util
from collections.abc import Iterable

from federation.errors import Refused

FROM_NOTHING = ("torch", "onnx", "onnxscript", "safetensors")
LEARNING = ("torch", "transformers", "trl", "peft", "datasets", "safetensors", "sklearn")


def require(what: str, modules: Iterable[str], *, instead: str = "") -> None:
    """Refused `no-torch` where one of the modules is not installed. what: what needs them. instead: another cure."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        cure = "pip install 'elias[train]'" + (f", or {instead}" if instead else "")
        raise Refused("no-torch", f"{what} needs {', '.join(missing)}, which is not installed", cure=cure)
