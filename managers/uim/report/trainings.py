"""What trainings took, from the record: the jobs that `ulm.base_model` started, with what was reserved for them."""

from typing import NamedTuple

from federation.clock import SECOND
from federation.ledger.store import Store
from federation.records import Asked, Effect, Kind, Outcome, decode
from managers.uim.report.decided import between

_ULM = "elias/ulm/"  # then the user that it runs as
_ADMISSION, _PLACEMENT = "urm.admission", "ufm.placement"


class Trainings(NamedTuple):
    """jobs: that ended. hours of a processor core and of a GPU: reserved, from the start on a node to its end."""

    jobs: int
    core_hours: float
    gpu_hours: float


def trainings(store: Store, since: int, until: int) -> Trainings:
    """Of jobs that ended in this time (ledger time, ns). One that a person ran himself is not on record."""
    needs = _needs(store, until)
    started: dict[str, int] = {}
    jobs, cores, gpus = set[str](), 0.0, 0.0
    for record in between(store, [Kind.EFFECT, Kind.OUTCOME], 0, until, points=[_PLACEMENT]):
        header = record.header
        if header.subject not in needs:
            continue
        body = decode(header.kind, record.body)
        if isinstance(body, Effect) and body.verdict == "released":
            started[header.decision] = header.time
        elif isinstance(body, Outcome) and header.decision in started:
            hours = (header.time - started.pop(header.decision)) / SECOND / 3600
            if header.time >= since:
                wanted = needs[header.subject]
                jobs.add(header.subject)
                cores, gpus = cores + hours * wanted[0], gpus + hours * wanted[1]
    return Trainings(len(jobs), cores, gpus)


def _needs(store: Store, until: int) -> dict[str, tuple[float, float]]:
    """By job that ULM submitted, the cores and GPUs that it asked for."""
    found = {}
    for record in between(store, [Kind.ASKED], 0, until, points=[_ADMISSION]):
        asked: Asked = decode(Kind.ASKED, record.body)
        if asked.event.source.startswith(_ULM):
            data = asked.event.data
            found[record.header.subject] = float(data.get("cpus", 1)), float(data.get("gpus", 0))
    return found
