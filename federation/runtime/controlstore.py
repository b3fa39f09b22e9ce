"""Ray's control store in Redis: whom its processes are started for, and that it is started again where it ends.

Ray reads all that it knows of a cluster from there when its control store starts. So no two Rays may ever share a
namespace: each start takes one that nobody had before, and clears those of the same cluster that came before it. Its
name has the term of the headship: a head that was cut off never clears what its successor keeps.
"""

import hashlib
import os
import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from federation.errors import EliasError
from federation.runtime.redis import Server
from federation.runtime.settings import RedisSettings

if TYPE_CHECKING:
    from redis import Redis

STORE = "ELIAS_STORE"
"""Environment variable of who starts Ray: where its control store is to be."""

KEPT = b"elias.redis"
"""Key of Ray's own store, there where it is in Redis: a machine that joins learns so that it has to be patient."""

PATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
"""Environment of every process of such a cluster: its control store may be away for ten minutes, in which a Redis is
started anew or fails over. After the minute that Ray gives it the jobs of all nodes would end."""

_EACH = 1000  # keys that one look goes through
_NAMESPACE = re.compile(r"elias-(?P<cluster>[0-9a-f]{16})-(?P<term>\d{1,18})-[0-9a-f]{8}")


class Store(msgspec.Struct, frozen=True):
    """Where one Ray keeps what it knows: a namespace in a Redis. There is no secret in it."""

    server: Server
    namespace: str

    @classmethod
    def new(cls, settings: RedisSettings, token: Path, term: int) -> Self:
        """Of the cluster whose machines have this token, as nobody else has it."""
        cluster = hashlib.sha256(b"control store\n" + token.read_bytes().strip()).hexdigest()[:16]
        return cls(Server.of(settings), f"elias-{cluster}-{term}-{secrets.token_hex(4)}")

    @classmethod
    def handed(cls) -> Self | None:
        """To this process, by whoever started it; its children do not learn of it."""
        said = os.environ.pop(STORE, "")
        return msgspec.json.decode(said, type=cls) if said else None

    def handing(self) -> dict[str, str]:
        return {STORE: msgspec.json.encode(self).decode(), **PATIENT}

    def begin(self) -> None:
        """Clear what older Rays of this cluster have left. Raises Refused and Temporary where Redis cannot be used."""
        with self.server.connected() as redis:
            _clear(redis, f"RAY{self.namespace.rpartition('-')[0].rpartition('-')[0]}-*", self.outlives)

    def clear(self) -> None:
        """Raises as `begin`."""
        with self.server.connected() as redis:
            _clear(redis, f"RAY{self.namespace}@*", lambda namespace: namespace == self.namespace)

    def outlives(self, namespace: str) -> bool:
        """Whether that is of an older Ray of this cluster: of a term before, or of this one and not this."""
        ours, theirs = _NAMESPACE.fullmatch(self.namespace), _NAMESPACE.fullmatch(namespace)
        if ours is None or theirs is None or ours["cluster"] != theirs["cluster"] or namespace == self.namespace:
            return False
        return int(theirs["term"]) <= int(ours["term"])

    def flags(self) -> list[str]:
        """Of Ray's control store. Others of the machine see them, so the password is not among them."""
        server = self.server
        named = {"redis_address": server.host, "redis_port": server.port, "redis_enable_ssl": str(server.tls).lower()}
        named |= {"redis_username": server.user} if server.user else {}
        named |= {"fromenv": "redis_password"} if server.password_file else {}
        return [f"--{name}={value}" for name, value in named.items()]

    def environment(self) -> dict[str, str]:
        """Of Ray's control store alone. Raises Refused as `Server.password`."""
        found = {"RAY_external_storage_namespace": self.namespace}
        if password := self.server.password():
            found["FLAGS_redis_password"] = password
        if self.server.tls:
            found["RAY_REDIS_CA_CERT"] = self.server.authorities
        return found


def begun(settings: RedisSettings, token: Path, term: int, say: Callable[[str], None]) -> Store | None:
    """For a Ray that is about to start. None: in memory, as no Redis is set, or this one cannot be used now: to be
    without a head would be worse."""
    if not settings.url:
        return None
    store = Store.new(settings, token, term)
    try:
        store.begin()
    except EliasError as error:
        say(f"Ray keeps its control store in memory this time: {error}")
        return None
    return store


class Kept:
    """A process that is started again where it ends unasked. It stands in for its Popen before Ray, which looks each
    second whether it lives, and would end all others with it."""

    def __init__(self, process: "subprocess.Popen[bytes]", again: "Callable[[], subprocess.Popen[bytes]]") -> None:
        self._process, self._again, self._ending = process, again, False

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is None or self._ending:
            return code
        print(f"the control store ended ({code}), and is started again", flush=True)
        self._process = self._again()
        return None

    def terminate(self) -> None:
        self._ending = True
        self._process.terminate()

    def kill(self) -> None:
        self._ending = True
        self._process.kill()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)


def _clear(redis: "Redis", pattern: str, wanted: Callable[[str], bool]) -> None:
    for key in redis.scan_iter(pattern, count=_EACH):
        if wanted(_namespace(key)):
            redis.unlink(key)


def _namespace(key: bytes) -> str:
    """Of a key that Ray has made: `RAY<namespace>@<table>`."""
    return key.decode(errors="replace").removeprefix("RAY").partition("@")[0]
