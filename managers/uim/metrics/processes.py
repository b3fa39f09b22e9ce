"""Which processes answer, what they take of the machine, and how often they were started again."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from federation.clock import SECOND
from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape
from managers.uim.skew import AGENT

if TYPE_CHECKING:
    from federation.runtime.root import Member  # it imports Ray

_ELIAS = version("elias")

INFO = Family("gauge", "elias_info", "1, with the version that runs", ("version",))
TOOK = Family("gauge", "elias_scrape_seconds", "until the processes had told the figures of this scrape")
UP = Family("gauge", "elias_up", "1: the process answers; of an agent: the root supervisor hears of it", ("component",))
START = Family("gauge", "elias_start_time_seconds", "last start of the process, since 1970", ("component",))
RESTARTS = Family(
    "counter", "elias_restarts_total", "restarts that its supervisor ordered, since that began", ("component",)
)
GAVE_UP = Family(
    "gauge", "elias_gave_up", "1: its supervisor has given it up, and a person must resume it", ("component",)
)
INCARNATION = Family("gauge", "elias_incarnation", "how often this writer of the ledger registered", ("component",))
CPU = Family("counter", "elias_cpu_seconds_total", "CPU time of the process", ("component",))
MEMORY = Family("gauge", "elias_resident_bytes", "memory of the process", ("component",))
EVENTS = Family("counter", "elias_events_total", "events that it was sent and decided", ("component",))
COMMITS = Family("counter", "elias_commits_total", "commits to the ledger that it waited for", ("component",))
WAITING = Family("gauge", "elias_requests_waiting", "requests that nobody has looked at yet", ("component",))
REFUSED = Family(
    "gauge",
    "elias_bundle_refused",
    "1: the newest rules did not stand up to its check, older ones decide",
    ("component",),
)
FROZEN = Family(
    "gauge", "elias_frozen", "1: it lets no effect act; here: the flag of the head, gate: the gate", ("component",)
)

FAMILIES = (
    INFO, TOOK, UP, START, RESTARTS, GAVE_UP, INCARNATION, CPU, MEMORY, EVENTS, COMMITS, WAITING, REFUSED, FROZEN
)  # fmt: skip

_SAID = ((CPU, "cpu_s"), (MEMORY, "rss"), (EVENTS, "events"), (COMMITS, "commits"), (WAITING, "waiting"))


def lines(scrape: Scrape) -> Iterator[str]:
    members = scrape.members or ()
    children = _children(members)
    agents = {m.name: m.status == "running" for m in children if m.name.startswith(AGENT)}
    answer = {name: said is not None for name, said in scrape.healths.items()} | agents
    status = {m.name: m.status for m in members}
    yield from INFO.of({(_ELIAS,): 1})
    yield from TOOK.one(scrape.took)
    yield from UP.of({(name,): up for name, up in answer.items()})
    yield from START.of({(m.name,): m.since / SECOND for m in children if m.status == "running"})
    yield from RESTARTS.of({(m.name,): m.restarts for m in children})
    yield from GAVE_UP.of({(m.name,): status.get(m.supervisor) == "gave up" for m in children})
    yield from INCARNATION.of({(name,): value for name, value in scrape.told("incarnation").items()})
    for family, key in _SAID:
        yield from family.of({(name,): value for name, value in scrape.told(key).items()})
    yield from REFUSED.of({(name,): why is not None for name, why in scrape.told("bundle_refused").items()})
    yield from FROZEN.of({("here",): scrape.frozen} | {(name,): on for name, on in scrape.told("frozen").items()})


def _children(members: "Sequence[Member]") -> "list[Member]":
    """The processes; the supervisors above them only say whether they have given up."""
    above = {m.supervisor for m in members}
    top = {m.name for m in members if not m.supervisor}
    return [m for m in members if m.name not in above and m.supervisor not in top]
