"""Proposals: the best nodes for a request, best first, in a fixed order with fixed ties.

Scores are cached by algorithm and request. A node's score depends on that node and the request alone, so a proposal
scores again only the nodes that changed since that request was last asked about.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from managers.ufm.placement import scorers
from managers.ufm.placement.demand import Typical
from managers.ufm.placement.fleet import WHOLE, Fleet, Ints, Request, Slots
from managers.ufm.placement.fragmentation import Fragmentation

LIMIT = 16  # candidates of one decision
CACHED = 512  # requests; 9 bytes a node each
_NAMES = 1 << 20  # ranks of names that a key has room for
_NOWHERE = int(np.iinfo(np.int64).min)


class Gpu(Enum):
    """Which GPU of the node a share goes to."""

    TIGHTEST = auto()
    EMPTIEST = auto()
    DRAWN = auto()
    SCORED = auto()  # the one that the score was for


class Draw(Enum):
    """What the algorithm draws nodes by."""

    NOTHING = auto()
    DECISION = auto()
    SUBJECT = auto()


class Algorithm(NamedTuple):
    score: Callable[[Fleet, Request, Slots], Ints] | None  # None: fragmentation
    gpu: Gpu = Gpu.TIGHTEST
    by: Draw = Draw.NOTHING
    choices: int = 1  # nodes drawn together, of which the one with the better score comes first


# power_of_two_choices: Azar et al., "Balanced Allocations", SIAM J. Comput. 1999; Mitzenmacher, IEEE TPDS 2001.
# consistent_hashing: highest random weight (Thaler and Ravishankar, IEEE/ACM ToN 1998), which has the property that
# Karger et al. (STOC 1997) named consistent: of n nodes, one that comes or goes moves about 1/n of the subjects, and
# no others.
ALGORITHMS: Mapping[str, Algorithm] = {
    "best_fit": Algorithm(scorers.best_fit),
    "fgd": Algorithm(None, Gpu.SCORED),
    "dot_product": Algorithm(scorers.dot_product),
    "gpu_packing": Algorithm(scorers.gpu_packing),
    "gpu_clustering": Algorithm(scorers.gpu_clustering),
    "random": Algorithm(scorers.everywhere, Gpu.DRAWN, Draw.DECISION),
    "least_loaded": Algorithm(scorers.least_loaded, Gpu.EMPTIEST),
    "power_of_two_choices": Algorithm(scorers.least_loaded, Gpu.EMPTIEST, Draw.DECISION, choices=2),
    "consistent_hashing": Algorithm(scorers.everywhere, Gpu.TIGHTEST, Draw.SUBJECT),
}


class Proposal(msgspec.Struct, frozen=True):
    """A node that the request fits, its score (higher is better, the algorithm's own scale), the GPUs to take there."""

    node: str
    score: int
    gpus: tuple[int, ...] = ()


class _Scores:
    """Of one request under one algorithm. keys: score, then name, as one number, larger is better; gpu: for a share."""

    def __init__(self, slots: int) -> None:
        self.seen = -1
        self.keys = np.full(slots, _NOWHERE)
        self.gpu = np.full(slots, -1, np.int8)


class Proposer:
    """Proposes nodes of one fleet. Memory is bounded by CACHED; what is cached never changes an answer.

    typical: the requests that `fgd` measures fragmentation against.
    """

    def __init__(self, fleet: Fleet, typical: Sequence[Typical] = ()) -> None:
        self._fleet = fleet
        self._layout = fleet.layout
        self._cache: OrderedDict[tuple[str, Request], _Scores] = OrderedDict()
        self._fragmentation = Fragmentation(typical)

    def learn(self, typical: Sequence[Typical]) -> None:
        """Makes `fgd` count with these typical requests from now on."""
        self._fragmentation = Fragmentation(typical)
        for key in [key for key in self._cache if key[0] == "fgd"]:
            del self._cache[key]

    def propose(
        self, request: Request, algorithm: str, *, decision: str = "", subject: str = "", limit: int = LIMIT
    ) -> list[Proposal]:
        """The nodes that the request fits now, at most `limit`, best first; of equal scores the smallest name first.

        decision: the identity that `random` and `power_of_two_choices` draw by. subject: the key of
        `consistent_hashing`. Raises KeyError for an algorithm that is not in ALGORITHMS.
        """
        how = ALGORITHMS[algorithm]
        scores = self._current(request, algorithm, how)
        keys = scores.keys
        draws: Ints | None = None
        if how.by is Draw.NOTHING:
            best = _largest(keys, limit)
        else:
            draws = _draw(self._fleet.name_hash, decision if how.by is Draw.DECISION else subject)
            drawn = np.where(keys == _NOWHERE, _NOWHERE, keys % _NAMES + draws * _NAMES)
            best = _largest(drawn, max(limit, how.choices))
            if how.choices > 1:
                best = _better_first(best, keys, how.choices)[:limit]
            else:
                keys = drawn
        values = (keys[best] // _NAMES).tolist()
        gpus = self._gpus(request, how.gpu, best, scores, draws)
        return [Proposal(self._fleet.name(s), v, g) for s, v, g in zip(best.tolist(), values, gpus, strict=True)]

    def _current(self, request: Request, algorithm: str, how: Algorithm) -> _Scores:
        fleet = self._fleet
        if self._layout != fleet.layout:  # names or the largest node changed
            self._cache.clear()
            self._layout = fleet.layout
        scores = self._cache.get((algorithm, request))
        if scores is None:
            scores = self._cache[algorithm, request] = _Scores(len(fleet.changed))
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end((algorithm, request))
        stale = np.flatnonzero(fleet.changed > scores.seen)
        scores.seen = fleet.clock
        scores.keys[stale] = _NOWHERE
        fitting = stale[fleet.fits(request, stale)]
        if len(fitting):
            if how.score is None:
                values, scores.gpu[fitting] = self._fragmentation.score(fleet, request, fitting)
            else:
                values = how.score(fleet, request, fitting)
            scores.keys[fitting] = values * _NAMES + (_NAMES - 1 - fleet.rank()[fitting])
        return scores

    def _gpus(
        self, request: Request, which: Gpu, best: Slots, scores: _Scores, draws: Ints | None
    ) -> list[tuple[int, ...]]:
        if not request.gpus:
            return [()] * len(best)
        if not request.shares:
            return [self._fleet.choose_gpus(slot, request) for slot in best.tolist()]
        if which is Gpu.SCORED:
            return [(gpu,) for gpu in scores.gpu[best].tolist()]
        gpu_free = self._fleet.gpu_free[best]
        fits = gpu_free >= request.gpu_milli
        if which is Gpu.TIGHTEST:
            chosen = np.where(fits, gpu_free, WHOLE + 1).argmin(axis=1)
        elif which is Gpu.EMPTIEST or draws is None:
            chosen = gpu_free.argmax(axis=1)
        else:
            nth = draws[best] % fits.sum(axis=1)
            chosen = (fits.cumsum(axis=1) > nth[:, None]).argmax(axis=1)
        return [(gpu,) for gpu in chosen.tolist()]


def _largest(keys: Ints, count: int) -> Slots:
    """Slots of the largest keys, largest first, without those where the request does not fit."""
    best: Slots = np.argpartition(keys, len(keys) - count)[-count:] if count < len(keys) else np.arange(len(keys))
    best = best[np.argsort(keys[best])[::-1]]
    fitting: Slots = best[keys[best] != _NOWHERE]
    return fitting


def _better_first(drawn: Slots, keys: Ints, choices: int) -> Slots:
    """Within every `choices` that were drawn together the better score first, of equal scores the first drawn."""
    together = np.arange(len(drawn)) // choices
    better: Slots = drawn[np.lexsort((-(keys[drawn] // _NAMES), together))]
    return better


def _draw(hashes: npt.NDArray[np.uint64], key: str) -> Ints:
    """For each name a number in [0, 2^32) that the key draws: SplitMix64's finaliser (Steele et al., OOPSLA 2014)."""
    mixed = hashes ^ np.uint64(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)
