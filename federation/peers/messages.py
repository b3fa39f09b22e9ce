"""What peers say, as JSON. A body is small, and its version stands in the seal (`federation.peers.sealing`)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LARGEST = 64 << 10  # bytes of a body: 64 rooms take 10 KiB
ROOMS = 64  # that one word about capacity lists
WORDS = 256  # of a command
LABELS = 16  # models or labels that a job or a room names

Amount = Annotated[int, Meta(ge=0, le=1 << 53)]
Word = Annotated[str, Meta(max_length=100)]
Few = Annotated[tuple[Word, ...], Meta(max_length=LABELS)]
EffectId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
JobId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]

CAPACITY, OFFER, LOOK = "/peers/v1/capacity", "/peers/v1/offer", "/peers/v1/look"


class Room(msgspec.Struct, frozen=True):
    """What is free on a node. cpu_milli: thousandths of a core. memory: bytes. gpus: those of which nothing is taken.
    share: thousandths that are free of the GPU with most left."""

    cpu_milli: Amount
    memory: Amount
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0
    share: Annotated[int, Meta(ge=0, le=1000)] = 0
    model: Word = ""
    labels: Few = ()


class Capacity(msgspec.Struct, frozen=True):
    """What the sender has free for whom it tells: a request fits if one of these rooms is large enough."""

    rooms: Annotated[tuple[Room, ...], Meta(max_length=ROOMS)] = ()


class Work(msgspec.Struct, frozen=True):
    """What runs, and what it needs: all that a peer is told of a job. memory: bytes. gpu_share: of one GPU, 0 where
    whole ones are meant."""

    command: Annotated[tuple[Annotated[str, Meta(max_length=16384)], ...], Meta(min_length=1, max_length=WORDS)]
    cpus: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    memory: Amount = 0
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0
    gpu_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    models: Few = ()
    labels: Few = ()
    restartable: bool = False

    @property
    def gpu(self) -> float:
        """GPUs in all, a share counted as what it is."""
        return self.gpu_share or float(self.gpus)


class Offer(msgspec.Struct, frozen=True):
    """Run this job. effect: of the sender, which names it: the same one again is the same job."""

    effect: EffectId
    job: JobId
    work: Work


class Look(msgspec.Struct, frozen=True):
    """What became of this job?"""

    effect: EffectId
    job: JobId


class Standing(msgspec.Struct, frozen=True):
    """Where a job stands. state: absent (it is not here, and will not be), here, ended. status: of its outcome, of
    which `refused` and `expired` mean that it never ran."""

    state: Literal["absent", "here", "ended"]
    status: Literal["", "done", "failed", "refused", "expired", "unknown"] = ""
    detail: Annotated[str, Meta(max_length=500)] = ""
    exit_code: int | None = None
    seconds: float | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is not taken, in place of an answer: nothing was done because of it."""

    code: str
    message: str
    cure: str = ""
