"""What `elias up` does from its start to its end: be the head of a cluster, or stand by for it.

Where the ledger is in PostgreSQL, several machines may run `elias up --head` on it. One is the head; the others are its
nodes until its lease runs out, and then one of them becomes the head, from the ledger. A head that was cut off and
comes back finds its term over, and stands by itself. Where the ledger is in SQLite this machine alone can be the head.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from federation.errors import EliasError, Refused, Temporary
from federation.ledger.headship import Headship, Incumbent, shared
from federation.runtime import discovery
from federation.runtime.cluster import Cluster, Member, port_of_head
from federation.runtime.credentials import token_file
from federation.runtime.invitation import Invitation
from federation.settings import Settings
from managers.uim import launch, membership, restarting
from managers.uim.launch import Say

LOOK = 0.5  # seconds between two looks at whether this machine is still what it was
PAUSE = 2.0  # seconds until what did not succeed is tried again
SOUND = 60.0  # seconds that a cluster has to have run for its end to be worth a new start
RENEWALS = 3  # of a lease, in the time that it lasts


def serve(settings: Settings, member: Member, say: Say, greet: Callable[[str], None]) -> None:
    """Until KeyboardInterrupt, which ends what runs here in order.

    greet: is told, once this machine serves as the head, with what to begin its words. Raises Refused and Temporary as
    `launch.up` does, and Refused where another machine is the head and this one cannot stand by; Again once what ran
    here has ended because it is to be started anew.
    """
    while True:
        with launch.keeping(settings) as alone:
            if alone and (found := Cluster.attach(settings.state)) is None:
                return _keep(settings, member, say, greet)
            found = Cluster.attach(settings.state)
            if found is not None and not found.dashboard and member.port and shared(settings.ledger_url):
                say(f"this machine stands by already; the head is at {found.address}")
                return
            if found is not None:
                launch.up(settings, say)
                greet("ELIAS runs already")
                return
        time.sleep(LOOK)  # another process starts it just now


def _keep(settings: Settings, member: Member, say: Say, greet: Callable[[str], None]) -> None:
    headship = Headship.open(settings.ledger_url, settings.state, settings.ledger.lease)
    try:
        if headship is None:
            while _lead(settings, member, None, say, greet):
                pass
        else:
            _take_turns(settings, member, headship, say, greet)
    finally:
        if headship is not None:
            headship.close()


def enrol(settings: Settings, invitation: Invitation) -> None:
    """From now on this machine is of the cluster that the invitation is for, and can be its head. Raises Refused where
    it cannot."""
    if not shared(settings.ledger_url):
        what = "machines that take turns as the head share a ledger, and this one is in SQLite"
        cure = "set `ledger.url` to PostgreSQL on all of them; or `elias join` makes this machine a node"
        raise Refused("own-ledger", what, place="ledger.url", cure=cure)
    invitation.keep(settings.state)


def _take_turns(settings: Settings, member: Member, headship: Headship, say: Say, greet: Callable[[str], None]) -> None:
    address = f"{settings.ray.address}:{port_of_head(settings.ray)}"
    begun, going, served = time.monotonic(), True, restarting.RESUMED
    while going:
        try:
            term = headship.take(member.name, address)
            if term is None:
                going = _stand_by(settings, member, headship, say)
            else:
                with _renewed(headship, term, settings.ledger.lease, say) as hold:
                    going = _lead(settings, member, hold, say, greet)
            served = True
        except (Temporary, Refused) as error:
            if not served and time.monotonic() - begun < SOUND:
                raise  # somebody waits for it
            say(f"not yet: {error}")
            time.sleep(_margin(settings))


def _lead(settings: Settings, member: Member, hold: "_Hold | None", say: Say, greet: Callable[[str], None]) -> bool:
    """Be the head until that ends; True: there is reason to try again. hold: on the headship; None: it is nobody
    else's."""
    running = launch.up(settings, say, member=member, term=hold.term if hold else 0)
    if running is None:
        greet("ELIAS runs already")
        return False
    begun, wanted = time.monotonic(), None
    folder = settings.state / "nodes" / (member.name or socket.gethostname())
    try:
        greet("ELIAS is up")
        say("Ctrl-C drains and ends it")
        with _findable(settings, running.cluster, say):
            while running.cluster.alive() and not _is_lost(settings, running.cluster, hold):
                if wanted is not None:
                    raise restarting.Again  # its agent has had the time to say that the order is taken
                wanted = restarting.take(folder)
                time.sleep(LOOK)
    except BaseException:
        say("draining")
        running.drain()
        raise
    running.end()
    if hold is not None and hold.lost.is_set():
        say("another machine has become the head; this one stands by")
    elif time.monotonic() - begun < SOUND:
        raise Temporary(f"Ray ended soon after its start; {settings.state / 'logs'} may say why")
    else:
        say("Ray has ended; starting it again")
    return True


