"""A Redis for tests: Debian's program, a server of our own on a free port, with a password."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from federation.errors import Refused, Temporary
from federation.runtime.certificates import Authority
from federation.runtime.redis import Server
from federation.runtime.settings import RedisSettings
from tests import programs
from tests.e2e.waiting import until
from tests.ports import free_port

PASSWORD = "planted-redis-password"
USER = "ray"
RIGHTS = "resetchannels ~RAYelias-* ~DUMMY +@read +@write +@connection -@dangerous +info"
"""What Ray and ELIAS need, and nothing else: docs/nodes.md gives it to people."""


class RedisServer:
    """It keeps what it was told when it is killed. address: at which it listens."""

    def __init__(
        self, folder: Path, address: str = "127.0.0.1", *, tls: bool = False, password: str = PASSWORD
    ) -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        port = [f"port {self.port}"]
        if tls:
            Authority.made().issue(folder, address)
            files = [f"tls-cert-file {folder}/cert.pem", f"tls-key-file {folder}/key.pem"]
            port = [
                "port 0",
                f"tls-port {self.port}",
                "tls-auth-clients no",
                *files,
                f"tls-ca-cert-file {folder}/ca.pem",
            ]
        users = (
            [f"requirepass {password}", f"user {USER} on >{password} {RIGHTS}"] if password else ["protected-mode no"]
        )
        lines = [f"bind {address}", *port, f"dir {folder}", "appendonly yes", 'save ""', *users]
        (folder / "redis.conf").write_text("\n".join(lines) + "\n")
        (folder / "redis.conf").chmod(0o600)
        secret = folder / "password"
        secret.write_text(password + "\n")
        secret.chmod(0o600)
        self.settings = RedisSettings(
            url=f"{'rediss' if tls else 'redis'}://{USER}@{address}:{self.port}",
            password_file=secret,
            ca_file=folder / "ca.pem" if tls else None,
        )

    @classmethod
    @contextmanager
    def running(cls, address: str = "127.0.0.1", *, tls: bool = False, password: str = PASSWORD) -> Iterator[Self]:
        """A started server in a temporary folder; both are gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="elias-redis-"))
        server = cls(folder, address, tls=tls, password=password)
        server.start()
        try:
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [programs.program("redis-server"), str(self.folder / "redis.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until(self._answers)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def namespaces(self) -> set[str]:
        """Of all Rays that have something here."""
        with Server.of(self.settings).connected() as redis:
            return {key.decode().partition("@")[0].removeprefix("RAY") for key in redis.scan_iter()}

    def lines(self) -> str:
        """Of `elias.yaml`."""
        said = self.settings
        more = f"    ca_file: {said.ca_file}\n" if said.ca_file else ""
        return f"  redis:\n    url: {said.url}\n    password_file: {said.password_file}\n{more}"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            with Server.of(self.settings).connected(login=False):
                return True
        except Refused:
            return True
        except Temporary:
            return False
