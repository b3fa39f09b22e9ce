"""What placement looks for, from what a job asks for."""

from federation.errors import Refused
from managers.job import JobRequest
from managers.ufm.placement import Request
from managers.ufm.placement.fleet import WHOLE


def request_of(asked: JobRequest) -> Request:
    """Raises Refused for what no node could have."""
    gpus, share = (1, max(1, round(asked.gpu_share * WHOLE))) if asked.gpu_share else (asked.gpus, WHOLE)
    try:
        return Request(round(asked.cpus * 1000), asked.memory, gpus, share, asked.models, asked.labels)
    except ValueError as error:
        raise Refused("bad-job", str(error), cure="see docs/placement.md") from None
