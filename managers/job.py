"""What a job asks for: declared once for the rules that see it, and typed where it enters, be it to be admitted, to be
placed, or to be given to a peer.
"""

import re
from collections.abc import Mapping
from math import inf
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from federation.errors import Refused
from federation.records import Event
from tiki.schema import Fact, Type
from tiki.values import canonical

ASKED_FOR = (
    Fact(name="gpus", type=Type.COUNT, doc="GPUs asked for"),
    Fact(name="gpu_share", type=Type.PERCENT, doc="share of one GPU that a sharing job takes; absent without GPU"),
    Fact(name="cpus", type=Type.NUMBER, doc="cores asked for"),
    Fact(name="memory", type=Type.BYTES, doc="memory asked for"),
    Fact(name="priority", type=Type.COUNT, doc="of the job; higher goes first", minimum=-inf),
)

_CURE = (
    "a job has command [text], cpus, memory (`8GB`), gpus, gpu_share (0 to 1), priority, models, labels, restartable, "
    "anywhere"
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class JobRequest(msgspec.Struct, frozen=True):
    """cpus: cores; memory: bytes; gpus: whole ones; gpu_share: of one GPU, 0 where whole ones are meant; models: GPUs
    that will do, empty: any; labels: that its node has. restartable: it may be stopped and run again from its
    beginning. anywhere: another cluster may run it; hops: those that it came by. node: where it would best run."""

    command: list[str] = []
    cpus: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    memory: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    gpus: Annotated[int, Meta(ge=0)] = 0
    gpu_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    priority: int = 0
    models: tuple[str, ...] = ()
    restartable: bool = False
    labels: tuple[str, ...] = ()
    anywhere: bool = False
    hops: tuple[str, ...] = ()
    node: str = ""
    cwd: str = ""

    @property
    def gpu(self) -> float:
        """GPUs in all, a share counted as what it is."""
        return self.gpu_share or float(self.gpus)


def parse(event: Event) -> JobRequest:
    """Of a job that is submitted. Raises Refused with the cure."""
    if _ID.fullmatch(event.subject) is None:
        cure = "name it with up to 100 letters, digits, `.`, `_` and `-`"
        raise Refused("bad-job", f"`{event.subject[:100]}` is no job id", place=f"event {event.id}: subject", cure=cure)
    return needs(event)


def needs(event: Event) -> JobRequest:
    """Of an event about a job that has its name. Raises Refused with the cure."""
    try:
        return of(event.data)
    except ValueError as error:
        raise Refused("bad-job", str(error), place=f"event {event.id}: data", cure=_CURE) from None


def of(data: Mapping[str, Any]) -> JobRequest:
    """Raises ValueError where the data is no job; a null is as good as nothing."""
    given = {key: data[key] for key in JobRequest.__struct_fields__ if data.get(key) is not None}
    if "memory" in given:
        given["memory"] = canonical(Type.BYTES, given["memory"])
    request = msgspec.convert(given, JobRequest)
    if request.gpu_share == 1:
        return msgspec.structs.replace(request, gpus=max(request.gpus, 1), gpu_share=0.0)
    if request.gpu_share and request.gpus > 1:
        raise ValueError(f"a share is of one GPU, and gpus is {request.gpus}")
    return request


def recorded(data: Mapping[str, Any]) -> JobRequest:
    """Of a job that is on record: it was taken once, by an older ELIAS perhaps. What this one would refuse asks for
    nothing, and is refused where it is asked about again."""
    try:
        return of(data)
    except ValueError:
        return JobRequest()
