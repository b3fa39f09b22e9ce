"""The Redis that Ray's control store is in, where the settings name one."""

from collections.abc import Iterator
from typing import NamedTuple

from federation.errors import EliasError, Refused
from federation.runtime.redis import Server
from federation.runtime.settings import RedisSettings
from managers.uim.doctor.finding import ERROR, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("redis.sound", OK, "the Redis of Ray's control store lets ELIAS in, and nobody without a password")
AWAY = Code(
    "redis.away",
    WARNING,
    "the Redis of Ray's control store cannot be used: a control store that ends now waits for it, and the next start"
    " does without",
    "see that it runs, that `ray.redis.url` is right, and that no firewall is in between",
)
OPEN = Code(
    "redis.open",
    ERROR,
    "other machines reach the Redis of Ray's control store, and it asks for no password: who writes there commands"
    " every node",
    "set `requirepass` there, or a password for every user that is on; write it into `ray.redis.password_file`",
)
UNUSED = Code(
    "redis.unused",
    WARNING,
    "Ray's control store is in memory: when ELIAS was started, its Redis could not be used",
    "`elias down`, then `elias up`, when the jobs that run may end",
)


class Seen(NamedTuple):
    """problem, cure: why it cannot be used; empty: it can. anybody: it answers those who name no password. used: by the
    Ray that runs here; None: none does."""

    place: str
    loopback: bool
    problem: str = ""
    cure: str = ""
    anybody: bool = False
    used: bool | None = None


def check(here: Here) -> Iterator[Finding]:
    if here.settings.ray.redis.url:
        used = here.session.store is not None if here.session is not None and here.runs else None
        yield from judge(observe(here.settings.ray.redis)._replace(used=used))


def observe(settings: RedisSettings) -> Seen:
    server = Server.of(settings)
    seen = Seen(server.place, settings.loopback, anybody=_answers_anybody(server))
    try:
        with server.connected():
            pass
    except Refused as error:
        return seen._replace(problem=error.message, cure=error.cure)
    except EliasError as error:
        return seen._replace(problem=str(error))
    return seen


def _answers_anybody(server: Server) -> bool:
    """Whether whoever comes may see what is in it."""
    try:
        with server.connected(login=False) as redis:
            redis.dbsize()
    except EliasError:
        return False
    return True


def judge(seen: Seen) -> Iterator[Finding]:
    found = list(_judge(seen))
    yield from found or [SOUND.found("it answers", seen.place)]


def _judge(seen: Seen) -> Iterator[Finding]:
    if seen.anybody and not seen.loopback:
        yield OPEN.found("it answers without a password", seen.place)
    elif seen.problem:
        yield AWAY.found(seen.problem, seen.place, seen.cure)
    if seen.used is False:
        yield UNUSED.found("the control store that runs is in memory", seen.place)
