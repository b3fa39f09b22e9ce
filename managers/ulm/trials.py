"""The trials of all points, as ULM knows them: which policies came in, which of them are tried, what is due."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from federation.errors import Refused
from federation.manager import Emission, Target
from federation.points import DecisionPoint
from federation.policy import registry
from federation.policy.calibration import PointCalibration
from federation.policy.evidence import Records
from federation.policy.promotions import Estimate, Promotion, Registered
from federation.policy.registry import Line, Stage, Step
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind
from managers.ulm import promotion
from managers.ulm.promotion import PROMOTION, Waiting, Watched, subject_of

KEPT = 50
"""Policies of which ULM knows how they came in; the oldest that serves nowhere is forgotten first."""


class TrialsState(msgspec.Struct):
    """policies: by version. lines: by point. waiting, made: by subject: not tried yet; steps made and not on record."""

    policies: dict[str, Registered] = {}
    lines: dict[str, Line] = {}
    waiting: dict[str, Waiting] = {}
    made: dict[str, Promotion] = {}


class Trials:
    """store: reads the ledger; without it nothing is asked. points: all of the federation, by name. block: length of
    the blocks of time that make the units of a new trial, ns."""

    def __init__(self, store: Records | None, points: Mapping[str, DecisionPoint], block: int) -> None:
        self._watched = None if store is None else Watched(store)
        self._points = points
        self._block = block

    def due(self, state: TrialsState, source: str, now: int) -> Iterator[Event]:
        """Each trial that runs, and each policy that waits where none does."""
        if self._watched is not None:
            for subject in _subjects(state):
                if subject.rpartition("/")[0] in self._points:
                    yield Event(f"{subject} {now}", source, PROMOTION.events[0], subject)

    def facts(self, state: TrialsState, event: Event, *, broken: bool, now: int) -> dict[str, Any]:
        """Raises Refused."""
        if self._watched is None:
            raise Refused("no-ledger", "the ledger cannot be read here", cure="ask a cluster that runs")
        point, policy = _about(state, event)
        trial, estimate = _line(state, point).trial, _estimate(state, point, policy)
        if trial is None:
            return promotion.facts("offline", state.waiting[event.subject].at, estimate, 0.0, None, broken, now)
        seen = self._watched.of(self._points[point], trial, now)
        return promotion.facts(trial.stage, trial.since, estimate, trial.share, seen, broken, now)

    def propose(self, state: TrialsState, event: Event) -> list[Candidate]:
        point, policy = _about(state, event)
        return list(promotion.candidates(point, policy, _line(state, point)))

    def target(self, state: TrialsState, asked: Asked, answered: Answered) -> Target:
        """ULM does it itself; the record that comes of it is made now, and counts if nothing came between."""
        point, policy = str(answered.args["point"]), str(answered.args["policy"])
        line = _line(state, point)
        to = promotion.target_of(answered.action, line.trial)
        by, reason = answered.by or PROMOTION.name, answered.words or answered.clause or answered.reason
        made = registry.promotion(line, policy, to, at=asked.at, by=by, reason=reason, block=self._block)
        known = state.policies.get(policy)
        content = known.content if known is not None else ""
        return Target("@ulm", [], {"promotion": msgspec.to_builtins(made), "content": content})

    def word(
        self,
        state: TrialsState,
        point: str,
        policy: str,
        to: Step | None,
        *,
        by: str,
        reason: str,
        at: int,
        number: int = 0,
        calibration: PointCalibration | None = None,
    ) -> Emission:
        """A person's own word. to: where the challenger comes; None: one step further. number: of this step at the
        point; 0: whichever is next. Raises Refused."""
        line = _line(state, point)
        made = registry.promotion(
            line,
            policy,
            to or registry.next_step(line.trial),
            at=at,
            by=by,
            reason=reason,
            number=number,
            calibration=calibration,
            block=self._block,
        )
        return Emission(Kind.PROMOTION, point, subject_of(point, policy), "", made)

    def back(self, state: TrialsState, point: str, *, by: str, reason: str, at: int, number: int = 0) -> Emission:
        """A person calls the trial at a point off, or where none runs the champion. Raises Refused."""
        line = _line(state, point)
        if line.trial is not None:
            to, policy = Step(Stage.WITHDRAWN), line.trial.challenger
        else:
            to, policy = Step(Stage.ROLLED_BACK), line.champion
        return self.word(state, point, policy, to, by=by, reason=reason, at=at, number=number)

    def known(self, state: TrialsState, word: str) -> str:
        """The version that begins with this, of 6 digits or more. Raises Refused."""
        found = [version for version in state.policies if version.startswith(word)] if len(word) >= 6 else []
        if len(found) != 1:
            what = "several policies begin with" if found else "no policy is registered that begins with"
            cure = "`elias policy list` shows them; give 6 digits or more"
            raise Refused("no-policy", f"{what} `{word[:80]}`", cure=cure)
        return found[0]

    def point(self, name: str) -> None:
        """Raises Refused for one that is not there."""
        if name not in self._points:
            cure = f"one of: {', '.join(sorted(self._points))}"
            raise Refused("no-point", f"`{name[:80]}` is not a decision point", cure=cure)

    def fold(self, state: TrialsState, entry: Entry, body: Any) -> None:
        if entry.kind == Kind.POLICY:
            self._fold_policy(state, body)
        elif entry.kind == Kind.OUTCOME and entry.point == PROMOTION.name and "promotion" in body.data:
            state.made[entry.subject] = msgspec.convert(body.data["promotion"], Promotion)
        elif entry.kind == Kind.PROMOTION:
            state.made.pop(entry.subject, None)
            state.waiting.pop(subject_of(entry.point, body.challenger), None)
            with suppress(Refused):
                state.lines[entry.point] = registry.after(_line(state, entry.point), body)

    def _fold_policy(self, state: TrialsState, body: Registered) -> None:
        state.policies.pop(body.policy, None)
        state.policies[body.policy] = body
        serving = {version for line in state.lines.values() for version in line.named}
        idle = [version for version in state.policies if version not in serving]
        for version in idle[: max(0, len(state.policies) - KEPT)]:
            del state.policies[version]
        for point in body.estimates:
            one = Waiting(point, body.policy, body.at)
            if point in self._points and body.policy not in _line(state, point).named:
                state.waiting[one.subject] = one
        for subject in [s for s, one in state.waiting.items() if one.policy not in state.policies]:
            del state.waiting[subject]

    def emit(self, state: TrialsState) -> Iterator[Emission]:
        """A step that was made is put on record, if it still follows: from there on every manager goes by it."""
        for subject, made in list(state.made.items()):
            point = subject.rpartition("/")[0]
            try:
                registry.after(_line(state, point), made)
            except Refused:
                del state.made[subject]
            else:
                yield Emission(Kind.PROMOTION, point, subject, made.decision, made)

    def view(self, state: TrialsState, now: int) -> dict[str, Any]:
        """policies: the newest first. points: champion and trial of each. waiting: not tried yet."""
        points = {}
        for point, line in sorted(state.lines.items()):
            seen = None
            if line.trial is not None and self._watched is not None and point in self._points:
                seen = self._watched.of(self._points[point], line.trial, now)
            points[point] = promotion.shown(line, seen)
        return {
            "policies": [msgspec.to_builtins(one) for one in reversed(state.policies.values())],
            "points": points,
            "waiting": [msgspec.to_builtins(one) for one in state.waiting.values()],
        }


def _subjects(state: TrialsState) -> list[str]:
    running = [
        subject_of(point, line.trial.challenger) for point, line in state.lines.items() if line.trial is not None
    ]
    free = [s for s, one in state.waiting.items() if _line(state, one.point).trial is None]
    return [*running, *free]


def _about(state: TrialsState, event: Event) -> tuple[str, str]:
    """Point and policy. Raises Refused."""
    if event.subject not in _subjects(state):
        cure = "`elias policy list` shows the trials that run and the policies that wait for one"
        what = f"no trial runs and no policy waits at `{event.subject[:100]}`"
        raise Refused("no-trial", what, place=f"event {event.id}: subject", cure=cure)
    known = state.waiting.get(event.subject)
    if known is not None:
        return known.point, known.policy
    point = event.subject.rpartition("/")[0]
    trial = _line(state, point).trial
    assert trial is not None
    return point, trial.challenger


def _line(state: TrialsState, point: str) -> Line:
    return state.lines.get(point) or Line()


def _estimate(state: TrialsState, point: str, policy: str) -> Estimate | None:
    known = state.policies.get(policy)
    return None if known is None else known.estimates.get(point)
