"""What is usually asked for: the typical requests that fragmentation is measured against.

Typical requests are the distinct ones, memory and labels left aside, that cover 95 % of the workload, weighted by how
often they came (Weng et al., "Beware of Fragmentation", USENIX ATC 2023).
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from managers.ufm.placement.fleet import Request

COVERED = 0.95
WINDOW = 8192  # requests; past it every count is halved, so old demand fades and the table stays bounded


class Typical(msgspec.Struct, frozen=True):
    """A request and how often it came."""

    request: Request
    weight: int


def typical_requests(counts: Mapping[Request, int]) -> tuple[Typical, ...]:
    """The most frequent requests that together cover 95 %; of equally frequent ones the larger first."""
    merged: Counter[Request] = Counter()
    for request, count in counts.items():
        merged[_shape(request)] += count
    ranked = sorted(merged.items(), key=lambda item: (item[1], _size(item[0])), reverse=True)
    enough, covered, typical = COVERED * merged.total(), 0, []
    for request, count in ranked:
        if covered >= enough:
            break
        typical.append(Typical(request, count))
        covered += count
    return tuple(typical)


class Demand(msgspec.Struct):
    """Counts requests as they come; `typical` follows when an eighth more have come, so that scores do not always move.

    State of a fold: equal sequences of `observe` give equal values. counts: by the request as JSON.
    """

    counts: dict[str, int] = {}
    typical: tuple[Typical, ...] = ()
    total: int = 0
    due: int = 1

    def observe(self, request: Request) -> bool:
        """Counts one request; True when `typical` was recomputed."""
        key = msgspec.json.encode(_shape(request)).decode()
        self.counts[key] = self.counts.get(key, 0) + 1
        self.total += 1
        if self.total < self.due:
            return False
        self.typical = typical_requests({_decode(text): count for text, count in self.counts.items()})
        if self.total >= WINDOW:
            self.counts = {text: count // 2 for text, count in self.counts.items() if count > 1}
            self.total = sum(self.counts.values())
        self.due = self.total + self.total // 8 + 1
        return True


_decode = msgspec.json.Decoder(Request).decode


def _shape(request: Request) -> Request:
    return Request(request.cpu_milli, 0, request.gpus, request.gpu_milli, request.models)


def _size(request: Request) -> tuple[int, int, int, tuple[str, ...]]:
    return request.cpu_milli, request.gpu_milli if request.gpus else 0, request.gpus, request.models
