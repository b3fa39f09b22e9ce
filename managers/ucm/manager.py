"""UCM: delivers messages to the targets that the settings name, each at least once, in order for each subject.

About a storm or a step of a workflow it knows what the event says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Manager, Target
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, Outcome
from federation.settings import Settings
from federation.targets import PRIORITIES, Priority, Quiet, Webhook
from managers.ucm.notice import Notice
from managers.ucm.points import DELIVERY, POINTS
from managers.ucm.queue import FAILURES_KEPT, MINUTE, Dead, Message, Queue, Rests, backoff, first
from managers.ucm.queue import Target as Waiting
from managers.ucm.quiet import first_chance, quiet_until

MOST = 50_000  # messages that may wait at a time: some 20 MB of state
LARGEST = 256 << 10  # bytes of one body as JSON
ROUND = 64  # messages of one target that are asked about at one tick
REPEAT = 60 * SECOND  # what changed nothing (an action that only observes, a refusal) is not asked again before that
SEND, RESEND = DELIVERY.events
NODE = "@ucm"


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of `elias.message.send`. type: of the CloudEvent that the target gets."""

    target: str
    body: Any
    priority: Priority = "normal"
    type: str = "elias.message"


class UcmState(msgspec.Struct):
    """asks: decision -> the message that it is about, while it is open or its attempt is on its way."""

    queue: Queue = msgspec.field(default_factory=Queue)
    asks: dict[str, str] = {}
    asked: int = 0
    decided: int = 0


