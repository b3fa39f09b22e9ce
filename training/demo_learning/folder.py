"""The folder that the demonstration lives in: what it shortens are these settings, and its overlay's."""

from pathlib import Path

from training.world.folder import laid

_MANY = 1_000_000
UNCAPPED = {
    "caps": [{"action": "*", "per": "fleet", "at_most": _MANY, "within": "1m"}],
    "brake": {"count": _MANY, "within": "1s"},
}
"""Several nodes are closed every second."""

UNIT = "10s"
"""Of a canary, in place of an hour."""


def prepare(folder: Path, port: int) -> Path:
    """Writes what `elias --config` needs to know; the settings file. Raises Refused where a demonstration was run
    before."""
    overlay = Path(__file__).with_name("overlay.tiki")
    return laid(folder, port, overlay, {"gate": UNCAPPED, "policy": {"unit": UNIT}})
