"""Carries a schedule out on a site, and brings the history home."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

from federation.errors import EliasError
from federation.ledger.store import Store
from federation.ledger.verify import verify
from tests.chaos.clients import Client, clients
from tests.chaos.history import CERTAIN, History, Note, Struck, World, notes
from tests.chaos.kinds import HOSTS
from tests.chaos.schedule import Fault
from tests.chaos.site import Site
from tests.chaos.strikes import STRIKES, AwayError, Strike
from tests.nodes.hosts import heard

AWAY = 10.0  # seconds in which whom a fault is to strike may come back
LOOK = 0.2
WELL = 120.0  # seconds in which everything has to run again after the last fault
MORE = 5  # requests of each client that are answered after the last fault

Say = Callable[[str], None]


def run(site: Site, faults: Sequence[Fault], say: Say) -> History:
    """Until all faults are over and everything is well again, or has had the time to be. The site has ended then."""
    return _Run(site, say).carry_out(faults)


class _Run:
    def __init__(self, site: Site, say: Say) -> None:
        self._site, self._say = site, say
        self._begun = time.monotonic()
        self._strikes = list[Struck]()
        self._failed = list[str]()
        self._cut_short = threading.Event()

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def carry_out(self, faults: Sequence[Fault]) -> History:
        asking = clients(self._site, self._now)
        for client in asking:
            client.start()
        first = faults[0].start if faults else 0.0
        _await(lambda: all(_answered(client) for client in asking), WELL)
        begun = self._now()
        at_work = [threading.Thread(target=self._guarded, args=(fault,)) for fault in faults]
        try:
            for fault, thread in zip(faults, at_work, strict=True):
                time.sleep(max(0.0, begun + fault.start - first - self._now()))
                thread.start()
        except BaseException:
            self._cut_short.set()
            raise
        finally:
            for thread in at_work:
                if thread.ident:
                    thread.join()
        unwell = self._settled(asking)
        for client in asking:
            client.end()
        for client in asking:
            client.join()
        return self._history(asking, unwell)

    def _guarded(self, fault: Fault) -> None:
        try:
            self._strike(fault)
        except Exception as error:  # whatever a fault meets, the others go on, and it is told
            self._failed.append(f"fault {fault.number} could not be carried out: {error!r}")
            self._say(f"{fault}: {error!r}")

    def _strike(self, fault: Fault) -> None:
        strike = STRIKES[fault.kind](self._site, fault)
        whom = self._found(strike)
        began = self._now()
        if whom:
            strike.begin()
            try:
                self._cut_short.wait(fault.lasts)
            finally:
                strike.end()
        missed = "" if whom else "it was not there"
        self._strikes.append(Struck(fault, began, self._now(), whom, missed))
        self._say(f"{fault}: {whom or missed}")

    def _found(self, strike: Strike) -> str:
        """Whom it is to strike, once that is there; nobody: it does not come."""
        until = self._now() + AWAY
        while True:
            try:
                return strike.find()
            except AwayError:
                if self._now() > until or self._cut_short.wait(LOOK):
                    return ""

    def _settled(self, asking: Sequence[Client]) -> str:
        """What is not well once there was time for it."""
        if self._failed:
            return "; ".join(self._failed)
        goals = {client: _answered(client) + MORE for client in asking if client.part != "jobs"}
        if not _await(lambda: all(_answered(client) >= goal for client, goal in goals.items()), WELL):
            away = [client.part for client, goal in goals.items() if _answered(client) < goal]
            return f"{', '.join(away)} did not answer {MORE} requests within {WELL:g} s"
        if not _await(self._site.head.ready, WELL):
            return f"it is not ready after {WELL:g} s"
        if not _await(lambda: heard(self._site.head) == set(HOSTS), WELL):
            return f"after {WELL:g} s nothing is heard of {', '.join(sorted(set(HOSTS) - heard(self._site.head)))}"
        return ""

    def _history(self, asking: Sequence[Client], unwell: str) -> History:
        requests = sorted((r for client in asking for r in client.requests), key=lambda request: request.began)
        strikes = sorted(self._strikes, key=lambda strike: strike.began)
        self._site.end()  # from now on nothing moves: ledger and world are of one moment
        ledger, damage = _read(self._site.url)
        world = World(dict(Counter(self._site.world.read_text().split())), dict(self._site.sink.messages))
        return History(requests, strikes, ledger, world, damage, unwell)


def _read(url: str) -> tuple[list[Note], str]:
    """The whole ledger, and what is wrong with it."""
    try:
        with closing(Store.open(url, read_only=True)) as store:
            report = verify(store)
            return list(notes(store)), "" if report else str(report)
    except EliasError as error:
        return [], str(error)


def _answered(client: Client) -> int:
    return sum(request.result == CERTAIN for request in list(client.requests))


def _await(look: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(LOOK)
    return seen
