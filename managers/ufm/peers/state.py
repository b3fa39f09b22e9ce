"""Which jobs are at a peer, and which ones of peers are here. All of it follows from the log."""

from typing import Any

import msgspec

from federation.records import Answered, Asked, Effect, Entry, Kind, Outcome

SOURCE = "elias/peer/"  # of events that admit a peer's job; its name follows
URM = "elias/urm"  # asks again about a job that waits
KEPT = 10_000  # ended jobs of which is known that they ended; the oldest are forgotten first


class Sent(msgspec.Struct, frozen=True):
    """A job that a peer was given. decision: by which."""

    peer: str
    decision: str
    ended: bool = False


class Guest(msgspec.Struct, frozen=True):
    """A job of a peer's. decision: that admitted it. gpus, memory: that it holds. end: null while it is to run or
    runs."""

    peer: str
    decision: str
    gpus: float
    memory: int
    end: Outcome | None = None


class PeersState(msgspec.Struct):
    """All by the id of the job. queued: data of jobs that wait to be admitted and may run anywhere. held: decisions to
    forward that a person is to confirm, or that only say what would be done. back: decisions to forward of which
    nothing came, by jobs that wait here again."""

    queued: dict[str, dict[str, Any]] = {}
    held: dict[str, str] = {}
    sent: dict[str, Sent] = {}
    back: dict[str, str] = {}
    guests: dict[str, Guest] = {}

    def fold_admission(self, entry: Entry, body: Any, data: dict[str, Any]) -> None:
        """data: of the job."""
        job = entry.subject
        if entry.kind == Kind.ASKED:
            self._fold_asked(entry, body)
            return
        answered: Answered = body
        if answered.action == "wait" and data.get("anywhere"):
            self.queued[job] = data
        else:
            self.queued.pop(job, None)
        if answered.action not in ("admit", "wait"):
            self.held.pop(job, None)
            self.end_guest(job, Outcome("refused", f"it is not admitted there: {answered.reason}"))

    def _fold_asked(self, entry: Entry, asked: Asked) -> None:
        sent = self.sent.get(entry.subject)
        if asked.event.source != URM and (sent is None or sent.ended):  # another job of the same name
            self.sent.pop(entry.subject, None)
            self.back.pop(entry.subject, None)
        if not asked.event.source.startswith(SOURCE):
            return
        peer, facts = asked.event.source.removeprefix(SOURCE), asked.facts
        gpus, memory = float(facts.get("gpus") or 0), int(facts.get("memory") or 0)
        self.guests[entry.subject] = Guest(peer, entry.decision, gpus, memory)
        if len(self.guests) > KEPT:
            ended = next((job for job, guest in self.guests.items() if guest.end is not None), None)
            if ended is not None:
                del self.guests[ended]

    def fold(self, entry: Entry, body: Any) -> None:
        """A record of `ufm.forward`."""
        job = entry.subject
        if entry.kind == Kind.ANSWERED and body.action == "forward" and body.mode != "act":
            self.held[job] = entry.decision
        elif entry.kind == Kind.EFFECT:
            self._fold_effect(job, entry.decision, body)
        elif entry.kind == Kind.OUTCOME:
            self._fold_outcome(job, entry.decision, body)

    def _fold_effect(self, job: str, decision: str, effect: Effect) -> None:
        if effect.settled:
            self.sent[job] = Sent(str(effect.args["peer"]), decision)
            self.back.pop(job, None)
            self.queued.pop(job, None)
            self.held.pop(job, None)

    def _fold_outcome(self, job: str, decision: str, outcome: Outcome) -> None:
        if self.held.get(job) == decision:
            del self.held[job]
        sent = self.sent.get(job)
        if sent is None or sent.decision != decision:
            return
        del self.sent[job]
        if outcome.undone:
            self.back[job] = decision
            return
        self.sent[job] = msgspec.structs.replace(sent, ended=True)
        self.end_guest(job, outcome)
        if len(self.sent) > KEPT:
            over = next((job for job, one in self.sent.items() if one.ended), None)
            if over is not None:
                del self.sent[over]

    def end_guest(self, job: str, outcome: Outcome) -> None:
        """A job ended, or will not run; nothing where it is none of a peer's."""
        guest = self.guests.get(job)
        if guest is not None and guest.end is None:
            self.guests[job] = msgspec.structs.replace(guest, end=outcome)

    def away(self, peer: str) -> int:
        """Jobs that this peer has, or may have, of ours."""
        return sum(sent.peer == peer and not sent.ended for sent in self.sent.values())

    def running(self, peer: str) -> list[Guest]:
        """The jobs of this peer that have not ended."""
        return [guest for guest in self.guests.values() if guest.peer == peer and guest.end is None]
