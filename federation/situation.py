"""The situation of a decision: what is known now, what has held for how long, and what could be done."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

import tiki
from federation.errors import Bug, Refused
from federation.manager import Manager
from federation.points import DecisionPoint
from federation.records import Candidate, Event

CANDIDATES = 16  # of one decision
MEMORIES = 20_000  # subjects of a manager whose temporal conditions are remembered; the longest silent one goes first


class Situation(NamedTuple):
    """given: the facts by name, as the manager gave them. facts, held: what the program takes."""

    given: Mapping[str, Any]
    facts: tuple[Any, ...]
    held: tuple[bool | None, ...]


class Situations:
    """Looks at subjects, and remembers what their temporal conditions need; memory is cold after a restart."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self._programs: Mapping[str, tiki.Program] = {}
        self._memories: OrderedDict[tuple[str, str], tiki.Memory] = OrderedDict()

    def use(self, programs: Mapping[str, tiki.Program]) -> None:
        """Put programs in force. Windows of one that changed start cold."""
        before, self._programs = self._programs, programs
        changed = {name for name, old in before.items() if old.windows != programs[name].windows}
        for key in [key for key in self._memories if key[0] in changed]:
            del self._memories[key]

    def look(self, point: DecisionPoint, event: Event, now: int) -> Situation:
        """What is known of the subject at ledger time `now` (ns). Raises Refused for facts that make no sense."""
        program = self._programs[point.name]
        given = self.manager.facts(point, event, now)
        try:
            facts = program.facts_from(given)
        except ValueError as error:
            cure = f"`elias tiki schema {point.name}` lists the facts with their units"
            raise Refused("bad-facts", str(error), place=f"event {event.id}: data", cure=cure) from None
        if not program.windows:
            return Situation(given, facts, ())
        return Situation(given, facts, program.sample(self._memory(point.name, event.subject), now, facts))

    def candidates(self, point: DecisionPoint, event: Event, situation: Situation) -> list[Candidate]:
        """What the manager proposes, less what guards forbid: those stay in the list and name their guard."""
        program = self._programs[point.name]
        candidates = self.manager.propose(point, event, situation.given)
        if len(candidates) > CANDIDATES:
            raise Bug(f"{point.name} proposed {len(candidates)} candidates; at most {CANDIDATES} are allowed")
        guarded = program.guarded
        if not guarded:
            return candidates
        return [
            candidate
            if candidate.action not in guarded or candidate.forbidden is not None
            else self._guarded(program, candidate, situation)
            for candidate in candidates
        ]

    @staticmethod
    def _guarded(program: tiki.Program, candidate: Candidate, situation: Situation) -> Candidate:
        _, facts, held = situation
        guard = program.forbids(facts, held, candidate.action, candidate.args, candidate.attributes)
        return candidate if guard is None else msgspec.structs.replace(candidate, forbidden=guard)

    def _memory(self, point: str, subject: str) -> tiki.Memory:
        key = (point, subject)
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = tiki.Memory()
            if len(self._memories) > MEMORIES:
                self._memories.popitem(last=False)
        else:
            self._memories.move_to_end(key)
        return memory
