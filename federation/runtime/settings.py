"""The settings of Ray, on which everything runs, and of the Redis in which it may keep its control store."""

import ipaddress
import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from federation.sections import Duration
from federation.sections import Section as _Section


class RedisSettings(_Section):
    """A Redis in which Ray keeps its control store, so that a cluster outlives the end of that; without one it is in
    memory."""

    url: str = ""
    """`redis://host:port`, or `rediss://` for TLS, with a user before `@` where Redis has users; empty: none."""
    password_file: Path | None = None
    """File with the password; needed where Redis is not on a loopback address. Relative to the settings file."""
    ca_file: Path | None = None
    """Certificates that its own is checked against; none: those of the system. Relative to the settings file."""

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        if not self.url:
            if self.password_file or self.ca_file:
                raise ValueError("a password or certificates are of no use without `url`")
            return self
        found = re.fullmatch(r"rediss?://([^/?#@:\s]+@)?[^/?#@:\s]+:(\d{1,5})", self.url)
        if found is None or not 0 < int(found[2]) < 1 << 16:
            raise ValueError("write the url like `redis://10.0.0.9:6379`; the password goes into `password_file`")
        if self.password_file is None and not self.loopback:
            raise ValueError("a Redis that other machines can reach needs `password_file`")
        return self

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        host = urlsplit(self.url).hostname or ""
        return host == "localhost" or host.startswith("127.")


class RaySettings(_Section):
    """Ray, on which everything runs: how other machines reach this one, and what of it jobs may use."""

    address: str = "127.0.0.1"
    """IPv4 address of this machine in the cluster; loopback keeps others out, and `up --head` and `join` find one."""
    port: int = Field(0, ge=0, le=65535)
    """Port at which nodes join; 0: 6380 where other machines can reach it, any free one on a loopback address."""
    dashboard_port: int = Field(0, ge=0, le=65535)
    """Port of Ray's job interface, on loopback; 0: any free one."""
    tls: bool = False
    """Nodes encrypt what they say to one another, by certificates; `elias up --head --tls` does so too."""
    discoverable: bool = False
    """The head answers machines of its network that look for it with an invitation: `elias join --discover`."""
    cpus: int | None = Field(None, ge=0)
    """CPUs that jobs may use; none: those of the machine."""
    gpus: int | None = Field(None, ge=0)
    """GPUs that jobs may use; none: those of the machine."""
    object_store_memory: int = Field(100_000_000, ge=80_000_000)
    """Bytes of shared memory for large objects."""
    start_timeout: Duration = Field(180.0, gt=0)
    """How long a start may take before it is given up."""
    redis: RedisSettings = RedisSettings()

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        ipaddress.IPv4Address(self.address)  # its ValueError says what is wrong
        return self

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return ipaddress.ip_address(self.address).is_loopback
