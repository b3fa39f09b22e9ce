"""The examples of every decision point that has a simulated world, drawn through the shipped specs, and what names the
generator: a digest of all that the examples follow from."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import tiki
from federation.points import schemas
from federation.settings import shipped_specs
from managers.roster import POINTS
from training.scenarios.catalogue import WORLDS
from training.scenarios.scenario import SPLITS, Example, Scenario

__all__ = ["SPLITS", "Example", "digest", "generate", "points", "scenario"]

SAMPLE = 12
"""Examples of each split of each point in the digest: two of every family."""

_HERE = Path(__file__).parent


def points() -> tuple[str, ...]:
    """Those that can be asked, in order of name."""
    return tuple(sorted(WORLDS))


def generate(point: str, split: str, count: int, start: int = 0, completions: int | None = None) -> Iterator[Example]:
    """Examples of a decision point, in one of SPLITS. See `Scenario.examples`."""
    return scenario(point).examples(split, count, start, completions)


@cache
def scenario(point: str) -> Scenario:
    """Raises KeyError for a point without a world, tiki.Invalid where its manager's shipped specs are wrong."""
    world = WORLDS[point]
    return Scenario(world, _bundle(world.point.schema.manager).programs[point])


def digest() -> str:
    """What names the generator, for whoever keeps something that was learned from it: SHA-256 over the sources of this
    folder, the shipped specs of the points, the versions of the points, and the first examples of every split, which
    stand for all the code of the managers and of TIKI that has a part in them."""
    sources = {path.name: path.read_text("utf-8") for path in _HERE.glob("*.py")}
    specs: dict[str, str] = {}
    for point in points():
        specs |= _specs(point)
    versions = {point: scenario(point).point.schema.version for point in points()}
    samples = {f"{point} {split}": _sample(point, split) for point in points() for split in SPLITS}
    return digest_of(sources, specs, versions, samples)


def digest_of(
    sources: Mapping[str, str], specs: Mapping[str, str], versions: Mapping[str, int], samples: Mapping[str, str]
) -> str:
    """sources, specs: text by path. versions: by point. samples: of examples, by name. 64 hex digits."""
    parts = [sorted(part.items()) for part in (sources, specs, versions, samples)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _sample(point: str, split: str) -> str:
    """The first examples of a split as text, numbers to six digits: the last ones are the processor's."""
    examples = msgspec.to_builtins(list(generate(point, split, SAMPLE, completions=4)))
    return json.dumps(_shortened(examples), sort_keys=True)


def _shortened(value: Any) -> Any:
    match value:
        case float():
            return f"{value:.6g}"
        case dict():
            return {str(key): _shortened(one) for key, one in value.items()}
        case list() | tuple():
            return [_shortened(one) for one in value]
        case int() | str() | None:
            return value
        case _:
            return str(value)


def _specs(point: str) -> dict[str, str]:
    """The shipped files that say something about this point: text by path."""
    bundle = _bundle(scenario(point).point.schema.manager)
    merged = bundle.merged[point]
    parts = (*merged.clauses, *merged.settings.values())
    return {path: bundle.texts[path] for path in {part.place.path for part in parts}}


@cache
def _bundle(manager: str) -> tiki.Bundle:
    """The shipped specs of a manager."""
    sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] == manager]
    return tiki.build(sources, schemas({p.name: p for p in POINTS if p.schema.manager == manager}))
