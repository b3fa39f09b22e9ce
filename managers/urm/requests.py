"""What a job asks for, typed where it enters: the data of an `elias.job.submitted` event."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from federation.errors import Refused
from federation.records import Event
from tiki.schema import Type
from tiki.values import canonical

_CURE = "a job has command [text], cpus, memory (`8GB`), gpus, gpu_share (0 to 1), priority, models, restartable"


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class JobRequest(msgspec.Struct, frozen=True):
    """cpus: cores; memory: bytes; gpus: whole ones; gpu_share: of one GPU, 0 where whole ones are meant; models: GPUs
    that will do, empty: any. restartable: it may be stopped and run again from its beginning."""

    command: list[str] = []
    cpus: float = 0.0
    memory: int = 0
    gpus: int = 0
    gpu_share: float = 0.0
    priority: int = 0
    models: tuple[str, ...] = ()
    restartable: bool = False

    @property
    def gpu(self) -> float:
        """GPUs in all, a share counted as what it is."""
        return self.gpu_share or float(self.gpus)


def parse(event: Event) -> JobRequest:
    """Raises Refused with the cure."""
    if _ID.fullmatch(event.subject) is None:
        cure = "name it with up to 100 letters, digits, `.`, `_` and `-`"
        raise Refused("bad-job", f"`{event.subject[:100]}` is no job id", place=f"event {event.id}: subject", cure=cure)
    try:
        return of(event.data)
    except (ValueError, msgspec.ValidationError) as error:
        raise Refused("bad-job", str(error), place=f"event {event.id}: data", cure=_CURE) from None


def of(data: Mapping[str, Any]) -> JobRequest:
    """Raises ValueError where the data is no job. Keys that are not about resources are left to whoever runs it."""
    given = {key: value for key, value in data.items() if key in JobRequest.__struct_fields__ and value is not None}
    if "memory" in given:
        given["memory"] = canonical(Type.BYTES, given["memory"])
    request = msgspec.convert(given, JobRequest)
    if request.cpus < 0 or request.memory < 0 or request.gpus < 0:
        raise ValueError("cpus, memory and gpus are not negative")
    if not 0 <= request.gpu_share <= 1:
        raise ValueError(f"gpu_share is the part of one GPU, 0 to 1, not {request.gpu_share:g}")
    if request.gpu_share == 1:
        return msgspec.structs.replace(request, gpus=max(request.gpus, 1), gpu_share=0.0)
    if request.gpu_share and request.gpus > 1:
        raise ValueError(f"a share is of one GPU, and gpus is {request.gpus}")
    return request
