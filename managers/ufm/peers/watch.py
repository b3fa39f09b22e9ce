"""Peers at UFM: what each has free, which jobs could go there, and what is asked about them.

What peers have free is telemetry, and on no record but in the decisions that used it: after a restart it is known again
with their next word.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Target
from federation.peers.messages import Room, Work
from federation.peers.settings import PeersSettings
from federation.records import Answered, Asked, Candidate, Event
from managers.job import JobRequest, recorded
from managers.ufm.asked import request_of
from managers.ufm.peers.point import FORWARD
from managers.ufm.peers.rooms import fits
from managers.ufm.peers.state import PeersState

SIGHT = 3.0  # words that may be missing until what was told before counts no more
ASKED = 64  # jobs that are asked about at a time
AWAY = 200  # jobs that are at peers at a time: each is an order that this process awaits

_WAIT = Candidate("wait")
_rooms = tuple[Room, ...]


class Told(msgspec.Struct):
    """The newest word of a peer. at: ledger time (ns) when it came; 0: never. problem: why we cannot speak to it."""

    rooms: tuple[Room, ...] = ()
    at: int = 0
    problem: str = ""


class PeersWatch:
    def __init__(self, settings: PeersSettings, state: PeersState) -> None:
        self.settings, self.state = settings, state
        self.told = {name: Told() for name in sorted(settings.known)}
        self.news = False
        """Whether it is worth looking whether a job could go."""
        self._now = 0  # of the question that is being asked

    def hear(self, report: Mapping[str, Any], now: int) -> None:
        """What a peer has free, and why we cannot speak to it (`problem`, empty where we can; null where nobody tried:
        it spoke to us)."""
        told = self.told[str(report["peer"])]
        if report["problem"] is not None:
            told.problem = str(report["problem"])
        if report["rooms"] is not None:
            told.rooms, told.at = msgspec.convert(report["rooms"], _rooms), now
            self.news = self.news or bool(told.rooms)

    def knows(self, peer: str, now: int) -> bool:
        """Whether what it told counts: it is new enough, and the peer can be told something."""
        told = self.told[peer]
        return bool(told.at) and not told.problem and now - told.at <= round(SIGHT * self.settings.every * SECOND)

    def room_at(self, asked: JobRequest, now: int) -> Iterator[tuple[str, int]]:
        """Peers with room for a job that may go to them, and how many nodes it fits there. None that it came by."""
        request = request_of(asked)
        for peer, told in self.told.items():
            if self.knows(peer, now) and peer not in asked.hops and (rooms := fits(request, told.rooms)):
                yield peer, rooms

    def due(self, waiting: Mapping[str, Mapping[str, Any]], now: int) -> Iterator[Event]:
        """Questions about jobs for which a peer has room. waiting: data of all that wait, by id."""
        self.news = False
        found = 0
        for job, data in waiting.items():
            if found == ASKED:
                return
            if data.get("anywhere") and job not in self.state.held and self._could_go(data, now):
                found += 1
                yield Event(f"{job} {now}", "elias/ufm", FORWARD.events[0], job, None, dict(data))

    def _could_go(self, data: Mapping[str, Any], now: int) -> bool:
        asked = recorded(data)
        try:
            work_of(asked)
            return any(self.room_at(asked, now))
        except Refused:
            return False  # it stays here, where whoever reads it says what is wrong with it

    def facts(self, asked: JobRequest, now: int) -> dict[str, Any]:
        self._now = now
        return {"peers": sum(1 for _ in self.room_at(asked, now)), "hops": len(asked.hops)}

    def candidates(self, event: Event, asked: JobRequest, *, waits: bool) -> list[Candidate]:
        """waits: the job waits here. One that was given to a peer by this very decision is still its own."""
        sent = self.state.sent.get(event.subject)
        mine = sent is not None and not sent.ended and sent.decision == event.decision(FORWARD.name)
        full = sum(self.state.away(peer) for peer in self.told) >= AWAY
        if not asked.anywhere or not (mine or (waits and not full)):
            return [_WAIT]
        work_of(asked)
        places = [
            Candidate(
                "forward",
                {"peer": peer},
                {
                    "target.rooms": rooms,
                    "target.age": (self._now - self.told[peer].at) / SECOND,
                    "target.sent": self.state.away(peer),
                },
            )
            for peer, rooms in self.room_at(asked, self._now)
        ]
        places.sort(key=lambda one: (-one.attributes["target.rooms"], one.args["peer"]))
        return [*places[:15], _WAIT]

    def target(self, asked: Asked, answered: Answered) -> Target:
        """By UFM itself; caps may count by `peer`."""
        job = recorded(asked.event.data)
        work, hops = msgspec.to_builtins(work_of(job)), [*job.hops, self.settings.name]
        return Target("@ufm", [f"peer:{answered.args['peer']}"], {"work": work, "hops": hops})

    def view(self, now: int) -> list[dict[str, Any]]:
        """age: seconds since the peer told what it has free; null: never."""
        return [
            {
                "name": name,
                "url": self.settings.known[name].url,
                "heard": self.knows(name, now),
                "age": (now - told.at) / SECOND if told.at else None,
                "problem": told.problem,
                "rooms": msgspec.to_builtins(told.rooms),
                "sent": [job for job, one in self.state.sent.items() if one.peer == name and not one.ended],
                "guests": [job for job, one in self.state.guests.items() if one.peer == name and one.end is None],
            }
            for name, told in self.told.items()
        ]


def work_of(asked: JobRequest) -> Work:
    """What a peer is told of a job. Raises Refused for one that cannot go."""
    try:
        return msgspec.convert(asked, Work, from_attributes=True)
    except msgspec.ValidationError as error:
        raise Refused("bad-job", f"the job cannot be told to a peer: {error}", cure="see docs/peers.md") from None
