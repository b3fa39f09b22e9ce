"""What `scontrol` and `squeue` print, made into values.

Their text rather than their JSON: `scontrol` of Slurm 22.05 writes none, and its shape changes with every release.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product

from federation.errors import Temporary
from managers.ufm.slurm.node import Picture, SlurmNode

JOBS = "%T|%N"
"""The format that `squeue` is asked for: what a job does, and on which nodes."""

_MIB = 1 << 20
_MOST = 100_000  # nodes of one expression; more is a mistake
_FIELD = re.compile(r"(?:^|(?<=\s))([A-Z]\w*)=")
_REASON = re.compile(r"(.*) \[([^@\[\]]*)@[^\[\]]*\](.*)", re.DOTALL)
_GPUS = re.compile(r"gpu(?::(?:\(null\)|([^:()]+)))?(?::no_consume)?:(\d+)(?:\(.*\))?")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def picture(nodes: str, jobs: str, partitions: Iterable[str] = ()) -> Picture:
    """From `scontrol --oneliner --details show nodes` and `squeue` with the format above. partitions: only nodes of
    these; empty: all. Raises Temporary where the text cannot be read."""
    states, here = Counter[str](), Counter[str]()
    for line in jobs.splitlines():
        state, _, where = line.strip().partition("|")
        states[state] += 1
        if state == "RUNNING":
            here.update(expand(where))
    wanted = frozenset(partitions)
    found = (node_of(line, here) for line in records(nodes))
    kept = tuple(node for node in found if not wanted or wanted & frozenset(node.partitions))
    return Picture(kept, states["RUNNING"], states["PENDING"])


def records(text: str) -> list[str]:
    """One a node. A reason may go over several lines."""
    return [part for part in re.split(r"^(?=NodeName=)", text, flags=re.MULTILINE) if part.startswith("NodeName=")]


def node_of(line: str, jobs: Counter[str]) -> SlurmNode:
    """jobs: that run, by node. Raises Temporary where the line cannot be read."""
    fields = _fields(line)
    try:
        name, (gpus, model) = fields["NodeName"], gpus_of(fields.get("Gres", ""))
        why, by = _reason(line)
        return SlurmNode(
            name=name,
            states=tuple(fields["State"].split("+")),
            reason=why,
            by=by,
            cpus=int(fields["CPUTot"]),
            cpus_used=int(fields["CPUAlloc"]),
            memory=int(fields["RealMemory"]) * _MIB,
            memory_used=int(fields["AllocMem"]) * _MIB,
            gpus=gpus,
            gpus_used=gpus_of(fields.get("GresUsed", ""))[0],
            model=model,
            partitions=tuple(filter(None, fields.get("Partitions", "").split(","))),
            jobs=jobs[name],
        )
    except (KeyError, ValueError) as error:
        raise Temporary(f"what scontrol says of a node cannot be read ({error!r}): {line[:200]!r}") from None


def _fields(line: str) -> dict[str, str]:
    """Of each name the first value: what stands before the reason was written by Slurm."""
    marks, found = list(_FIELD.finditer(line)), dict[str, str]()
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        found.setdefault(mark[1], line[mark.end() : after.start() if after else None].strip())
    return found


def _reason(line: str) -> tuple[str, str]:
    """The words of whoever keeps it out, and who that is: `words [user@time]`. People may write anything, so it reaches
    as far as it can, and what follows that is no field is a part of it."""
    _, mark, text = line.partition(" Reason=")
    match = _REASON.fullmatch(text.rstrip())
    if not mark or match is None:
        return text.strip(), ""
    more = match[3].strip()
    return (match[1], match[2]) if not more or _FIELD.match(more) else (f"{match[1]} {more}", match[2])


def gpus_of(gres: str) -> tuple[int, str]:
    """How many GPUs, and of which model the first one is: `gpu:h100:2(S:0-1),shard:8` has 2 of `h100`."""
    found = [match for part in re.split(r",(?![^(]*\))", gres) if (match := _GPUS.fullmatch(part))]
    return sum(int(match[2]) for match in found), next((match[1] for match in found if match[1]), "")


def expand(expression: str) -> Iterator[str]:
    """The names that a list of Slurm's stands for: `a[1-2,07],b` is a1, a2, a07, b."""
    words = re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", expression)
    if ",".join(words) != expression:
        raise Temporary(f"a list of nodes cannot be read: `{expression[:200]}`")
    for word in words:
        parts = [_numbers(part[1:-1]) if part.startswith("[") else [part] for part in re.split(r"(\[[^\]]*\])", word)]
        yield from map("".join, product(*parts))


def _numbers(ranges: str) -> list[str]:
    found: list[str] = []
    for part in ranges.split(","):
        match = _RANGE.fullmatch(part)
        if match is None or int(match[2] or match[1]) - int(match[1]) > _MOST:
            raise Temporary(f"a list of nodes cannot be read: `[{ranges[:200]}]`")
        found += (f"{number:0{len(match[1])}}" for number in range(int(match[1]), int(match[2] or match[1]) + 1))
    return found
