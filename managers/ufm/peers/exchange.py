"""Speaks with the peers that the settings name: tells each now and then what it may use here, and hears them."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from federation.errors import EliasError
from federation.peers import identity
from federation.peers.messages import CAPACITY, Capacity
from federation.peers.sealing import Door
from federation.peers.window import Window
from federation.records import Event
from federation.replies import Rejected, Reply
from federation.runtime.link import RayLink
from federation.runtime.listening import listening
from managers.ufm.peers import serving
from managers.ufm.peers.hosting import Host
from managers.ufm.peers.line import Line, now

if TYPE_CHECKING:
    from managers.ufm.service import UfmService

_results = msgspec.msgpack.Decoder(list[list[Reply] | Rejected])


class Exchange:
    """Raises Refused for keys and cards that cannot be read."""

    def __init__(self, service: "UfmService") -> None:
        self._service, self._settings = service, service.settings.peers
        self._link, started = RayLink(), now()
        mine = identity.ours(service.settings.peers_folder, self._settings.name)
        known = {name: identity.read_card(peer.card) for name, peer in self._settings.known.items()}
        door = Door(self._settings.name, known, Window(started))
        self.lines = {name: Line(name, peer, known[name], mine, door) for name, peer in self._settings.known.items()}
        host = Host(
            self._settings,
            lambda: service.ufm.state.peers,
            self._submit,
            lambda decision: bool(service.store.known([decision])),
            service.room_for,
            service.tell,
            started,
        )
        self._server: uvicorn.Server | None = None
        if self._settings.host:
            self._server = serving.server(mine, door, host.answer)
            self._socket = listening(self._settings.host, self._settings.port, "peers")

    def begin(self) -> None:
        """Speak and listen."""
        if self._server:
            self._service.spawn(self._server.serve([self._socket]))
        for name in self.lines:
            self._service.spawn(self._tell(name))

    async def close(self) -> None:
        if self._server:
            self._server.should_exit = True
        for line in self.lines.values():
            await line.close()

    async def _tell(self, peer: str) -> None:
        """What it may use here, for what we may use there."""
        problem = ""
        while True:
            before, problem, told = problem, "", None
            try:
                told = await self.lines[peer].ask(CAPACITY, self._service.room_for(peer), Capacity)
            except EliasError as error:
                problem = str(error)
            if bool(problem) != bool(before):
                self._service.log.warning("peer %s: %s", peer, problem or "it can be spoken with")
            try:
                await self._service.tell(peer, told, problem)
            except EliasError as error:
                self._service.log.warning("what %s has free is not noted: %s", peer, error)
            await asyncio.sleep(self._settings.every)

    async def _submit(self, event: Event) -> Sequence[Reply] | Rejected:
        (said,) = _results.decode(await self._link.call("urm", "submit", msgspec.msgpack.encode([event])))
        return said
