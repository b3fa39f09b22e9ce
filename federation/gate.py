"""The effect gate: every effect in the system passes here, or it does not happen.

A manager among managers: it folds what others want, gives a verdict on each wish, and opens cases for what a person
must confirm. Acting is left to executors on the nodes (`federation.effects`); the gate's host sends them what is
released.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from federation.clock import SECOND
from federation.effects import Order
from federation.manager import Emission, Follow, Manager, Target
from federation.points import DecisionPoint, Does, Mode
from federation.records import Answered, Asked, Candidate, Effect, Entry, Event, Freeze, Kind, Outcome
from federation.settings import Cap, GateSettings, Window
from tiki.schema import Action, Arg, Fact, Point, Type

_EFFECT_ARG = Arg(name="effect", type=Type.NAME, doc="the decision whose effect it is")

APPROVAL = DecisionPoint(
    Point(
        name="gate.approval",
        version=1,
        doc="May this effect act? Asked for actions in mode `approve`.",
        facts=(Fact(name="action", type=Type.NAME, doc="point/action that wants to act"),),
        actions=(
            Action(name="approve", doc="let it act, after its manager has checked again", args=(_EFFECT_ARG,)),
            Action(name="hold", doc="do not act"),
        ),
        terminal="hold",
        titles=("GATE Approval",),
        trigger="every",
    ),
    events=("elias.effect.approval",),
    critical=True,
)

WITHHELD = DecisionPoint(
    Point(
        name="gate.withheld",
        version=1,
        doc="Effects of one action were withheld by a cap, a window, the brake or a freeze: one case for all of them.",
        facts=(
            Fact(name="action", type=Type.NAME, doc="point/action that wants to act"),
            Fact(
                name="reason",
                type=Type.NAME,
                doc="what withheld the first one",
                values=("cap", "window", "brake", "freeze"),
            ),
        ),
        actions=(
            Action(
                name="release", doc="let all of them act, past the caps, after their manager has checked each again"
            ),
            Action(name="hold", doc="discard all of them"),
        ),
        terminal="hold",
        titles=("GATE Withheld",),
        trigger="every",
    ),
    events=("elias.effect.withheld",),
    critical=True,
)

SUPERVISION = DecisionPoint(
    Point(
        name="gate.supervision",
        version=1,
        doc="A supervised process was restarted more often than its supervisor allows and stays down. Start it again?",
        facts=(
            Fact(name="child", type=Type.NAME, doc="the process that stays down"),
            Fact(name="restarts", type=Type.COUNT, doc="restarts within the supervisor's window"),
        ),
        actions=(
            Action(
                name="resume",
                doc="start it again with a fresh count",
                args=(Arg(name="supervisor", type=Type.NAME, doc="which supervisor of the tree"),),
            ),
            Action(name="hold", doc="leave it down"),
        ),
        terminal="hold",
        titles=("GATE Supervision",),
        trigger="every",
    ),
    events=("elias.supervision.exceeded",),
    critical=True,
    effects={"resume": Does("supervision.resume", Mode.ACT, disruptive=False)},
)


class Wish(msgspec.Struct, gc=False):
    """An effect that is wanted and not yet settled. `effect` is its newest step."""

    point: str
    subject: str
    decision: str
    effect: Effect


class Release(msgspec.Struct, frozen=True, gc=False):
    """A release that still counts against a cap."""

    at: int
    action: str
    groups: list[str]
    disruptive: bool


class GateState(msgspec.Struct):
    frozen: bool = False
    wanted: dict[str, Wish] = {}
    waiting: dict[str, Wish] = {}
    released: dict[str, Wish] = {}
    withheld: dict[str, list[str]] = {}
    cases: dict[str, str] = {}
    releases: list[Release] = []
    wishes: dict[str, list[tuple[int, str]]] = {}
    approved: list[str] = []
    discarded: dict[str, str] = {}


class Gate(Manager):
    """The verdicts. `epoch` and `incarnation` are set by the host and stamped on each release."""

    name = "gate"
    points = (APPROVAL, WITHHELD, SUPERVISION)
    follows: ClassVar[tuple[Follow, ...]] = (Follow(Kind.EFFECT), Follow(Kind.OUTCOME))
    State = GateState
    state: GateState

    epoch = 0
    incarnation = 0

    def propose(self, point: DecisionPoint, event: Event, facts: Any) -> list[Candidate]:
        if point is APPROVAL:
            return [Candidate("approve", {"effect": event.id}), Candidate("hold")]
        if point is SUPERVISION:
            return [Candidate("resume", {"supervisor": event.data["supervisor"]}), Candidate("hold")]
        return super().propose(point, event, facts)

    def facts(self, point: DecisionPoint, event: Event, now: int) -> dict[str, Any]:
        names = {f.name for f in point.schema.facts}
        return {k: v for k, v in event.data.items() if k in names}

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        return Target("@gate", [])

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        if entry.kind == Kind.EFFECT:
            self._fold_effect(entry, body)
        elif entry.kind == Kind.OUTCOME:
            self._settled(entry.decision)
        elif entry.kind == Kind.ANSWERED:
            self._fold_answer(entry, body)
        elif entry.kind == Kind.FREEZE:
            self.state.frozen = body.on

    def _fold_effect(self, entry: Entry, effect: Effect) -> None:
        state, decision = self.state, entry.decision
        wish = Wish(entry.point, entry.subject, decision, effect)
        action = f"{entry.point}/{effect.action}"
        if effect.verdict == "wanted":
            state.waiting.pop(decision, None)
            state.wanted[decision] = wish
            if effect.disruptive and not effect.confirmed:
                state.wishes.setdefault(action, []).append((effect.at, entry.subject))
            return
        state.wanted.pop(decision, None)
        if effect.verdict == "approval":
            state.waiting[decision] = wish
        elif effect.verdict == "withheld":
            state.waiting[decision] = wish
            state.withheld.setdefault(action, []).append(decision)
            state.cases.setdefault(action, decision)
        elif effect.verdict == "approved":
            state.approved = [d for d in state.approved if d != decision]
        elif effect.verdict == "released":
            state.released[decision] = wish
            if effect.disruptive or any(cap.action == action for cap in self.settings.gate.caps):
                state.releases.append(Release(effect.at, action, effect.groups, effect.disruptive))

    def _fold_answer(self, entry: Entry, answered: Answered) -> None:
        state = self.state
        if entry.point == APPROVAL.name:
            (decision,) = [d for d, w in state.waiting.items() if _approval_id(w) == entry.decision] or [""]
            if decision and answered.action == "approve":
                state.approved.append(decision)
            elif decision:
                state.discarded[decision] = answered.reason
        elif entry.point == WITHHELD.name:
            for decision in state.withheld.pop(entry.subject, []):
                if answered.action == "release":
                    state.approved.append(decision)
                else:
                    state.discarded[decision] = answered.reason
            state.cases.pop(entry.subject, None)

    def _settled(self, decision: str) -> None:
        state = self.state
        for place in (state.wanted, state.waiting, state.released, state.discarded):
            place.pop(decision, None)

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        if entry.kind != Kind.EFFECT:
            return
        action = f"{entry.point}/{body.action}"
        if body.verdict == "approval":
            data = {"action": action, "args": body.args, "decision": entry.decision, "node": body.node}
            yield Event(
                _approval_event(entry.decision, body.at),
                "elias/gate",
                "elias.effect.approval",
                entry.subject,
                None,
                data,
            )
        elif body.verdict == "withheld" and self.state.cases.get(action) == entry.decision:
            reason = body.reason.partition(":")[0]
            data = {"action": action, "reason": reason, "first": entry.decision}
            yield Event(
                f"withheld {entry.decision} {body.at}", "elias/gate", "elias.effect.withheld", action, None, data
            )

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def emit(self, now: int) -> Iterable[Emission]:
        state = self.state
        self._forget(now)
        for decision, reason in list(state.discarded.items()):
            wish = state.waiting.get(decision)
            if wish is None:
                del state.discarded[decision]
            else:
                yield Emission(
                    Kind.OUTCOME, wish.point, wish.subject, decision, Outcome("refused", f"not confirmed: {reason}")
                )
        for decision in list(state.approved):
            wish = state.waiting.get(decision)
            if wish is None:
                state.approved.remove(decision)
            else:
                step = msgspec.structs.replace(wish.effect, verdict="approved", at=now, reason="confirmed by a person")
                yield Emission(Kind.EFFECT, wish.point, wish.subject, decision, step)
        for decision, wish in list(state.wanted.items()):
            verdict, reason = judge(self.settings.gate, state, wish, now)
            step = msgspec.structs.replace(wish.effect, verdict=verdict, reason=reason, at=now)
            if verdict == "released":
                expires = now + round(wish.effect.lifetime * SECOND)
                step = msgspec.structs.replace(step, epoch=self.epoch, incarnation=self.incarnation, expires=expires)
            yield Emission(Kind.EFFECT, wish.point, wish.subject, decision, step)

    def _forget(self, now: int) -> None:
        settings, state = self.settings.gate, self.state
        longest = max((cap.within for cap in settings.caps), default=0.0)
        horizon = now - round(longest * SECOND)
        if state.releases and state.releases[0].at <= horizon:
            state.releases = [r for r in state.releases if r.at > horizon]
        horizon = now - round(settings.brake.within * SECOND)
        for action, wishes in list(state.wishes.items()):
            if wishes[0][0] <= horizon:
                kept = [w for w in wishes if w[0] > horizon]
                if kept:
                    state.wishes[action] = kept
                else:
                    del state.wishes[action]


def judge(settings: GateSettings, state: GateState, wish: Wish, now: int) -> tuple[str, str]:
    """The verdict on a wish, with its reason. A confirmed wish passes everything but a freeze: a person has looked at
    it.
    """
    effect, action = wish.effect, f"{wish.point}/{wish.effect.action}"
    if state.frozen:
        return "withheld", "freeze: effects are frozen"
    if effect.confirmed:
        return "released", effect.reason
    if effect.mode == "approve":
        return "approval", "its mode asks for a person"
    if not _open(settings.windows, action, now):
        return "withheld", "window: outside the change windows of this action"
    full = next((cap for cap in settings.caps if _full(cap, state.releases, action, effect, now)), None)
    if full is not None:
        return "withheld", f"cap: {full.at_most} per {full.per} within {full.within:g} s are reached"
    if effect.disruptive and _braked(settings, state, wish, action, now):
        return (
            "withheld",
            f"brake: {settings.brake.count} subjects within {settings.brake.within:g} s look like one failure",
        )
    return "released", ""


def _full(cap: Cap, releases: list[Release], action: str, effect: Effect, now: int) -> bool:
    if cap.action not in (action, "*") or (cap.action == "*" and not effect.disruptive):
        return False
    counts = counted(cap, releases, now)
    if cap.per == "fleet":
        return counts[""] >= cap.at_most
    mine = [g for g in effect.groups if g.partition(":")[0] == cap.per]
    return any(counts[g] >= cap.at_most for g in mine)


def counted(cap: Cap, releases: list[Release], now: int) -> Counter[str]:
    """Releases that count against this cap, in each group of its kind; under "" in the whole fleet."""
    since = now - round(cap.within * SECOND)
    mine = [r for r in releases if r.at > since and (r.action == cap.action or (cap.action == "*" and r.disruptive))]
    groups = Counter(group for release in mine for group in set(release.groups))
    return groups + Counter({"": len(mine)})


def standing(settings: GateSettings, state: GateState, now: int) -> dict[str, Any]:
    """For whoever watches. open: effects that are not settled, by their newest verdict. caps: of each the action, what
    it counts together, its window, the releases that count now (of groups: in the fullest), and how many it allows."""
    wishes = (*state.wanted.values(), *state.waiting.values(), *state.released.values())
    verdicts = Counter(wish.effect.verdict for wish in wishes)
    caps = []
    for cap in settings.caps:
        counts = counted(cap, state.releases, now)
        groups = (count for group, count in counts.items() if group.partition(":")[0] == cap.per)
        used = counts[""] if cap.per == "fleet" else max(groups, default=0)
        caps.append([cap.action, cap.per, f"{cap.within:g}s", used, cap.at_most])
    return {"open": {verdict: verdicts[verdict] for verdict in _OPEN}, "caps": caps}


_OPEN = ("wanted", "approval", "withheld", "released")


def _braked(settings: GateSettings, state: GateState, wish: Wish, action: str, now: int) -> bool:
    """Whether so many others wished for the same before that it looks like one failure; the first few still pass."""
    since = now - round(settings.brake.within * SECOND)
    subjects = dict.fromkeys(subject for at, subject in state.wishes.get(action, []) if at > since)
    return wish.subject not in list(subjects)[: settings.brake.count]


def _open(windows: tuple[Window, ...], action: str, now: int) -> bool:
    mine = [w for w in windows if w.action == action]
    return not mine or any(_inside(w, now) for w in mine)


def _inside(window: Window, now: int) -> bool:
    local = datetime.fromtimestamp(now / SECOND, UTC).astimezone(ZoneInfo(window.timezone))
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[local.weekday()]
    return day in window.days and window.opens <= local.time() <= window.closes


def _approval_event(decision: str, at: int) -> str:
    return f"approval {decision} {at}"


def _approval_id(wish: Wish) -> str:
    event = Event(_approval_event(wish.decision, wish.effect.at), "elias/gate", "elias.effect.approval")
    return event.decision(APPROVAL.name)


def order_of(wish: Wish) -> Order:
    effect = wish.effect
    return Order(
        wish.decision,
        wish.point,
        wish.subject,
        effect.action,
        effect.args,
        effect.executor,
        effect.epoch,
        effect.incarnation,
        effect.expires,
        effect.payload,
        effect.epoch,
    )


def freeze_entry(on: bool, by: str, reason: str) -> Emission:
    return Emission(Kind.FREEZE, "", "", "", Freeze(on, by, reason))
