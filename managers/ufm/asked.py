"""What a job asks for, as the rules of placement and of forwarding see it."""

from math import inf

from tiki.schema import Fact, Type

ASKED_FOR = (
    Fact(name="gpus", type=Type.COUNT, doc="GPUs asked for"),
    Fact(name="gpu_share", type=Type.PERCENT, doc="share of one GPU that a sharing job takes; absent without GPU"),
    Fact(name="cpus", type=Type.NUMBER, doc="cores asked for"),
    Fact(name="memory", type=Type.BYTES, doc="memory asked for"),
    Fact(name="priority", type=Type.COUNT, doc="of the job; higher goes first", minimum=-inf),
)