@contextmanager
def _findable(settings: Settings, cluster: Cluster, say: Say) -> Iterator[None]:
    """Within, the head of this cluster is found on its network, where the settings want that."""
    with ExitStack() as stack:
        if settings.ray.discoverable and not settings.ray.loopback:
            token = token_file(settings.state).read_text().strip()
            try:
                stack.enter_context(discovery.answering(token, settings.ray.address, cluster.address))
            except OSError as error:
                say(f"`elias join --discover` does not find this head: {error.strerror or error}")
        yield


def _is_lost(settings: Settings, cluster: Cluster, hold: "_Hold | None") -> bool:
    """Whether the term is over: by the word of the database, or where that is away for longer than the lease, for
    another machine serves as the head. Its jobs would run beside ours."""
    if hold is None or hold.lost.is_set():
        return hold is not None
    away = hold.away()
    if away > settings.ledger.lease and membership.another_answers(settings, cluster.address):
        hold.lost.set()
    return hold.lost.is_set()


def _stand_by(settings: Settings, member: Member, headship: Headship, say: Say) -> bool:
    """Be a node of the cluster whose head another machine is, until it is so no more; False: this one has left."""
    head, database = headship.incumbent(), _Database(say)
    calm = 0.0  # since when the database has answered at once (monotonic, s)

    def over() -> bool:
        nonlocal calm
        begun = time.monotonic()
        try:
            now = headship.incumbent()
        except EliasError as error:
            database.away("who is the head is not known now", error)
            calm = math.inf
            return False
        database.back()
        if time.monotonic() - begun > LOOK or calm == math.inf:
            calm = time.monotonic()
        if (now.term, now.address) != (head.term, head.address):
            return True
        # After an outage the head has to be given the time to renew its lease.
        return not now.held and time.monotonic() - calm > _margin(settings)

    say(f"{head.name} is the head, at {head.address}; this machine stands by")
    return not membership.stay(settings, _invitation(settings, head), member, say, over)


def _margin(settings: Settings) -> float:
    """Seconds in which a head that can renew its lease has done so."""
    return settings.ledger.lease / RENEWALS + PAUSE


def _invitation(settings: Settings, head: Incumbent) -> Invitation:
    if head.address.startswith("127.") or settings.ray.loopback:
        what = f"{head.name} keeps this ledger, and machines that take turns have to reach one another"
        raise Refused("another-head", what, cure="`elias up --head` on both")
    if not token_file(settings.state).exists():
        what = f"{head.name} is the head, and this machine has no token of its cluster"
        cure = "`elias invite FILE` there, copy the file here, `elias up --head --token-file FILE`"
        raise Refused("no-token", what, cure=cure)
    return Invitation.to(head.address, settings.state)


class _Hold:
    """On the headship for a term. lost: the term is over."""

    def __init__(self, term: int) -> None:
        self.term, self.lost = term, threading.Event()
        self._renewed = time.monotonic()

    def renewed(self) -> None:
        self._renewed = time.monotonic()

    def away(self) -> float:
        """Seconds since it was renewed."""
        return time.monotonic() - self._renewed


@contextmanager
def _renewed(headship: Headship, term: int, lease: float, say: Say) -> Iterator[_Hold]:
    """Renew the lease of a term, and give it back at the end.

    A database that does not answer ends no term by itself. Who has it is fenced there, and without it nobody appends or
    acts: to end a head for that would end the jobs of the cluster as well.
    """
    hold, enough, database = _Hold(term), threading.Event(), _Database(say)

    def renew() -> None:
        while not enough.wait(lease / RENEWALS):
            try:
                if not headship.renew(term):
                    hold.lost.set()
                    return
                hold.renewed()
                database.back()
            except EliasError as error:
                database.away("the lease of the head is not renewed", error)

    thread = threading.Thread(target=renew, name="headship", daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        enough.set()
        thread.join(lease)
        if not (hold.lost.is_set() or thread.is_alive()):
            try:
                headship.release(term)
            except EliasError as error:
                say(f"another machine has to wait for the end of the lease: {error}")


class _Database:
    """Says once that it is away, and once that it is back."""

    def __init__(self, say: Say) -> None:
        self._say, self._away = say, False

    def away(self, meaning: str, error: EliasError) -> None:
        if not self._away:
            self._say(f"{meaning}: {error}")
        self._away = True

    def back(self) -> None:
        if self._away:
            self._say("the database answers again")
        self._away = False
