"""What a person may say about a group of cases, as it stands. Pure; whoever commits the word makes it atomic."""

from typing import Any

import msgspec

from federation.clock import DAY, SECOND
from federation.errors import Conflict, Refused
from federation.escalation import Escalation
from federation.records import CaseWord
from managers.uim.cases.case import Group

SHORTEST, LONGEST = 60 * SECOND, 30 * DAY  # of a snooze


class CaseUpdate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person (`by`) does with a case or its group. what: as `CaseWord.what` lists. take: also if somebody else
    has it. until: ledger time, ns."""

    what: str
    case: str
    by: str
    to: str = ""
    until: int = 0
    words: str = ""
    take: bool = False
    action: str = ""
    args: dict[str, Any] = {}


def word(escalation: Escalation, group: Group, said: CaseUpdate, now: int) -> CaseWord:
    """The word for the record. Raises Conflict where somebody else has the group or it is closed, else Refused."""
    if not group.cases:
        raise Conflict("closed", "all its cases are answered", place=group.id, cure="`elias cases` lists the open ones")
    match said.what:
        case "acknowledged":
            _free(group, said)
            return CaseWord("acknowledged", said.by, now, words=said.words)
        case "assigned":
            _free(group, said)
            _named(said)
            return CaseWord("assigned", said.by, now, to=said.to, words=said.words)
        case "delegated":
            _mine(group, said)
            _named(said)
            chain = said.to if said.to in escalation.chains else ""
            return CaseWord("delegated", said.by, now, to="" if chain else said.to, through=chain, words=said.words)
        case "released":
            _mine(group, said)
            return CaseWord("released", said.by, now, words=said.words)
        case "snoozed":
            _free(group, said)
            if not SHORTEST <= said.until - now <= LONGEST:
                cure = "a minute at least, 30 days at most"
                raise Refused("bad-snooze", "that is no time to sleep until", place="until", cure=cure)
            return CaseWord("snoozed", said.by, now, until=said.until, words=said.words)
        case "commented":
            if not said.words.strip():
                raise Refused("no-words", "the comment is empty", place="words", cure="write what others should know")
            return CaseWord("commented", said.by, now, words=said.words)
    known = "acknowledged, released, assigned, delegated, snoozed, commented"
    raise Refused("bad-word", f"nobody can have `{said.what}` a case", place="what", cure=f"one of: {known}")


def _named(said: CaseUpdate) -> None:
    if not said.to.strip():
        cure = "write the name of a person; to delegate, also that of a chain"
        raise Refused("nobody", "it says not to whom", place="to", cure=cure)


def _free(group: Group, said: CaseUpdate) -> None:
    if group.holder not in ("", said.by) and not said.take:
        raise Conflict(
            "taken",
            f"{group.holder} has it",
            place=group.id,
            cure=f"ask {group.holder} to release or delegate it, or say that you take it",
        )


def _mine(group: Group, said: CaseUpdate) -> None:
    if not group.holder and not said.take:
        cure = "acknowledge it first, or assign it to somebody"
        raise Conflict("not-yours", "nobody has it", place=group.id, cure=cure)
    _free(group, said)
