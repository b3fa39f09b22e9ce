"""Alerts that Alertmanager told of: which fire, what is known about each, and what may be done about one.

UFM answers for them, because most are about nodes and it knows the nodes. State changes by records alone; times are
ledger time, ns.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from federation.clock import DAY, SECOND
from federation.errors import Refused
from federation.manager import Emission, Target
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, Outcome
from managers.ufm.alert_point import ABOUT, ALERT, DURATIONS, SEVERITIES

REMEMBERED = 2000  # alerts that fire; the one that was told of first is forgotten when there are more
FORGOTTEN = DAY  # an alert that was not told of for so long fires no more: its end was lost on the way
LOOK = 30 * SECOND  # between two looks at an alert whose time may have come
OUTBOUND = "@ucm"
SOURCE = "elias/ufm"  # of the looks that UFM takes by itself

_CLASSES = (
    ("elias", r"elias"),
    ("gpu", r"gpu|dcgm|xid|nvidia|nvlink"),
    ("storage", r"disk|filesystem|storage|raid|nvme|lustre|nfs|inode"),
    ("network", r"network|infiniband|ib_|link|packet|ping|nic_"),
    ("job", r"job|pod|container|task"),
    ("node", r"node|host|instance|target|cpu|memory|load|clock|reboot|temperature"),
)
_NODE_LABELS = ("node", "nodename", "hostname", "host", "instance")


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of an `elias.alert` event, as `POST /v1/alertmanager` makes it. started: RFC 3339."""

    status: Literal["firing", "resolved"]
    fingerprint: str
    labels: dict[str, str]
    started: str
    annotations: dict[str, str] = {}
    link: str = ""

    @classmethod
    def of(cls, event: Event) -> "Told":
        """Raises Refused."""
        try:
            return msgspec.convert(event.data, cls)
        except msgspec.ValidationError as error:
            cure = "let Alertmanager send to /v1/alertmanager, which makes these events; docs/alertmanager.md shows how"
            raise Refused("bad-alert", str(error), place=f"event {event.id}: data", cure=cure) from None

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    def since(self, now: int) -> int:
        """When it began; `now` where its time makes no sense."""
        try:
            began = datetime.fromisoformat(self.started)
        except ValueError:
            return now
        return min(now, round(began.timestamp()) * SECOND) if began.tzinfo else now


class Alert(msgspec.Struct):
    """One that fires. told: when Alertmanager named it last. case: the open one about it, with its attempt and clause.
    silence: its id in Alertmanager, while ELIAS has silenced it until `silenced`."""

    subject: str
    told: int
    data: dict[str, Any]
    case: str = ""
    attempt: int = 0
    clause: str = ""
    silence: str = ""
    silenced: int = 0


class AlertsState(msgspec.Struct):
    """firing: by fingerprint. asks: decision -> fingerprint, until nothing more comes of it. ended: alerts that fire no
    more, by the case to be closed."""

    firing: dict[str, Alert] = {}
    asks: dict[str, str] = {}
    ended: dict[str, Alert] = {}


