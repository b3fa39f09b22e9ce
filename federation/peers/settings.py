"""Other clusters with which this one exchanges capacity and jobs."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.sections import Duration, Section

NAME = "[a-z0-9][a-z0-9-]{0,31}"


class Peer(Section):
    """Another cluster, by the name that it gives itself."""

    url: str = Field(pattern=r"^https://[^/\s?#@]+$")
    """Where it listens for its peers, such as `https://10.1.0.5:8610`."""
    card: Path
    """File with what `elias peers card` printed there: its key and its certificate. Relative to the settings file."""
    accepts: bool = False
    """Run jobs that it forwards."""
    jobs: int = Field(10, ge=0)
    """Of its jobs, as many at a time."""
    gpus: float = Field(0.0, ge=0)
    """GPUs that its jobs may hold together."""
    memory: int = Field(64 << 30, ge=0)
    """Bytes of memory that its jobs may hold together."""
    labels: tuple[str, ...] = ()
    """Its jobs run only on nodes that have all of these."""

    def located(self, base: Path) -> Self:
        return self.model_copy(update={"card": base / self.card.expanduser()})


class PeersSettings(Section):
    """Clusters that take jobs for which there is no room here, and whose jobs are taken. Off until one is named."""

    name: str = Field("", pattern=f"^({NAME})?$")
    """Of this cluster, for its peers: small letters, digits and `-`."""
    host: str = ""
    """Address of this machine at which peers are heard, always by TLS on both sides; empty: nobody is heard."""
    port: int = Field(8610, ge=1, le=65535)
    """TCP port of that."""
    every: Duration = Field(10.0, ge=1)
    """Between two words about free capacity; what is older than three of them counts no more."""
    folder: Path | None = None
    """Our own keys and certificate; none: `peers` in the state folder. Machines that may be the head share one."""
    known: dict[Annotated[str, Field(pattern=f"^{NAME}$")], Peer] = Field({}, max_length=32)
    """Peers by name; nobody else is spoken to or heard."""

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if (self.known or self.host) and not self.name:
            raise ValueError("`name` is missing: messages say for whom they are")
        if self.name in self.known:
            raise ValueError(f"`{self.name}` is this cluster itself, and no peer of its own")
        if self.host and not self.known:
            raise ValueError("`host` is of no use while `known` names no peer")
        return self

    def located(self, base: Path) -> Self:
        known = {name: peer.located(base) for name, peer in self.known.items()}
        return self.model_copy(update={"known": known, "folder": base / self.folder if self.folder else None})
