"""What is fuzzed. A target takes any bytes and raises where something does not hold; it touches nothing outside."""

from collections.abc import Callable, Mapping

from tests.fuzz.artefacts import bundle
from tests.fuzz.documents import scenarios, spec
from tests.fuzz.keystrokes import editor

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "spec": spec,
    "scenarios": scenarios,
    "bundle": bundle,
    "editor": editor,
}
