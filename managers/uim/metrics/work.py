"""What people gave ELIAS to do: jobs, applications, messages."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

JOBS = Family(
    "gauge",
    "elias_jobs",
    "jobs: queued (not admitted yet), waiting (admitted, no room on a node yet), running",
    ("state",),
)
APPS = Family("gauge", "elias_app_instances", "instances of applications", ("status",))
APPS_BROKEN = Family("gauge", "elias_apps_file_broken", "1: the file of the applications is refused")
WAITING = Family("gauge", "elias_messages_waiting", "messages that wait to be sent", ("target",))
IN_FLIGHT = Family("gauge", "elias_messages_in_flight", "messages on their way", ("target",))
DELIVERED = Family(
    "counter", "elias_messages_delivered_total", "messages delivered, since the ledger began", ("target",)
)
DEAD = Family("gauge", "elias_messages_dead", "messages that were given up, and may be sent again", ("target",))
BREAKER = Family("gauge", "elias_messages_breaker_open", "1: the target is left alone", ("target",))

FAMILIES = (JOBS, APPS, APPS_BROKEN, WAITING, IN_FLIGHT, DELIVERED, DEAD, BREAKER)

_OF_TARGETS = ((WAITING, "waiting"), (IN_FLIGHT, "in_flight"), (DELIVERED, "delivered"))


def lines(scrape: Scrape) -> Iterator[str]:
    yield from JOBS.of({(state,): count for state, count in _jobs(scrape).items()})
    uam = scrape.views.get("uam", {})
    yield from APPS.of(Counter((str(app["status"]),) for app in uam.get("apps", ())))
    yield from APPS_BROKEN.one(bool(uam["problem"]) if "problem" in uam else None)
    ucm = scrape.views.get("ucm", {})
    targets: list[dict[str, Any]] = ucm.get("targets", [])
    for family, key in _OF_TARGETS:
        yield from family.of({(target["name"],): target[key] for target in targets})
    dead = Counter(str(letter["target"]) for letter in ucm.get("dead", ()))
    yield from DEAD.of({(target["name"],): dead[target["name"]] for target in targets})
    yield from BREAKER.of({(target["name"],): target["breaker"] == "open" for target in targets})


def _jobs(scrape: Scrape) -> dict[str, int]:
    ufm, urm = scrape.views.get("ufm", {}).get("jobs"), scrape.views.get("urm")
    found = {"waiting": len(ufm["waiting"]), "running": len(ufm["running"])} if ufm is not None else {}
    return found if urm is None else {"queued": urm["waiting"], **found}