class Alerts:
    """status_of: how UFM sees a node; None where it knows none of that name. usable: whether the settings name an
    Alertmanager that can be spoken to."""

    def __init__(self, state: AlertsState, status_of: Callable[[str], str | None], *, usable: bool) -> None:
        self.state, self._status_of, self._usable = state, status_of, usable
        self._looked: dict[str, int] = {}
        self._names = Counter(_name(alert) for alert in state.firing.values())

    # -- facts and candidates ----------------------------------------------------------------------------------------

    def facts(self, event: Event, now: int) -> dict[str, Any]:
        told = Told.of(event)
        firing = self.state.firing
        known, name = firing.get(told.fingerprint), snake(told.name)
        node = self.node_of(told.labels)
        new = told.status == "firing" and known is None
        return {
            "status": told.status,
            "alert": name or None,
            "severity": severity_of(told.labels),
            "about": "node" if node is not None and class_of(name) == "other" else class_of(name),
            "age": (now - told.since(now)) / SECOND,
            "firing": len(firing) + new,
            "same": self._names[told.name] + new,
            "node_known": node is not None,
            "node_status": None if node is None else self._status_of(node),
            "silenced": known is not None and known.silenced > now,
        }

    def node_of(self, labels: Mapping[str, str]) -> str | None:
        """The node that an alert is about, if UFM knows it; a port behind its name does not count."""
        for label in _NODE_LABELS:
            value = labels.get(label, "")
            for name in (value, value.partition(":")[0]):
                if name and self._status_of(name) is not None:
                    return name
        return None

    def propose(self, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        told = Told.of(event)
        known = self.state.firing.get(told.fingerprint)
        silence = known.silence if known is not None and facts["silenced"] else ""
        unable = None if self._usable else "the_settings_name_no_alertmanager"
        loud = None if silence else "nothing_is_silenced"
        over = "it_is_over" if told.status == "resolved" else "it_is_silenced" if silence else None
        return [
            *(Candidate("silence", {"duration": seconds}, forbidden=unable or over) for seconds in DURATIONS),
            Candidate("unsilence", {"silence": silence}, forbidden=unable or loud),
            Candidate("hold"),
        ]

    def target(self, asked: Asked) -> Target:
        """Alertmanager is spoken to from where all that leaves ELIAS goes."""
        told = Told.of(asked.event)
        return Target(OUTBOUND, [f"alert:{told.name}"], {"labels": told.labels})

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        if entry.kind == Kind.ASKED:
            self._fold_asked(entry, body)
        elif entry.kind == Kind.ANSWERED:
            self._fold_answered(entry, body)
        elif entry.kind == Kind.OUTCOME:
            self._fold_outcome(entry, body)

    def _fold_asked(self, entry: Entry, asked: Asked) -> None:
        state, told = self.state, Told.of(asked.event)
        self._forget(asked.at)
        if told.status == "resolved":
            self._end(told.fingerprint)
            return
        if told.fingerprint not in state.firing:
            state.firing[told.fingerprint] = Alert(entry.subject, asked.at, asked.event.data)
            self._names[told.name] += 1
        alert = state.firing[told.fingerprint]
        if asked.event.source != SOURCE:
            alert.told, alert.data = asked.at, asked.event.data
        if asked.waits:
            alert.case, alert.attempt, alert.clause = entry.decision, asked.attempt, asked.clause
        state.asks[entry.decision] = told.fingerprint

    def _forget(self, at: int) -> None:
        firing = self.state.firing
        stale = [key for key, alert in firing.items() if max(alert.told, alert.silenced) < at - FORGOTTEN]
        for key in stale or ([next(iter(firing))] if len(firing) >= REMEMBERED else []):
            self._end(key)

    def _end(self, fingerprint: str) -> None:
        ended = self.state.firing.pop(fingerprint, None)
        if ended is None:
            return
        self._names -= Counter([_name(ended)])
        if ended.case:
            self.state.ended[ended.case] = ended

    def _fold_answered(self, entry: Entry, answered: Answered) -> None:
        self.state.ended.pop(entry.decision, None)
        alert = self._asked_about(entry.decision)
        if alert is not None and alert.case == entry.decision:
            alert.case = ""
        if answered.mode not in ("approve", "act"):
            self.state.asks.pop(entry.decision, None)

    def _fold_outcome(self, entry: Entry, outcome: Outcome) -> None:
        alert = self._asked_about(entry.decision)
        self.state.asks.pop(entry.decision, None)
        if alert is not None and outcome.status == "done":
            alert.silence = str(outcome.data.get("silence", ""))
            alert.silenced = int(outcome.data.get("until", 0))

    def _asked_about(self, decision: str) -> Alert | None:
        return self.state.firing.get(self.state.asks.get(decision, ""))

    def emit(self) -> Iterator[Emission]:
        """What was asked about an alert that is over needs no answer: the case is closed, and nothing is done."""
        for decision, alert in list(self.state.ended.items()):
            why = "the alert is over: Alertmanager says that it is resolved, or does not speak of it any more"
            closing = Answered(None, ALERT.terminal, {}, "fallback", alert.clause, why, "", alert.attempt)
            yield Emission(Kind.ANSWERED, ALERT.name, alert.subject, decision, closing)

    # -- looking -----------------------------------------------------------------------------------------------------

    def due(self, now: int) -> Iterator[Event]:
        """Alerts whose time may have come: they still fire, nobody is asked about them, and they were told of since
        their silence ended. What changes nothing is not on record."""
        for key in [key for key in self._looked if key not in self.state.firing]:
            del self._looked[key]
        for key in [key for key, at in self._looks() if at <= now]:
            self._looked[key] = now
            alert = self.state.firing[key]
            yield Event(f"{key} {now}", SOURCE, ALERT.name, alert.subject, None, alert.data)

    def wake(self) -> int | None:
        return min((at for _, at in self._looks()), default=None)

    def _looks(self) -> Iterator[tuple[str, int]]:
        """When each is to be looked at."""
        for key, alert in self.state.firing.items():
            if not alert.case and alert.silenced <= alert.told:
                yield key, self._looked.get(key, alert.told) + LOOK

    def view(self) -> list[dict[str, Any]]:
        return [
            {
                "fingerprint": key,
                "subject": alert.subject,
                "labels": alert.data["labels"],
                "annotations": alert.data.get("annotations", {}),
                "started": alert.data["started"],
                "case": alert.case,
                "silenced_until": alert.silenced // SECOND if alert.silenced else None,
            }
            for key, alert in self.state.firing.items()
        ]


def _name(alert: Alert) -> str:
    return str(alert.data["labels"].get("alertname", ""))


def severity_of(labels: Mapping[str, str]) -> str | None:
    """One of those that a spec can name; None (absent) without the label."""
    given = labels.get("severity", "").lower()
    if not given:
        return None
    return given if given in SEVERITIES else "other"


def class_of(name: str) -> str:
    """What an alert of that name is about, in snake case, by the words in it."""
    found = next((kind for kind, words in _CLASSES if re.search(words, name)), "other")
    assert found in ABOUT
    return found


def snake(name: str) -> str:
    """`NodeDown` as a spec names it: `node_down`. Empty where nothing of it can stand in a spec."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).lstrip("_0123456789")[:64].rstrip("_")
