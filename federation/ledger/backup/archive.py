"""The file of a back-up: a tar archive that says first what it holds, and last the SHA-256 of each of its members.

So it is written in one go while the ledger is read, `tar` lists it and takes a file out of it, one that was cut short
has no end, and where one is damaged can be named. It holds secrets, so only its owner may read it.

    backup.json              which ledger, up to which head
    ledger/000000000001.z    commits from that record on: msgpack of `Commit`s, zlib
    ledger/rest              what the records do not say: msgpack of `Rest`
    state/PATH               a file of the state folder
    digests.json             member -> SHA-256 in hex
"""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import msgspec

from federation.errors import Refused
from federation.ledger.store import Head, Standing
from federation.records import Header

FORMAT = "elias-backup-1"
FIRST, LAST = "backup.json", "digests.json"
LEDGER, STATE = "ledger/", "state/"
REST = "ledger/rest"
ENDING = ".backup"

_LEVEL = 1  # of zlib: a quarter of the size for a fifth of the time of the default
_PIECE = 2**20


class About(msgspec.Struct, frozen=True):
    """The first member. made: ns since 1970. place: where the ledger was, without its password. The others: its head;
    root: hex."""

    format: str
    made: int
    place: str
    size: int
    time: int
    root: str
    epoch: int

    @property
    def head(self) -> Head:
        return Head(self.size, self.time, bytes.fromhex(self.root), self.epoch)


class Commit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was committed at once, and the root of the tree after it."""

    root: bytes
    records: list[tuple[Header, bytes]]


class Rest(msgspec.Struct, frozen=True):
    """Where each writer stands, and its newest snapshots: writer, seq, body. epoch: of the lease."""

    epoch: int
    standings: list[Standing]
    snapshots: list[tuple[str, int, bytes]]


_commits = msgspec.msgpack.Decoder(list[Commit])


class Writer:
    """A back-up on its way to the disk."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self._digests: dict[str, str] = {}

    def add(self, name: str, content: bytes) -> None:
        self.copy(name, BytesIO(content), len(content))

    def copy(self, name: str, file: IO[bytes], size: int) -> None:
        """The next `size` bytes of the file."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        hashed = _Hashed(file)
        self._tar.addfile(member, hashed)
        self._digests[name] = hashed.digest()

    def commits(self, first: int, commits: Sequence[Commit]) -> None:
        """first: seq of their first record."""
        self.add(f"{LEDGER}{first:012}.z", zlib.compress(msgspec.msgpack.encode(commits), _LEVEL))

    def end(self) -> None:
        self.add(LAST, msgspec.json.encode(self._digests))
        self._tar.close()


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A back-up that is there under its name, whole and on the disk, at the end, or else not at all. Refused: something
    is there already, or it cannot be written there."""
    if path.exists():
        cure = "name another file, or a folder, where each back-up gets a name of its own"
        raise Refused("backup.exists", "there is a file of this name already", place=str(path), cure=cure)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        cure = "see that the folder exists and that this user may write in it"
        raise Refused("backup.write", error.strerror or str(error), place=str(path), cure=cure) from None
    try:
        with os.fdopen(handle, "wb") as file:
            writer = Writer(file)
            yield writer
            writer.end()
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # where there is no room
        raise
    finally:
        new.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """What was named, renamed or removed in it stays so after a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Reader:
    """A back-up that is there. Refused, by every method: it is none, it is damaged, it was cut short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tar = tarfile.TarFile(path)
        except (OSError, tarfile.TarError) as error:
            raise self._foreign(error.strerror if isinstance(error, OSError) else None) from None
        try:
            first = self._tar.next()
            file = self._tar.extractfile(first) if first is not None and first.name == FIRST else None
            if file is None:
                raise self._foreign(None)
            self.about = msgspec.json.decode(file.read(), type=About)
            if self.about.format != FORMAT or len(self.about.head.root) != hashlib.sha256().digest_size:
                raise self._foreign(f"it is of the format `{self.about.format}`, this ELIAS reads `{FORMAT}`")
        except (msgspec.MsgspecError, ValueError, tarfile.TarError):
            self.close()
            raise self.damaged(FIRST) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._tar.close()

    def members(self) -> "Iterator[tuple[str, Part]]":
        """All between the first and the last, in order. Whoever has seen the last of them without being refused has
        seen what was written."""
        seen: dict[str, str] = {}
        name = FIRST
        for member in self._each():
            file = self._tar.extractfile(member) if member.isreg() else None
            if file is None:
                raise self.damaged(member.name)
            part = Part(file, self._cut(name))
            name = member.name
            if name == LAST:
                return self._compare(seen, part.read())
            if name != FIRST:
                yield name, part
            while part.read(_PIECE):
                pass
            seen[name] = part.digest()
        raise self._cut(name)

    def commits(self, name: str, content: bytes) -> list[Commit]:
        try:
            return _commits.decode(zlib.decompress(content))
        except (zlib.error, msgspec.MsgspecError):
            raise self.damaged(name) from None

    def rest(self, content: bytes) -> Rest:
        try:
            return msgspec.msgpack.decode(content, type=Rest)
        except msgspec.MsgspecError:
            raise self.damaged(REST) from None

    def damaged(self, name: str, why: str = "it is not what was written") -> Refused:
        cure = "take another back-up; a good one passes `elias ledger verify FILE`"
        return Refused(
            "backup.damaged", f"the back-up is damaged in its part {name}: {why}", place=str(self.path), cure=cure
        )

    def _each(self) -> Iterator[tarfile.TarInfo]:
        try:
            yield from self._tar
        except (tarfile.TarError, OSError, ValueError):
            return  # a header that is none: there is no going on from here, and so no end

    def _compare(self, seen: dict[str, str], content: bytes) -> None:
        try:
            written = msgspec.json.decode(content, type=dict[str, str])
        except msgspec.MsgspecError:
            raise self.damaged(LAST) from None
        for name in (*seen, *written):
            if seen.get(name) != written.get(name):
                raise self.damaged(name)

    def _cut(self, name: str) -> Refused:
        cure = "take another back-up, or copy this one again from where it was made"
        return Refused(
            "backup.cut",
            f"the back-up ends, or cannot be read on, after its part {name}",
            place=str(self.path),
            cure=cure,
        )

    def _foreign(self, why: str | None) -> Refused:
        cure = "name a file that `elias ledger backup` wrote, with the ELIAS that wrote it or a newer one"
        return Refused("backup.foreign", why or "this is no back-up of ELIAS", place=str(self.path), cure=cure)


def is_backup(path: Path) -> bool:
    """Whether it begins as one does."""
    try:
        with path.open("rb") as file:
            return file.read(len(FIRST) + 1) == FIRST.encode() + b"\0"
    except OSError:
        return False


class _Hashed:
    """A file, and the digest of what was read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._hash.update(content)
        return content

    def digest(self) -> str:
        return self._hash.hexdigest()


class Part(_Hashed):
    """cut: what it means that it cannot be read."""

    def __init__(self, file: IO[bytes], cut: Refused) -> None:
        super().__init__(file)
        self._cut = cut

    def read(self, size: int = -1) -> bytes:
        try:
            return super().read(size)
        except (tarfile.TarError, OSError):
            raise self._cut from None
