"""What a machine needs to join a cluster: one file, made at the head and carried there by a person."""

import os
import shutil
import socket
from pathlib import Path
from typing import Self

import msgspec

from federation import privatefile
from federation.errors import Refused, Temporary
from federation.runtime import certificates, credentials
from federation.runtime.certificates import Authority
from federation.runtime.session import Session

LARGEST = 64 << 10  # bytes of such a file
REACHED = 5.0  # seconds in which the head has to take a connection


class Invitation(msgspec.Struct, frozen=True):
    """head: `host:port` of the control store. token: the secret that every node has. authority: signs the certificates
    of nodes, where they speak TLS."""

    head: str
    token: str
    authority: Authority | None = None

    @classmethod
    def of(cls, state: Path) -> Self:
        """To the cluster that runs for this state folder. Raises Refused where there is none that others can join."""
        session = Session.of(state)
        if session is None or not session.serves() or not session.head:
            raise Refused("not-a-head", "no cluster begins on this machine", cure="start one: `elias up --head`")
        if session.address.startswith("127."):
            what = f"the cluster is at {session.address}, where this machine alone reaches it"
            raise Refused("loopback", what, cure="`elias down`, then `elias up --head`")
        return cls.to(session.address, state)

    @classmethod
    def to(cls, head: str, state: Path) -> Self:
        """To the cluster whose credentials this state folder has, at the head that it has now."""
        token = credentials.token_file(state).read_text().strip()
        return cls(head, token, Authority.of(credentials.tls_folder(state)))

    def keep(self, state: Path) -> None:
        """This machine is of that cluster from now on, also as its head."""
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        privatefile.write(credentials.token_file(state), self.token.encode())
        shutil.rmtree(credentials.tls_folder(state), ignore_errors=True)
        if self.authority is not None:
            self.authority.keep(credentials.tls_folder(state))

    def save(self, path: Path) -> None:
        """Raises Refused where the file cannot be written."""
        try:
            privatefile.write(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        except OSError as error:
            why = error.strerror or str(error)
            raise Refused("invitation", why, place=str(path), cure="name a file in a folder that exists") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises Refused where the file is none, or one for others than its owner to read."""
        cure = "make a new one at the head, with `elias invite FILE`, and copy it here whole"
        try:
            with path.open("rb") as file:
                found = msgspec.json.decode(file.read(LARGEST), type=cls)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise Refused("invitation", error.strerror or str(error), place=str(path), cure=cure) from None
        except msgspec.DecodeError as error:
            raise Refused("invitation", f"not an invitation: {error}", place=str(path), cure=cure) from None
        if mode & 0o077:
            raise Refused("invitation", "others can read this secret", place=str(path), cure=f"chmod 600 {path}")
        return found

    def at(self, head: str) -> Self:
        """The same, to a head that this machine knows under another address: a host, or `host:port`."""
        host, _, port = head.rpartition(":") if ":" in head else (head, "", "")
        if not host or (port and not port.isdecimal()):
            cure = "write it like `10.0.0.1` or `10.0.0.1:6380`"
            raise Refused("address", f"`{head}` is not the address of a head", cure=cure)
        return msgspec.structs.replace(self, head=f"{host}:{port or self.head.rpartition(':')[2]}")

    def outward(self) -> str:
        """The address by which the head knows this machine. Raises Temporary where nothing takes a connection there."""
        try:
            return reached(self.head, REACHED)
        except OSError as error:
            raise self._silent(error) from None

    def check_certificate(self, folder: Path) -> None:
        """See that the head and this machine, whose certificates are in this folder, know one another. Raises Refused,
        and Temporary as `outward`."""
        try:
            certificates.check(self.head, folder if self.authority else None)
        except OSError as error:
            raise self._silent(error) from None

    def _silent(self, error: OSError) -> Temporary:
        why = f"nothing answers at {self.head}: {error.strerror or error}"
        return Temporary(f"{why}; is `elias up --head` running there, and does a firewall let this machine in?")


def reached(address: str, patience: float) -> str:
    """The address of this machine on the way to `host:port`. Raises OSError where nothing answers within seconds."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), patience) as line:
        return str(line.getsockname()[0])
