"""What is done about the messages of peers: their word about capacity, and their jobs.

A job of a peer's is an event like any other to URM, which admits it by its own spec. Its id is the effect of its
sender, so the same job sent again is the same decision.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from federation.errors import Refused, Temporary
from federation.peers.messages import CAPACITY, LOOK, OFFER, Capacity, Look, Offer, Standing, Work
from federation.peers.sealing import Seal
from federation.peers.settings import PeersSettings
from federation.peers.window import YOUNG
from federation.records import Event, Outcome
from federation.replies import Rejected, Reply
from managers.ufm.peers.rooms import objection
from managers.ufm.peers.state import SOURCE, Guest, PeersState

ADMISSION = "urm.admission"
SUBMITTED = "elias.job.submitted"
SETTLING = 30_000  # ms after a start in which an offer of before may still come on record

Submit = Callable[[Event], Awaitable[Sequence[Reply] | Rejected]]


class Host:
    """state: of UFM, as it is now. submit: gives an event to the manager that decides it; raises Temporary. known:
    whether a decision is on record. rooms: what a peer may use here now. heard: takes what a peer has free."""

    def __init__(
        self,
        settings: PeersSettings,
        state: Callable[[], PeersState],
        submit: Submit,
        known: Callable[[str], bool],
        rooms: Callable[[str], Capacity],
        heard: Callable[[str, Capacity], Awaitable[None]],
        started: int,
    ) -> None:
        self._settings, self._state, self._submit, self._known = settings, state, submit, known
        self._rooms, self._heard, self._started = rooms, heard, started
        self._one = asyncio.Lock()  # an offer and a look at it must not pass one another
        self._taken: dict[str, Guest] = {}  # by the id of the job: offers that UFM has not seen admitted yet
        self._declined: dict[str, int] = {}  # decisions of offers that will not be taken, and since when (ms)
        self._answers: Mapping[str, tuple[type[Any], Callable[[Seal, Any, int], Awaitable[msgspec.Struct]]]] = {
            CAPACITY: (Capacity, self._capacity),
            OFFER: (Offer, self._offer),
            LOOK: (Look, self._look),
        }

    async def answer(self, seal: Seal, path: str, body: bytes, now: int) -> msgspec.Struct:
        """To a message that was let in. now: ms. Raises Refused, Temporary."""
        if path not in self._answers:
            raise Refused("peer-path", f"nothing is at `{path}`", cure="run the same release of ELIAS on both sides")
        kind, reply = self._answers[path]
        try:
            message = msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise Refused("peer-message", f"the message makes no sense: {error}", cure="see docs/peers.md") from None
        return await reply(seal, message, now)

    async def _capacity(self, seal: Seal, told: Capacity, now: int) -> Capacity:
        await self._heard(seal.sender, told)
        return self._rooms(seal.sender)

    async def _offer(self, seal: Seal, offer: Offer, now: int) -> Standing:
        async with self._one:
            event = self._event(seal, offer)
            decision = event.decision(ADMISSION)
            if decision in self._declined:
                raise Refused("peer-declined", "it was said before that this job is not taken", cure="offer it anew")
            if self._has(event.subject, decision):
                return Standing("here")
            why = objection(self._settings.known[seal.sender], self._held(seal.sender), offer.work)
            if why:
                raise Refused("peer-limit", why, cure="its sender keeps it, or sends it when others have ended")
            self._taken[event.subject] = Guest(seal.sender, decision, offer.work.gpu, offer.work.memory)
            said = await self._submit(event)  # Temporary: it may come on record yet, and is counted until it does
            if isinstance(said, Rejected):
                if said.status >= 500:
                    raise Temporary(said.message)
                del self._taken[event.subject]
                self._decline(decision, now)
                raise Refused(said.code, said.message, cure=said.cure)
        return self._standing(event.subject, decision) or Standing("here")

    def _event(self, seal: Seal, offer: Offer) -> Event:
        """The peer's word about its job, and no more rights than the settings give it: no folder of ours, no priority,
        only the nodes that take its jobs."""
        work: Work = offer.work
        labels = dict.fromkeys((*work.labels, *self._settings.known[seal.sender].labels))
        data = {**msgspec.to_builtins(work), "labels": list(labels), "anywhere": True, "hops": list(seal.hops)}
        if not work.gpu_share:
            del data["gpu_share"]
        return Event(offer.effect, SOURCE + seal.sender, SUBMITTED, f"{seal.sender}.{offer.job}", None, data)

    async def _look(self, seal: Seal, look: Look, now: int) -> Standing:
        job = f"{seal.sender}.{look.job}"
        decision = Event(look.effect, SOURCE + seal.sender, SUBMITTED).decision(ADMISSION)
        async with self._one:
            found = self._standing(job, decision)
            if found is not None:
                return found
            if self._has(job, decision) or await asyncio.to_thread(self._known, decision):
                return Standing("here")
            if now - self._started < SETTLING:
                raise Temporary("this process has just begun, and asks the ledger once what was under way is on it")
            self._decline(decision, now)
        return Standing("absent")

    def _standing(self, job: str, decision: str) -> Standing | None:
        """Of a job that UFM has seen; None: of no such job."""
        guest = self._state().guests.get(job)
        if guest is None or guest.decision != decision:
            return None
        self._taken.pop(job, None)
        return Standing("here") if guest.end is None else ended(guest.end)

    def _has(self, job: str, decision: str) -> bool:
        held = (self._taken.get(job), self._state().guests.get(job))
        return any(guest is not None and guest.decision == decision for guest in held)

    def _held(self, peer: str) -> list[Guest]:
        """The jobs of a peer that count against its limits."""
        guests = self._state().guests
        seen = [job for job, guest in self._taken.items() if job in guests and guests[job].decision == guest.decision]
        for job in seen:
            del self._taken[job]
        return [*self._state().running(peer), *(guest for guest in self._taken.values() if guest.peer == peer)]

    def _decline(self, decision: str, now: int) -> None:
        """What was offered is too old to count once this is forgotten."""
        self._declined = {one: since for one, since in self._declined.items() if now - since <= 3 * YOUNG}
        self._declined[decision] = now


_STATUS = ("done", "failed", "refused", "expired", "unknown")


def ended(outcome: Outcome) -> Standing:
    code, seconds = outcome.data.get("exit_code"), outcome.data.get("seconds")
    return Standing(
        "ended",
        outcome.status if outcome.status in _STATUS else "unknown",  # type: ignore[arg-type]
        outcome.detail[:500],
        code if isinstance(code, int) else None,
        float(seconds) if isinstance(seconds, int | float) else None,
    )
