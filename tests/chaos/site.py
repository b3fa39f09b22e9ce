"""The cluster that is struck: three hosts in network namespaces of this machine, their ledger in a PostgreSQL that is
on none of them, each with a disk and a clock of its own. Whoever ends there is started again, as systemd would.
"""

import http.client
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pg8000.dbapi
import psutil

from benchmarks import load
from benchmarks.running import exchange
from federation.clock import SECOND
from tests import programs
from tests.chaos.kinds import DATABASE, HEAD, HOSTS
from tests.e2e.waiting import until
from tests.federation.ledger.postgres import Postgres
from tests.nodes.hosts import Connection, Host, heard, network

DISK, LARGE_DISK = 400, 4000  # MB, of a host and of the database; only what is written is taken
AGAIN = 1.0  # seconds until what has ended is started again
WINDOW = 5.0  # seconds; the parts take turns, so that every kill is the first one in its supervisor's window
SETTINGS = """
supervision:
  window: {window}
ledger:
  url: {url}
  tick: 2s
targets:
  sink:
    kind: webhook
    url: http://{address}:{port}/
"""
CLOCK = Path(__file__).parent / "clock"


class Disk:
    """A file system of its own, in a file."""

    def __init__(self, place: Path, size: int) -> None:
        """size: MB."""
        self.place = place
        place.mkdir(parents=True)
        image = place.with_name(f"{place.name.strip('.')}.img")
        with image.open("wb") as file:
            file.truncate(size << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(place))
        shutil.rmtree(place / "lost+found")
        place.chmod(0o755)

    def close(self) -> None:
        _run("umount", "--lazy", str(self.place))

    def fill(self) -> None:
        """To the last byte."""
        with suppress(OSError), self._filler.open("wb") as file:
            free = os.statvfs(self.place)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
        with suppress(OSError), self._filler.open("ab") as file:
            while True:
                os.write(file.fileno(), bytes(4096))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.place / "filler"


