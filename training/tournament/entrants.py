"""Who competes: what the settings name, what was registered, and folders that are given; each whole and signed where
it has to be, or left out with the reason."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from federation.errors import Refused
from federation.policy import artefacts, calibration, card
from federation.policy.calibration import Calibration
from federation.policy.embedded import Embedded
from federation.policy.evidence import Records
from federation.policy.promotions import Registered
from federation.policy.registry import Line, standing
from federation.policy.tabular import Tabular
from federation.policy.tier import SHIPPED, TABLES
from federation.records import Kind, decode
from federation.settings import Settings
from tiki.schema import Point
from training.evaluation.bench import Many
from training.policy.embedded import batched

MOST = 16
"""Policies that compete at once: each of them is in memory."""


class Entrant(NamedTuple):
    """version: names it. called: on its card. origin: settings, tables, store, or the folder that was given. folder:
    None for what ships as tables. points: versions of the points that it knows. answers: at a point."""

    version: str
    called: str
    origin: str
    folder: Path | None
    points: Mapping[str, int]
    calibration: Calibration | None
    answers: Callable[[Point], Many]

    @property
    def name(self) -> str:
        return self.version[:12]

    @property
    def given(self) -> bool:
        """By its folder, and not registered."""
        return self.origin not in ("settings", "tables", "store")


class Out(NamedTuple):
    """Why a policy does not compete; an empty point: anywhere."""

    policy: str
    point: str
    reason: str
    cure: str = ""


class Field(NamedTuple):
    """entrants: the first is the embedded policy of the settings, which answers where no other can. tables: the models
    of numbers that stand in for it at some points. lines: champion and trial by point. served: name of what vLLM
    serves; empty: the embedded policy answers where nobody was promoted."""

    entrants: list[Entrant]
    tables: Entrant | None
    out: list[Out]
    lines: Mapping[str, Line]
    engines: list[Embedded]
    served: str = ""

    def everyone(self) -> list[Entrant]:
        return [*self.entrants, *([self.tables] if self.tables is not None else [])]

    def champion(self, point: Point) -> str:
        """Who answers at a point now, by version."""
        line = self.lines.get(point.name)
        if line is not None and line.champion:
            return line.champion
        if self.tables is not None and self.tables.points.get(point.name) == point.version:
            return self.tables.version
        return self.served or self.entrants[0].version

    async def close(self) -> None:
        await asyncio.gather(*(engine.close() for engine in self.engines))


def field(settings: Settings, store: Records | None, folders: Iterable[Path], *, only: bool = False) -> Field:
    """store: the ledger, which says what was registered and promoted; None: nothing was. only: of what was registered,
    those that are in force somewhere. Blocking: it reads every byte of each policy.

    Raises Refused where what the settings name is not whole, and for more than MOST policies.
    """
    policy = settings.policy
    served = policy.model if policy.engine == "vllm" else ""
    found = Field([], _tables() if policy.folder is None else None, [], lines(store), [], served)
    _enter(found, settings, policy.folder or SHIPPED, "settings")
    if not found.entrants:
        left = found.out[0]
        raise Refused("bad-policy", f"what the settings name cannot compete: {left.reason}", cure=left.cure)
    serving = {line.champion for line in found.lines.values()}
    for version in _registered(store):
        if only and version not in serving:
            continue
        _enter(found, settings, artefacts.place(settings.state, version), "store")
    for folder in folders:
        _enter(found, settings, folder, str(folder))
    if len(found.entrants) > MOST:
        what = f"{len(found.entrants)} policies would compete; {MOST} can at once"
        raise Refused("many-policies", what, cure="`--only` leaves out what serves nowhere")
    return found


def lines(store: Records | None) -> dict[str, Line]:
    """Champion and trial by point, as every manager folds them."""
    records = store.read(kinds=[Kind.PROMOTION]) if store is not None else ()
    return standing((one.header.point, decode(Kind.PROMOTION, one.body)) for one in records)


def _registered(store: Records | None) -> list[str]:
    """Versions, the newest first."""
    found: dict[str, None] = {}
    for record in store.read(kinds=[Kind.POLICY]) if store is not None else ():
        body: Registered = decode(Kind.POLICY, record.body)
        found.pop(body.policy, None)
        found[body.policy] = None
    return list(reversed(found))


def _enter(found: Field, settings: Settings, folder: Path, origin: str) -> None:
    """The same policy twice competes once. What comes with the settings needs no signature."""
    given = folder.name[:12] if origin == "store" else str(folder)
    try:
        known = artefacts.read(folder)
        if known.card.version in {one.version for one in found.entrants}:
            return
        if settings.policy.require_signature and origin != "settings":
            artefacts.signers(known, settings.bundles.trust)
        if sorted(known.card.files) == sorted(card.ADAPTER):
            cure = "compare it where it is served: `elias policy promote` tries it on its share of the decisions"
            raise Refused("adapter", "it is an adapter, which vLLM serves beside its base model", cure=cure)
        engine = Embedded(folder)
    except Refused as error:
        found.out.append(Out(given, "", error.message, error.cure))
        return
    found.engines.append(engine)
    made = known.card
    found.entrants.append(
        Entrant(
            made.version,
            made.name,
            origin,
            folder,
            made.points,
            known.calibration,
            lambda point: batched(engine, point),
        )
    )


def _tables() -> Entrant | None:
    if not TABLES.exists():
        return None
    tables = Tabular(TABLES)
    known = calibration.load(TABLES / "calibration.json", tables.version)
    points = {name: one.version for name, one in known.points.items()}
    return Entrant(
        tables.version,
        "models of numbers",
        "tables",
        None,
        points,
        known,
        lambda point: lambda questions: [tables.score(point, question) for question in questions],
    )
