"""What waits for an advisor is carried to it, and what it says back to the desk."""

import msgspec

from federation.advisors.question import Advice, Question
from federation.errors import EliasError, Temporary
from federation.runtime.consulting import Host
from federation.runtime.link import Link

MARGIN = 5.0  # seconds beyond the advisors' own deadline, after which their process is taken for hung

_advice = msgspec.msgpack.Decoder(Advice)
_packed = msgspec.msgpack.Encoder()


class Advising:
    """deadline: seconds that an answer may take."""

    def __init__(self, host: Host, link: Link, deadline: float) -> None:
        self._host = host
        self._link = link
        self._patience = deadline + MARGIN
        self._asked: set[str] = set()

    def send(self) -> None:
        """Ask about everything that waits and is not being asked about. To be called after each commit."""
        for decision in self._host.desk.advising:
            if decision not in self._asked:
                self._asked.add(decision)
                self._host.spawn(self._ask(decision))

    async def _ask(self, decision: str) -> None:
        try:
            if decision in self._host.desk.advising:
                question = self._host.desk.question(decision)
                advice = await self._advice(question)
                await self._host.do(lambda now: self._host.desk.advise(question, advice, now))
        except Temporary:
            pass  # the state is being built anew: what still waits then is asked about again
        finally:
            self._asked.discard(decision)

    async def _advice(self, question: Question) -> Advice:
        try:
            raw = await self._link.call("advisor", "advise", _packed.encode(question), patience=self._patience)
        except EliasError as error:
            return Advice(problem=str(error))
        return _advice.decode(raw)
