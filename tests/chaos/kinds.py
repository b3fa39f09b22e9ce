"""The kinds of faults: what each does, to whom, for how long, and how soon ELIAS has to be back."""

from dataclasses import dataclass

from benchmarks.load import MANAGERS

HEAD = "host1"
NODES = ("host2", "host3")
HOSTS = (HEAD, *NODES)
DATABASE = "database"

PARTS = (*MANAGERS, "gate")
"""Whom the clients ask, each without end: so it is seen which part is back, and when."""

SHARED = ("appender", "uim")
"""Without the log, or without the API, no part can answer."""

ROOT = "root"
"""Whoever is away comes back by it."""

ACTORS = (*PARTS, "appender", "policy", ROOT)

BACK_AFTER_KILL, BACK_AFTER_NODE, BACK_AFTER_HANG = 2.5, 5.0, 10.0
"""Seconds that managers may take: from the kill of an actor, from that of a node, from when one of either hangs."""

FOUND_HUNG = 8.0
"""Seconds after which a process that hangs has been replaced: `supervision.heartbeat` and `hung_after`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """words: what it does; `{target}` and `{size}` are those of the fault. share: of all faults, by weight. lasts:
    seconds, from and to. rest: seconds after its end in which its target is left alone, until it is well again. size:
    the largest, either way. alone: seconds from its begin in which no other begins: it takes everything with it.
    bound: seconds in which the managers have to be back; 0: none is promised. outage: with these targets nothing can be
    decided while it lasts, so times count from its end. aspect: what of its target it has in hand, if not all of it.
    slow: it takes effect by and by, so nobody is back before its end.
    """

    words: str
    share: int
    targets: tuple[str, ...]
    lasts: tuple[float, float] = (0.0, 0.0)
    rest: float = 10.0
    size: float = 0.0
    alone: float = 0.0
    bound: float = 0.0
    outage: tuple[str, ...] = ()
    aspect: str = ""
    slow: bool = False

    def keeps(self, target: str) -> str:
        """What no two faults may have in hand at a time."""
        return f"{self.aspect} of {target}" if self.aspect and target in HOSTS else target


KINDS = {
    "kill": Kind("kill -9 of {target}", 470, ACTORS, bound=BACK_AFTER_KILL),
    "kill-agent": Kind("kill -9 of the agent on {target}", 70, HOSTS, bound=BACK_AFTER_KILL),
    "pause": Kind("SIGSTOP of {target}", 110, ACTORS, (0.5, 9.0), bound=BACK_AFTER_HANG),
    "kill-node": Kind(
        "kill -9 of all processes on {target}, which joins again", 20, NODES, (0.0, 4.0), 30.0, bound=BACK_AFTER_NODE
    ),
    "hang-node": Kind("SIGSTOP of all processes on {target}", 25, NODES, (1.0, 15.0), 30.0, bound=BACK_AFTER_HANG),
    "hang-head": Kind("SIGSTOP of all processes on {target}", 15, (HEAD,), (0.5, 4.0), 20.0, outage=(HEAD,)),
    "cut-node": Kind("no packet comes to or from {target}", 40, NODES, (1.0, 12.0), 30.0, bound=BACK_AFTER_HANG),
    "cut-pair": Kind("host2 and host3 do not reach each other", 20, ("pair",), (1.0, 15.0)),
    "cut-database": Kind("the head does not reach the database", 30, (DATABASE,), (0.5, 8.0), 5.0, outage=(DATABASE,)),
    "restart-database": Kind("the database crashes, and is started", 50, (DATABASE,), rest=5.0, outage=(DATABASE,)),
    "pause-database": Kind("SIGSTOP of the database", 50, (DATABASE,), (0.5, 6.0), 5.0, outage=(DATABASE,)),
    "slow-disk": Kind(
        "the disk of {target} takes writes a quarter of the time", 50, (DATABASE, *HOSTS), (1.0, 6.0),
        outage=(DATABASE, HEAD), aspect="disk",
    ),
    "full-disk": Kind(
        "the disk of {target} is full", 50, (DATABASE, *HOSTS), (2.0, 8.0), outage=(DATABASE,), aspect="disk"
    ),
    "clock": Kind(
        "the clock of {target} is off by {size:+.1f} s", 30, HOSTS, (5.0, 30.0), size=90.0,
        aspect="clock",
    ),
    "control-store": Kind("kill -9 of Ray's control store", 5, (HEAD,), rest=90.0, alone=40.0, slow=True),
}  # fmt: skip