class Ucm(Manager):
    name = "ucm"
    points = POINTS
    State = UcmState
    state: UcmState

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.moved = True
        """Something was folded since `due` was called last: what waits may have its turn."""
        self._judged: dict[str, int] = {}

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        self.moved = True
        match entry.kind:
            case Kind.ASKED if entry.point == DELIVERY.name:
                self._fold_asked(entry, body)
            case Kind.ANSWERED:
                self._fold_answered(entry, body)
            case Kind.OUTCOME:
                self._fold_outcome(entry, body)
            case Kind.MODE:
                for message in self.state.queue.messages.values():
                    message.quiet = 0

    def _fold_asked(self, entry: Entry, asked: Asked) -> None:
        state, event = self.state, asked.event
        state.asked, state.decided = asked.at, state.decided + 1
        if event.type == SEND and asked.attempt == 0:
            sent = _sent(event)
            priority = PRIORITIES.index(sent.priority)
            state.queue.add(Message(entry.decision, sent.target, event.subject, priority, asked.at))
        elif event.type == RESEND and asked.attempt == 0:
            dead = state.queue.dead.pop(event.data["message"])
            state.queue.add(Message(dead.id, dead.target, dead.subject, dead.priority, asked.at))
        message = self._about(event)
        if message is not None:
            state.asks[entry.decision] = message.id
            message.case = entry.decision if asked.waits else ""

    def _fold_answered(self, entry: Entry, answered: Answered) -> None:
        state = self.state
        message = self._asked_about(entry.decision)
        if message is None:
            return
        if answered.mode in ("approve", "act"):
            message.pending = entry.decision
            state.queue.targets[message.target].in_flight += 1
        else:
            del state.asks[entry.decision]
            if answered.mode == "observe" or message.case:
                message.quiet = state.asked + REPEAT
        message.case = ""
        if answered.action == "dead_letter":
            state.queue.bury(message, state.asked)
            self._judged.pop(message.id, None)

    def _fold_outcome(self, entry: Entry, outcome: Outcome) -> None:
        message = self._asked_about(entry.decision)
        if message is None or message.pending != entry.decision:
            return
        queue = self.state.queue
        target = queue.targets[message.target]
        del self.state.asks[entry.decision]
        message.pending = ""
        target.in_flight -= 1
        at = int(outcome.data.get("at", self.state.asked))
        if outcome.status == "done":
            target.streak, target.delivered = 0, target.delivered + 1
            queue.remove(message)
            self._judged.pop(message.id, None)
        elif outcome.status in ("failed", "unknown"):
            message.attempts += 1
            message.ended = at
            message.failure = str(outcome.data.get("failure", "lost"))
            message.status = outcome.data.get("status")
            message.retry_after = float(outcome.data.get("retry_after", 0.0))
            if message.failure in ("unreachable", "server"):
                target.streak += 1
                target.failures = [*(f for f in target.failures if f > at - MINUTE), at][-FAILURES_KEPT:]
        elif outcome.status == "refused":
            message.quiet = at + REPEAT

    def _about(self, event: Event) -> Message | None:
        """The message that an event concerns, if it still waits."""
        known = event.decision(DELIVERY.name) if event.type == SEND else str(event.data.get("message", ""))
        return self.state.queue.messages.get(known)

    def _asked_about(self, decision: str) -> Message | None:
        return self.state.queue.messages.get(self.state.asks.get(decision, ""))

    # -- looking -----------------------------------------------------------------------------------------------------

    def due(self, now: int) -> Iterator[Event]:
        """The messages that may have their turn.

        As many as their target has room for; those that are too old; and each once after an attempt that failed, for a
        rule may put it aside at once.
        """
        self.moved = False
        queue, options = self.state.queue, self.options[DELIVERY.name]
        oldest = now - round(float(options["max_age"]) * SECOND)
        for name in list(queue.targets):
            heads = [m for m in queue.heads(name, self._rests(name, now)) if m.quiet <= now]
            ready = first(min(self._room(name, now), ROUND), (m for m in heads if self._waits_until(m) <= now))
            judged = [m for m in heads if m.attempts > self._judged.get(m.id, 0) or self._since(m) < oldest][:ROUND]
            for message in {m.id: m for m in (*judged, *ready)}.values():
                if message.attempts:
                    self._judged[message.id] = message.attempts
                yield _look_at(message, f"{message.id} {self.state.decided}")

    def _hours(self, target: str) -> Sequence[Quiet]:
        """Quiet hours; none where the settings name the target no more."""
        return self.settings.targets[target].quiet if target in self.settings.targets else ()

    def _rests(self, target: str, now: int) -> Rests:
        hours = self._hours(target)
        quiet = {rank for rank in range(len(PRIORITIES)) if quiet_until(hours, rank, now)} if hours else set()
        return lambda message: message.priority in quiet and message.free

    def _since(self, message: Message) -> int:
        """From when on its age counts."""
        hours = self._hours(message.target)
        return first_chance(hours, message.priority, message.accepted) if hours else message.accepted

    @property
    def waiting(self) -> int:
        """Messages of which no attempt is on its way."""
        return sum(t.depth - t.in_flight for t in self.state.queue.targets.values())

    def _room(self, target: str, now: int) -> int:
        state = self.state.queue.targets[target]
        breaker = state.breaker(self._limit(), now)
        if breaker == "open":
            return 0
        return (
            1 if breaker == "half_open" else max(0, int(self.options[DELIVERY.name]["max_in_flight"]) - state.in_flight)
        )

    def _limit(self) -> int:
        """Failures within a minute that open a breaker."""
        return max(1, round(float(self.options[DELIVERY.name]["circuit_breaker"]) * 60))

    def _backoff(self, message: Message) -> float:
        options = self.options[DELIVERY.name]
        return backoff(message, float(options["backoff_initial"]), float(options["backoff_max"]))

    def _waits_until(self, message: Message) -> int:
        return message.ended + round(self._backoff(message) * SECOND) if message.attempts else 0

    # -- facts, candidates, targets ----------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        return self._of_message(event, now) if point is DELIVERY else super().facts(point, event, now)

    def _of_message(self, event: Event, now: int) -> dict[str, Any]:
        queue = self.state.queue
        message = self._about(event) or self._new(event, now)
        target = queue.targets.get(message.target)
        tried = message.attempts > 0
        return {
            "target": message.target,
            "priority": PRIORITIES[message.priority],
            "behind": queue.behind(message, self._rests(message.target, now)),
            "sending": bool(message.pending),
            "attempts": message.attempts,
            "age": max(0, now - self._since(message)) / SECOND,
            "quiet": quiet_until(self._hours(message.target), message.priority, now) is not None,
            "waited": max(0, now - message.ended) / SECOND if tried else None,
            "backoff": self._backoff(message) if tried else None,
            "failure": message.failure,
            "last_status": message.status,
            "queue_depth": (target.depth if target is not None else 0) + (message.id not in queue.messages),
            "in_flight": target.in_flight if target is not None else 0,
            "breaker": target.breaker(self._limit(), now) if target is not None else "closed",
        }

    def _new(self, event: Event, now: int) -> Message:
        """The message of an event that is asked for the first time. Raises Refused."""
        if event.type == SEND:
            sent = _sent(event)
            self._check(event, sent)
            return Message(
                event.decision(DELIVERY.name), sent.target, event.subject, PRIORITIES.index(sent.priority), now
            )
        dead = self.state.queue.dead.get(str(event.data.get("message", "")))
        if event.type != RESEND or dead is None:
            cure = "the dead letters are in the view of ucm, with the id to name in `data.message`"
            raise Refused(
                "no-message", "there is no such dead letter", place=f"event {event.id}: data.message", cure=cure
            )
        return Message(dead.id, dead.target, dead.subject, dead.priority, now)

    def _check(self, event: Event, sent: Sent) -> None:
        place = f"event {event.id}: data"
        target = self.settings.targets.get(sent.target)
        if target is None:
            known = ", ".join(sorted(self.settings.targets)) or "none"
            cure = f"name it below `targets` in elias.yaml; known are: {known}"
            raise Refused("no-target", f"there is no target `{sent.target}`", place=f"{place}.target", cure=cure)
        size = len(msgspec.json.encode(sent.body))
        if size > LARGEST:
            cure = "send a reference to it instead"
            raise Refused("body-too-large", f"{size} bytes, at most {LARGEST} go", place=f"{place}.body", cure=cure)
        if not isinstance(target, Webhook):
            Notice.of(sent.body)
        if len(self.state.queue.messages) >= MOST:
            raise Refused("queue-full", f"{MOST} messages wait already", place=place, cure="send it again later")

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is not DELIVERY:
            return super().propose(point, event, facts)
        message = self._about(event) or self._new(event, 0)
        sending = "it_is_on_its_way" if facts["sending"] else None
        turn = sending or ("not_its_turn" if facts["behind"] else None)
        args = {"message": message.id, "target": message.target, "attempt": message.attempts + 1}
        return [
            Candidate("deliver", args, forbidden=turn),
            Candidate("retry", args, forbidden=turn),
            Candidate("dead_letter", {"message": message.id}, forbidden=sending),
            Candidate("hold"),
        ]

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        return Target(NODE, [f"target:{answered.args['target']}"])

    # -- telling -----------------------------------------------------------------------------------------------------

    def view(self, now: int) -> dict[str, Any]:
        """targets: their queues; dead: the dead letters, newest last, to be sent again by `elias.message.resend`."""
        queue = self.state.queue
        names = sorted({*self.settings.targets, *queue.targets})
        return {
            "targets": [self._shown(name, now) for name in names],
            "dead": [_plain(dead) for dead in queue.dead.values()],
        }

    def _shown(self, name: str, now: int) -> dict[str, Any]:
        """kind: empty where the settings name it no more. quiet_until: seconds since 1970, of what is not urgent."""
        target = self.state.queue.targets.get(name, Waiting())
        named, until = self.settings.targets.get(name), quiet_until(self._hours(name), 0, now)
        return {
            "name": name,
            "kind": named.kind if named is not None else "",
            "waiting": target.depth - target.in_flight,
            "in_flight": target.in_flight,
            "delivered": target.delivered,
            "breaker": target.breaker(self._limit(), now),
            "quiet_until": until // SECOND if until else None,
        }


def _plain(dead: Dead) -> dict[str, Any]:
    return {**msgspec.to_builtins(dead), "priority": PRIORITIES[dead.priority]}


def _look_at(message: Message, id_: str) -> Event:
    return Event(id_, "elias/ucm", DELIVERY.name, message.subject, None, {"message": message.id})


def _sent(event: Event) -> Sent:
    try:
        return msgspec.convert(event.data, Sent)
    except msgspec.ValidationError as error:
        cure = 'data is {"target": NAME, "body": anything, "priority": "low", "normal", "high" or "critical"}'
        raise Refused("bad-message", str(error), place=f"event {event.id}: data", cure=cure) from None
