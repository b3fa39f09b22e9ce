"""The bundle that a person chose for the next start: a file in the state folder, which the gate takes up and removes.

It is how rules first come into force where a signature is needed, and how they go along with a new version of ELIAS.
"""

from pathlib import Path

import msgspec

from federation import privatefile
from federation.bundles.artefact import LARGEST
from federation.errors import Refused
from federation.records import BundleText, Kind, decode, encode


def place(state: Path) -> Path:
    return state / "bundle.next"


def stage(state: Path, text: BundleText) -> None:
    """Keep this for the next start; it replaces what was kept before."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    privatefile.write(place(state), encode(text))


def staged(state: Path) -> BundleText | None:
    """What is kept for this start; None: nothing. Raises Refused when it cannot be read."""
    path = place(state)
    try:
        with path.open("rb") as file:
            raw = file.read(2 * LARGEST + 1)
        text: BundleText = decode(Kind.BUNDLE, raw)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        cure = "`elias bundle activate FILE --at-start` writes it anew; or remove it"
        raise Refused("bundle-staged", f"it cannot be read: {error}", place=str(path), cure=cure) from None
    return text


def unstage(state: Path) -> None:
    place(state).unlink(missing_ok=True)
