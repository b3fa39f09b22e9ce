"""The policy among the tiers: what it is asked, and whether its answer is taken or goes up.

Pure: the scores come from an engine, the draw from whoever asks; what comes out is what is put on record.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

import tiki
from federation import decide
from federation.policy import calibration, card
from federation.policy.audit import Audit, resumed
from federation.policy.calibration import Calibration, PointCalibration
from federation.policy.exploration import explorable, propensities, taken
from federation.policy.promotions import Lot
from federation.policy.question import Prompt, Question, Scores
from federation.policy.rendering import render
from federation.records import Asked, Scored
from federation.settings import PolicySettings

if TYPE_CHECKING:
    from federation.policy.tabular import Tabular

SHIPPED = Path(__file__).with_name("mini")
"""The policy that comes with ELIAS."""

TABLES = Path(__file__).with_name("tables")
"""Models of numbers for the points at which they are better than it: their default."""

CHAMPION, CHALLENGER = "champion", "challenger"

DIGITS = 6  # after the point of a logarithm on record: engines agree to 1e-3 at best


class Said(NamedTuple):
    """An engine's answer. policy: the version of what it scores with. engine: its name. instead: why it is not the one
    that was asked for; empty: it is."""

    policy: str
    engine: str
    scores: Scores
    instead: str = ""


class Turn(NamedTuple):
    """Who is asked. policies: versions, the first that can be loaded; where none can, or none is named, what the
    settings name. lot: where a challenger is in its canary."""

    policies: tuple[str, ...] = ()
    lot: Lot | None = None


class Consult(NamedTuple):
    """What is asked of an engine. offered: indices into the asked candidates, in the order of the labels. known: what a
    model of numbers said, where that is the default of the point. turn: who is asked."""

    prompt: Prompt
    offered: list[int]
    known: Said | None = None
    turn: Turn = Turn()

    @property
    def at_once(self) -> Said | None:
        """The answer, where no engine has to be asked for it."""
        return None if self.turn.policies else self.known

    def heard(self, said: Said | None, problem: str = "") -> Said | None:
        """The answer, given what an engine said: where it was none of those whose turn it is, the model of numbers
        stands in. problem: why no engine said anything."""
        if self.known is None or (said is not None and said.policy in self.turn.policies):
            return said
        return self.known._replace(instead=problem if said is None else said.instead)


class Draws(NamedTuple):
    """Uniform in [0, 1). audit: whether an answer that would be taken is checked instead. explore: which candidate is
    taken."""

    audit: float = 1.0
    explore: float = 1.0


class Standing(NamedTuple):
    """How a policy stands at a point. calibration: the one in force. watch: how checks of its answers came out.
    explore: share of its answers that may explore now."""

    calibration: PointCalibration | None
    watch: Audit | None = None
    explore: float = 0.0


class Tier:
    """confidences: by version of the policy. tables: models of numbers that are the default of some points. max_error:
    for specs that set none, as a share. audit: share of the answers that somebody else checks."""

    def __init__(
        self,
        confidences: Mapping[str, Calibration],
        *,
        tables: "Tabular | None" = None,
        max_error: float = 0.05,
        audit: float = 0.0,
    ) -> None:
        self._confidences = confidences
        self._tables = tables
        self._max_error = max_error
        self._audit = audit

    @classmethod
    def of(cls, settings: PolicySettings) -> Self:
        """What the settings name. Raises Refused where the shipped policy, or the one named, is not whole."""
        folder = settings.folder or SHIPPED
        version = card.read(folder).version
        known = {version: calibration.load(folder / "calibration.json", version)}
        if settings.calibration is not None:
            known[settings.model] = calibration.load(settings.calibration, settings.model)
        tables = None
        if settings.folder is None and TABLES.exists():
            from federation.policy.tabular import Tabular  # noqa: PLC0415 - NumPy, for whoever has such models

            tables = Tabular(TABLES)
            known[tables.version] = calibration.load(TABLES / "calibration.json", tables.version)
        return cls(known, tables=tables, audit=settings.audit)

    def covers(self, program: tiki.Program) -> bool:
        return any(c.covers(program.point.name, program.point.version) for c in self._confidences.values())

    def calibration(self, point: str, policy: str) -> PointCalibration | None:
        """The one that came with this version of a policy."""
        known = self._confidences.get(policy)
        return None if known is None else known.points.get(point)

    def weigh(
        self,
        program: tiki.Program,
        asked: Asked,
        offered: Sequence[int],
        said: Said,
        draws: Draws,
        standing: Standing,
        at: int,
    ) -> Scored:
        """at: ledger time (ns)."""
        point = program.point
        max_error = self._max_error if program.max_error is None else program.max_error / 100
        scores = tuple(round(log, DIGITS) for log in said.scores)  # as on record: what follows, follows from there
        known = standing.calibration
        if known is None or known.version != point.version:
            best, confidence, threshold, times = max(range(len(offered)), key=scores.__getitem__), 0.0, None, 0
            why = f"policy {said.policy[:12]} is not calibrated for this point, so it may not decide alone"
        else:
            best, confidence, threshold, why = known.weigh(point.name, scores, max_error)
            times = known.times
        watch = resumed(standing.watch, said.policy, max_error, times)
        if watch.broken:
            threshold = None
            why = f"the policy may not decide alone: {watch.wrong} of its {watch.checked} answers checked were wrong"
        sure = threshold is not None and confidence >= threshold
        audit = sure and draws.audit < self._audit
        alone = sure and not audit
        choice = offered[best]
        may = explorable(point, asked, offered) if alone and standing.explore else []
        others = [index for index in may if index != choice]
        scored = Scored(
            policy=said.policy,
            engine=said.engine,
            offered=list(offered),
            logs=list(scores),
            choice=choice,
            confidence=round(confidence, DIGITS),
            threshold=threshold,
            tier="policy" if alone else "operator",
            reason=f"{why}; drawn for a check by the next tier" if audit else why,
            at=at,
            attempt=asked.attempt,
            max_error=max_error,
            calibration=times,
            audit=audit,
            propensities=propensities(offered, choice, others, standing.explore) if alone else [],
            draw=draws.explore if others else 1.0,
        )
        if taken(scored) == choice:
            return scored
        instead = f"{why}; explored: not `{asked.candidates[choice].action}`, the best, is taken"
        return msgspec.structs.replace(scored, reason=instead)

    def consult(self, program: tiki.Program, asked: Asked) -> Consult:
        """What is asked about a decision, and what is known at once."""
        found, question = consult(program, asked), question_of(program, asked)
        if self._tables is None or not self._tables.covers(program.point):
            return found
        said = Said(self._tables.version, "tables", self._tables.score(program.point, question))
        return found._replace(known=said)


def question_of(program: tiki.Program, asked: Asked) -> Question:
    """Of exactly the candidates that may be chosen."""
    candidates = tuple(asked.candidates[index] for index in decide.offered(asked, program.point.terminal))
    return Question(program.point.name, program.settings, asked.facts, candidates)


def consult(program: tiki.Program, asked: Asked) -> Consult:
    """What an engine is asked about a decision."""
    offered = decide.offered(asked, program.point.terminal)
    return Consult(render(program.point, question_of(program, asked)), offered)


def unscored(asked: Asked, why: str, tier: str, at: int, turn: Turn) -> Scored:
    """No engine answered in time, or none is there."""
    return Scored("", "", [], [], None, None, None, tier, why, at, asked.attempt, lot=turn.lot)
