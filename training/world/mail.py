"""The targets of a simulated world's messages: they take them, are deaf for a while, or refuse one for good."""

from collections.abc import Callable
from random import Random

from federation.records import Event
from managers.ucm.points import DELIVERY
from training.scenarios.draws import between
from training.world.agenda import Agenda
from training.world.chances import Chances
from training.world.troubles import Troubles

TARGETS = ("pager", "ci", "billing")
OK, NO_ANSWER = 204, 0


class Mail:
    """ask: how a sender hands in a message."""

    def __init__(
        self,
        seed: int,
        chances: Chances,
        agenda: Agenda,
        troubles: Troubles,
        ask: Callable[[Event], None],
        source: str,
    ) -> None:
        self.chances, self.agenda, self.troubles, self.ask, self.source = chances, agenda, troubles, ask, source
        self.random = Random(f"{seed} mail")
        self.deaf: dict[str, tuple[float, int]] = {}  # by target: until when, and the status that it answers with
        self.malformed: set[str] = set()
        self.delivered = self._sent = 0
        self._failed: set[str] = set()
        agenda.often(chances.message, self.random, self._send)
        agenda.often(chances.deaf, self.random, self._deafen)

    def _send(self) -> None:
        self._sent += 1
        priority = self.random.choice(("low", "normal", "normal", "high"))
        body = {"text": f"note {self._sent}"}
        data = {"target": self.random.choice(TARGETS), "body": body, "priority": priority}
        subject = f"stream-{self.random.randint(1, 20)}"
        event = Event(f"note-{self._sent}", self.source, DELIVERY.events[0], subject, None, data)
        if self.random.random() < self.chances.rejected:
            self.malformed.add(event.decision(DELIVERY.name))
        self.ask(event)

    def _deafen(self) -> None:
        until = self.agenda.now + between(self.random, *self.chances.deaf_lasts)
        self.deaf[self.random.choice(TARGETS)] = (until, self.random.choice((NO_ANSWER, 503, 503, 429)))

    def receive(self, target: str, message: str) -> int:
        """The HTTP status that a target answers a message with, which its id names; 0: none in time."""
        until, status = self.deaf.get(target, (0.0, OK))
        if self.agenda.now >= until:
            status = 422 if message in self.malformed else OK
        if status == OK:
            self.delivered += 1
        elif message not in self._failed:
            self._failed.add(message)
            self.troubles.add(self.agenda.now, "message", message, f"{target} answered {status or 'nothing'}")
        return status
