"""Events that flow while something is killed, and what has to be on record afterwards."""

import http.client
import threading

from benchmarks.running import Running
from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.records import Kind
from tests.e2e.asking import sample
from tests.e2e.waiting import until


class Flow(threading.Thread):
    """Posts events one after the other and notes what was acknowledged; an unanswered one is sent again."""

    def __init__(self, elias: Running, tag: str) -> None:
        super().__init__(daemon=True)
        self.elias, self.tag = elias, tag
        self.acknowledged: dict[str, str] = {}
        self.stopping = False

    def run(self) -> None:
        connection = self.elias.connect()
        at = 0
        while not self.stopping:
            event = sample(f"{self.tag}-{at}", f"{self.tag}-{at % 7}")
            try:
                status, answer = self.elias.request("POST", "/v1/events", event, connection)
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                connection = self.elias.connect()
                continue
            if status in (200, 202):
                self.acknowledged[event["id"]] = answer["decisions"][0]["id"]
                at += 1
            else:
                assert status == 503, answer
        connection.close()

    def finish(self, more: int = 20) -> dict[str, str]:
        """Stops once `more` further events were acknowledged."""
        goal = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= goal)
        self.stopping = True
        self.join()
        return self.acknowledged


def pid_of(elias: Running, name: str) -> int:
    def pid() -> int:
        _, answer = elias.get("/v1/managers")
        members = answer["members"] if isinstance(answer, dict) and "members" in answer else answer
        members = members["managers"] if isinstance(members, dict) else members
        return next((m["pid"] for m in members if m["name"] == name), 0)

    return until(pid)


def members(elias: Running) -> dict[str, int]:
    """The pid of every process."""
    _, answer = elias.get("/v1/managers")
    return {m["name"]: m["pid"] for m in answer["members"] if m["pid"]}


def check(elias: Running, acknowledged: dict[str, str], ledger: str = "") -> None:
    """ledger: its URL; by default that of a new ELIAS."""
    store = Store.open(ledger or f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        for event, decision in acknowledged.items():
            kinds = [r.header.kind for r in store.decision(decision)]
            assert kinds[:1] == [Kind.ASKED], event
            assert kinds.count(Kind.ASKED) == 1, event
            assert kinds.count(Kind.ANSWERED) <= 1, event
        assert verify(store)
    finally:
        store.close()
