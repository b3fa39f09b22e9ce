"""The Redis that the settings name, as whoever looks after what Ray keeps there reaches it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import msgspec

from federation.errors import Refused, Temporary
from federation.runtime.settings import RedisSettings

if TYPE_CHECKING:
    from redis import Redis

PATIENCE = 2.0  # seconds for a connection, and for each reply
_PASSWORD = 4 << 10  # bytes of a file with a password


class Server(msgspec.Struct, frozen=True):
    """A Redis as the settings name it; the password is in its file alone. Empty: there is no such file."""

    url: str
    password_file: str = ""
    ca_file: str = ""

    @classmethod
    def of(cls, settings: RedisSettings) -> Self:
        return cls(settings.url, str(settings.password_file or ""), str(settings.ca_file or ""))

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.url).username or "")

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "rediss"

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def authorities(self) -> str:
        """File of the certificates that the server's is checked against; empty: this machine has none."""
        return self.ca_file or ssl.get_default_verify_paths().cafile or ""

    def password(self) -> str:
        """Empty: there is none. Raises Refused where its file cannot be read, or is empty."""
        if not self.password_file:
            return ""
        cure = "correct `ray.redis.password_file`, or write the password into that file"
        try:
            with Path(self.password_file).open("rb") as file:
                found = file.read(_PASSWORD).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise Refused("redis-password", why, place=self.password_file, cure=cure) from None
        if not found:
            raise Refused("redis-password", "it is empty", place=self.password_file, cure=cure)
        return found

    @contextmanager
    def connected(self, *, login: bool = True) -> Iterator["Redis"]:
        """It answers. Raises Temporary where nothing does, or what is no Redis; Refused where it does not let us in.
        login: as the settings say; else as anybody who comes."""
        import redis  # noqa: PLC0415  a fifth of a second, for a cluster that has one
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        password = self.password() if login else ""
        client = redis.Redis(
            self.host,
            self.port,
            username=(self.user or None) if password else None,
            password=password or None,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            ssl=self.tls,
            ssl_ca_certs=self.ca_file or None,
            protocol=2,  # in which a server without a password says so to who names one
        )
        try:
            with client:
                client.ping()
                yield client
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
            cure = "correct the user in `ray.redis.url`, or the password in `ray.redis.password_file`"
            raise Refused("redis-password", f"it does not let us in: {error}", place=self.place, cure=cure) from None
        except redis.ResponseError as error:
            raise Refused("redis", str(error), place=self.place, cure="see the log of that Redis") from None
        except redis.exceptions.InvalidResponse:
            raise Temporary(f"what answers at {self.place} is no Redis") from None
        except (redis.RedisError, OSError) as error:
            raise Temporary(f"the Redis at {self.place} does not answer: {error}") from None
