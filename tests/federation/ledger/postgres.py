"""A PostgreSQL for tests: Debian's programs, a server of our own on a free port."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pg8000.dbapi

from tests import programs
from tests.ports import free_port

_numbers = itertools.count()


class Postgres:
    """A server of our own on a free port, run by an unprivileged user (initdb refuses root)."""

    def __init__(self, binaries: Path, folder: Path, address: str = "127.0.0.1") -> None:
        """address: at which it listens; whoever reaches it there is let in."""
        self.binaries = binaries
        self.folder = folder
        self.address = address
        self.user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        if self.user is not None:
            shutil.chown(folder, self.user)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=elias", "--encoding=UTF8", "--locale=C")
        if address != "127.0.0.1":
            with (folder / "data" / "pg_hba.conf").open("a") as file:
                file.write("host all all samenet trust\n")

    @classmethod
    @contextmanager
    def running(cls, address: str = "127.0.0.1") -> Iterator[Self]:
        """A started server in a temporary folder; both are gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="elias-postgres-"))
        server = cls(programs.postgres(), folder, address)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses={self.address} -c fsync=off"
        self._run("pg_ctl", "--wait", "--silent", f"--log={self.folder}/log", f"--options={options}", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--silent", "--mode=fast", "stop")

    def execute(self, statement: str) -> None:
        """As the superuser, outside of any transaction."""
        connection = pg8000.dbapi.connect("elias", host=self.address, port=self.port, database="postgres")
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def new_url(self) -> str:
        name = f"ledger{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://elias@{self.address}:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), f"--pgdata={self.folder}/data", *arguments]
        # To a file: the server keeps what it inherits open, and a pipe would never end.
        with (self.folder / "out").open("w+") as out:
            done = subprocess.run(command, user=self.user, cwd="/", stdout=out, stderr=out, check=False)
            out.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{out.read()}"