class Database(Postgres):
    """A PostgreSQL that can be ended in the middle, and stopped."""

    def restart(self) -> None:
        self._run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")
        self.start()

    def recover(self) -> None:
        """Until it answers: without room for its log it ends, and begins again by itself or not."""
        until(self._answers)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pg8000.dbapi.Error:
            if not self._postmaster.exists():
                self.start()
            return False
        return True

    def processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int(self._postmaster.read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    @property
    def _postmaster(self) -> Path:
        return self.folder / "data" / "postmaster.pid"


class Keeper(threading.Thread):
    """Keeps one command running on a host, and starts it again where it ends; not while it is held down."""

    def __init__(self, site: "Site", host: Host, *words: str) -> None:
        super().__init__(daemon=True)
        self._site, self._host, self._words = site, host, words
        self._held, self._ended = threading.Event(), threading.Event()

    def run(self) -> None:
        with (self._host.folder / "elias.log").open("ab") as log:
            while not self._ended.is_set():
                if not self._held.is_set():
                    command = [*self._site.clock_of(self._host.name), *self._host.command(*self._words)]
                    self._process = subprocess.Popen(
                        command, cwd=self._host.folder, stdout=log, stderr=log, start_new_session=True
                    )
                    self._process.wait()
                self._ended.wait(AGAIN)

    def hold(self) -> None:
        """From now on nothing is started."""
        self._held.set()

    def release(self) -> None:
        self._held.clear()

    def end(self) -> None:
        """In order, as Ctrl-C does."""
        self._ended.set()
        with suppress(AttributeError, ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)


class Site:
    """folder: of everything that it needs. world: where jobs write, a line each time that one runs."""

    def __init__(self, folder: Path, hosts: list[Host], database: Database, disks: dict[str, Disk]) -> None:
        self.folder, self.database, self.disks = folder, database, disks
        self.hosts = {host.name: host for host in hosts}
        self.head = self.hosts[HEAD]
        self.url = database.new_url()
        self.world = folder / "jobs"
        self.world.touch()
        self.sink = _Sink((self.head.outside, 0), _Taken)
        self._ended = False
        self._pids = dict[str, int]()
        self._keepers = dict[str, Keeper]()
        self._wiring, self._cuts = threading.Lock(), Counter[tuple[str, str]]()
        for host in hosts:
            self._clock(host.name).write_bytes(bytes(8))

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        """With all nodes, ready; gone afterwards. Needs root."""
        with ExitStack() as stack:
            hosts = stack.enter_context(network(folder, len(HOSTS)))
            disks = {host.name: Disk(host.folder / ".elias", DISK) for host in hosts}
            disks[DATABASE] = Disk(stack.enter_context(_for_others()) / DATABASE, LARGE_DISK)
            for disk in disks.values():
                stack.callback(disk.close)
            database = Database(programs.postgres(), disks[DATABASE].place, hosts[0].outside)
            database.start()
            stack.callback(database.stop)
            site = cls(folder, hosts, database, disks)
            stack.callback(site.end)
            site.begin()
            yield site

    def begin(self) -> None:
        threading.Thread(target=self.sink.serve_forever, daemon=True).start()
        address, port = self.sink.server_address[:2]
        self.head.set(SETTINGS.format(window=WINDOW, url=self.url, address=address, port=port))
        (self.head.folder / "apps.yaml").write_text(load.APPS)
        self._keep(self.head, "up", "--head", "--name", HEAD)
        until(self.head.ready)
        invitation = self.folder / "cluster.join"
        self.head.done("invite", str(invitation))
        for host in self.hosts.values():
            if host is not self.head:
                self._keep(
                    host, "join", self.head.address, "-t", str(invitation), "--name", host.name, "--label", "worker"
                )
        until(lambda: heard(self.head) == set(HOSTS))

    def end(self) -> None:
        """The nodes first; then whatever is left. Their logs stay in the folder, in `logs`. Once."""
        if self._ended:
            return
        self._ended = True
        for keeper in reversed(self._keepers.values()):
            keeper.end()
        patience = time.monotonic() + 60
        while any(host.processes() for host in self.hosts.values()) and time.monotonic() < patience:
            time.sleep(0.2)
        for host in self.hosts.values():
            for process in host.processes():
                with suppress(psutil.Error):
                    process.kill()
        for keeper in self._keepers.values():
            keeper.join()
        self.sink.shutdown()
        self.sink.server_close()
        for host in self.hosts.values():
            logs = self.folder / "logs" / host.name
            shutil.copytree(host.folder / ".elias" / "logs", logs, dirs_exist_ok=True)
            shutil.copy(host.folder / "elias.log", logs)

    def _keep(self, host: Host, *words: str) -> None:
        keeper = self._keepers[host.name] = Keeper(self, host, *words)
        keeper.start()

    def keeper(self, host: str) -> Keeper:
        return self._keepers[host]

    # What there is

    def actor(self, part: str) -> psutil.Process | None:
        """The process of a part; none where it is not known, or away."""
        if part == "root":
            return self.head.titled("ray::Root")
        with suppress(OSError, http.client.HTTPException, ValueError):
            status, answer = self.request("GET", "/v1/managers", patience=3.0)
            if status == 200:
                self._pids = {m["name"]: m["pid"] for m in answer["members"] if m["status"] == "running"}
        with suppress(psutil.Error):
            process = psutil.Process(self._pids.get(part, 0))
            return process if process.name().startswith("ray::") else None
        return None

    def agent(self, host: str) -> psutil.Process | None:
        return self.hosts[host].titled("ray::AgentService")

    def control_store(self) -> psutil.Process | None:
        return self.head.titled("gcs_server")

    # The API of the head

    def connect(self, patience: float) -> Connection:
        return self.head.connect(patience)

    def request(
        self, method: str, path: str, body: Any = None, *, connection: Connection | None = None, patience: float = 5.0
    ) -> tuple[int, Any]:
        """Status and decoded JSON of one request."""
        if connection is not None:
            return exchange(connection, self.head.token, method, path, body)
        return self.head.request(method, path, body, patience=patience)

    # What can be done to it

    def cut(self, host: str, other: str) -> None:
        """What a host sends to this address reaches nobody, and nobody says so; until it is healed as often."""
        nobody = ["lladdr", "02:00:00:00:00:00", "nud", "permanent"]
        with self._wiring:
            self._cuts[host, other] += 1
            _ip(self.hosts[host], "neigh", "replace", other, *nobody, "dev", "eth0")

    def heal(self, host: str, other: str) -> None:
        with self._wiring:
            self._cuts[host, other] -= 1
            if not self._cuts[host, other]:
                _ip(self.hosts[host], "neigh", "del", other, "dev", "eth0")

    def set_clock(self, host: str, off: float) -> None:
        """So many seconds before the time of the machine, from now on."""
        with self._clock(host).open("r+b") as file:
            file.write(struct.pack("<q", round(off * SECOND)))

    def clock_of(self, host: str) -> list[str]:
        """What a command of that host begins with, to live by its clock."""
        path = os.pathsep.join(filter(None, (str(CLOCK), os.environ.get("PYTHONPATH"))))
        return ["env", f"CHAOS_CLOCK={self._clock(host)}", f"PYTHONPATH={path}"]

    def _clock(self, host: str) -> Path:
        return self.folder / f"{host}.clock"


class _Sink(ThreadingHTTPServer):
    """Takes every message, and counts it by its id."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.messages = dict[str, int]()


class _Taken(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Sink

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        id = self.headers["webhook-id"]
        self.server.messages[id] = self.server.messages.get(id, 0) + 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Hundreds of lines that nobody reads."""


@contextmanager
def _for_others() -> Iterator[Path]:
    """A folder that others may pass through: the database is not run by root."""
    with tempfile.TemporaryDirectory(prefix="elias-chaos-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _ip(host: Host, *words: str) -> None:
    _run("ip", "-n", host.namespace, *words)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
