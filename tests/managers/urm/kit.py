"""A federation of URM and a placement that puts every job on a node of the test's choosing."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import tiki
from federation.clock import VirtualClock
from federation.gate import APPROVAL, SUPERVISION, WITHHELD
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.manager import Emission, Follow, Manager
from federation.points import schemas
from federation.records import Candidate, Entry, Event, Kind, Mode, Outcome, decode
from federation.settings import Settings, shipped_specs
from managers.ufm.points import PLACEMENT
from managers.urm.manager import Urm
from managers.urm.points import POINTS

GIB = 2**30


class _Placed(msgspec.Struct):
    jobs: dict[str, dict[str, Any]] = {}


class Placer(Manager):
    """Stands in for UFM: places every admitted job on `node`."""

    name = "ufm"
    points = (PLACEMENT,)
    follows: ClassVar[tuple[Follow, ...]] = (
        Follow(Kind.ASKED, "urm.admission"),
        Follow(Kind.ANSWERED, "urm.admission"),
    )
    State = _Placed
    node = "a"

    def facts(self, point: Any, event: Event, now: int) -> dict[str, Any]:
        return {"feasible": 1}

    def propose(self, point: Any, event: Event, facts: Any) -> list[Candidate]:
        return [Candidate("place", {"node": self.node, "gpus": []}), Candidate("hold")]

    def fold(self, entry: Entry, body: Any) -> None:
        if entry.kind == Kind.ASKED and entry.point == "urm.admission":
            self.state.jobs[entry.subject] = body.event.data

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        if entry.kind == Kind.ANSWERED and entry.point == "urm.admission" and body.action == "admit":
            data = self.state.jobs[entry.subject]
            yield Event(entry.decision, "elias/urm", "elias.job.placement", entry.subject, None, data)


def report(node: str, **figures: Any) -> dict[str, Any]:
    """A node agent's report: 8 cores and 64 GiB, idle and without GPU unless told otherwise."""
    idle = {"cpu": 5.0, "memory": 20.0, "gpu": None, "disk": 30.0, "cpus": 8, "gpus": []}
    idle |= {"memory_total": 64 * GIB, "memory_free": 51 * GIB}
    return {"node": node, **idle, **figures}


class Cluster:
    """The federation with its clock, and what the tests say to it."""

    def __init__(self, folder: Path, specs: Mapping[str, str]) -> None:
        self.clock = VirtualClock()
        self.store = Store.open(f"sqlite:///{folder}/ledger.db")
        self.settings = Settings(state=folder)
        self.placer = Placer(self.settings)
        points = {p.name: p for p in (*POINTS, PLACEMENT, APPROVAL, WITHHELD, SUPERVISION)}
        shipped = [
            *tiki.read_directory(shipped_specs() / "urm", "urm/"),
            *tiki.read_directory(shipped_specs() / "gate", "gate/"),
            tiki.Source("ufm/placement.tiki", (shipped_specs() / "ufm" / "placement.tiki").read_text()),
        ]
        sources = [tiki.Source(s.path, specs.get(s.path, s.text)) for s in shipped]
        self.bundle = tiki.build(sources, schemas(points))
        self.urm = Urm(self.settings)
        self.federation = LocalFederation([self.urm, self.placer], self.bundle, self.store, self.clock, self.settings)
        self._events = 0

    def report(self, *reports: dict[str, Any]) -> None:
        self.federation.report("urm", reports)

    def pass_time(self, seconds: float, *reports: dict[str, Any]) -> None:
        """Time passes in steps of 5 s, each with a tick and these reports."""
        for _ in range(int(seconds // 5)):
            self.clock.advance(5)
            self.report(*reports)
            self.federation.tick()

    def submit(self, job: str, **data: Any) -> Any:
        return self.post("elias.job.submitted", job, command=["true"], **data)

    def post(self, kind: str, subject: str, **data: Any) -> Any:
        self._events += 1
        return self.federation.post([Event(str(self._events), "test", kind, subject, None, data)])[0]

    def answers(self, point: str, subject: str = "") -> list[str]:
        """The actions answered at a point, in order."""
        return [body.action for header, body in self.records(Kind.ANSWERED, point) if subject in ("", header.subject)]

    def asked(self, point: str) -> list[Any]:
        return [body for _, body in self.records(Kind.ASKED, point)]

    def records(self, kind: Kind, point: str) -> list[tuple[Any, Any]]:
        found = self.store.read(after=0, kinds=[kind], points=[point])
        return [(record.header, decode(kind, record.body)) for record in found if record.header.point == point]

    def act(self, action: str) -> None:
        """Let an action of a point act, as a person would with `elias mode`."""
        self.federation.note(Emission(Kind.MODE, "", "", "", Mode(action, "act", "test")))

    def released(self, action: str) -> list[Any]:
        return [wish for wish in self.federation.gate.state.released.values() if wish.effect.action == action]

    def ends(self, action: str, subject: str, status: str = "done", **data: Any) -> None:
        """The effect of this action for this subject has its outcome."""
        (wish,) = [wish for wish in self.released(action) if wish.subject == subject]
        self.federation.outcome(wish.decision, Outcome(status, data=data))
