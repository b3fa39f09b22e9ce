"""A PostgreSQL for tests: the Debian package, installed where it is missing, a server of our own on a free port."""

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
import pytest

from tests.ports import free_port

_numbers = itertools.count()


class Postgres:
    """A server of our own on a free port, run by an unprivileged user (initdb refuses root)."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        if self.user is not None:
            shutil.chown(folder, self.user)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=elias", "--encoding=UTF8", "--locale=C")

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A started server in a temporary folder; both are gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="elias-postgres-"))
        server = cls(installed_binaries(), folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "--wait", "--silent", f"--log={self.folder}/log", f"--options={options}", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--silent", "--mode=fast", "stop")

    def execute(self, statement: str) -> None:
        """As the superuser, outside of any transaction."""
        connection = pg8000.dbapi.connect("elias", host="127.0.0.1", port=self.port, database="postgres")
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def new_url(self) -> str:
        name = f"ledger{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://elias@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), f"--pgdata={self.folder}/data", *arguments]
        # To a file: the server keeps what it inherits open, and a pipe would never end.
        with (self.folder / "out").open("w+") as out:
            done = subprocess.run(command, user=self.user, cwd="/", stdout=out, stderr=out, check=False)
            out.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{out.read()}"


def installed_binaries() -> Path:
    if not (found := _installed()):
        if os.geteuid() != 0:
            pytest.fail("PostgreSQL is not installed, and only root may: `apt-get install postgresql`, then try again")
        # Nobody asked for a server of the system's own beside ours.
        settings = Path("/etc/postgresql-common/createcluster.conf")
        settings.parent.mkdir(exist_ok=True)
        if not settings.exists():
            settings.write_text("create_main_cluster = false\n")
        install = [
            "apt-get",
            "-y",
            "--no-install-recommends",
            "-o",
            "Dpkg::Options::=--force-confold",
            "install",
            "postgresql",
        ]
        for command in (["apt-get", "update"], install):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.fail(
                    f"PostgreSQL could not be installed: `{' '.join(command)}` said\n{done.stdout}{done.stderr}"
                )
        found = _installed()
    return found[-1].parent


def _installed() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
