"""FGD, fragmentation gradient descent: place where the GPUs that typical requests cannot use grow least.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", ATC 2023.

The fragmentation of a node is, over the typical requests by weight, the free GPU-milli that the request could not use
there: all of it when the request does not fit (or needs no GPU), else what is free on GPUs with less than its share.
Hence

    F = weight * free  -  sum over requests that fit of  weight_t * (free on GPUs with at least share_t)

Requests that differ in CPU alone form one group, with the weight of those whose CPU is there. Weights and milli are
integers, so F is exact and the score is the same on every machine.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from managers.ufm.placement.demand import Typical
from managers.ufm.placement.fleet import MAX_GPUS, WHOLE, Fleet, Ints, Request, Slots

# The score is the integer part of 100 * sigmoid(-growth of F in GPUs): it is k or more from ln(k / (100 - k)) on.
_STEPS = np.array([math.log(k / (100 - k)) for k in range(1, 100)])


class Fragmentation:
    """Scores placements by FGD for one set of typical requests. Without any, all placements score alike."""

    def __init__(self, typical: Sequence[Typical] = ()) -> None:
        def group(known: Typical) -> tuple[int, int, tuple[str, ...]]:
            return known.request.gpu_milli, known.request.gpus, known.request.models

        self._total = sum(known.weight for known in typical)
        self._steps = np.ceil(_STEPS * WHOLE * max(1, self._total)).astype(np.int64)
        with_gpus = sorted((known for known in typical if known.request.gpus), key=group)
        groups = [(key, list(members)) for key, members in groupby(with_gpus, key=group)]
        self._cpus = np.unique([known.request.cpu_milli for known in with_gpus]).astype(np.int64)
        # [len(cpus) + 1, groups]: the weight in each group of the requests that need at most so much CPU
        self._weights = np.zeros((len(self._cpus) + 1, len(groups)), np.int64)
        for column, (_, members) in enumerate(groups):
            for known in members:
                self._weights[np.searchsorted(self._cpus, known.request.cpu_milli) + 1 :, column] += known.weight
        self._needs = np.array([gpus for (_, gpus, _), _ in groups], np.int64)
        self._allowed = [models for (_, _, models), _ in groups]
        share = np.array([milli for (milli, _, _), _ in groups], np.int64)
        # [milli, groups], last row for an absent GPU: does a GPU with so much free serve the group, and with how much
        free = np.append(np.arange(WHOLE + 1), 0)[:, None]
        self._serves = (free >= share).astype(np.int64)
        self._usable = self._serves * free
        self._models: dict[str, int] = {}
        self._access = np.zeros((0, len(groups)), np.int64)

    def score(self, fleet: Fleet, request: Request, slots: Slots) -> tuple[Ints, Ints]:
        """Scores, 0 to 99, of placing the request on slots that it fits (at least one); the GPU for a share or -1."""
        self._learn_models(fleet)
        gpu_free = fleet.gpu_free[slots]
        usable = self._usable[gpu_free].sum(axis=1)  # [slots, groups]
        serving = self._serves[gpu_free].sum(axis=1)
        access = self._access[fleet.model[slots]]
        cpu, total = fleet.cpu_free[slots], fleet.gpu_sum[slots]
        before = self._fragments(total, cpu, access, usable, serving)
        cpu = cpu - request.cpu_milli
        if not request.shares:
            whole = request.gpus  # a whole GPU serves every group
            after = self._fragments(total - WHOLE * whole, cpu, access, usable - WHOLE * whole, serving - whole)
            return self._steps_of(before - after), np.full(len(slots), -1)
        at, gpu = np.nonzero(gpu_free >= request.gpu_milli)  # [options]: a slot and one of its GPUs
        old = gpu_free[at, gpu]
        new = old - request.gpu_milli
        after = self._fragments(
            total[at] - request.gpu_milli,
            cpu[at],
            access[at],
            usable[at] + self._usable[new] - self._usable[old],
            serving[at] + self._serves[new] - self._serves[old],
        )
        return self._best_gpu(self._steps_of(before[at] - after), at, gpu)

    def _fragments(self, free: Ints, cpu: Ints, access: Ints, usable: Ints, serving: Ints) -> Ints:
        weights = self._weights[np.searchsorted(self._cpus, cpu, side="right")] * access
        used: Ints = (weights * (serving >= self._needs) * usable).sum(axis=1)
        return self._total * free - used

    def _steps_of(self, shrunk: Ints) -> Ints:
        return np.searchsorted(self._steps, shrunk, side="right")

    @staticmethod
    def _best_gpu(scores: Ints, at: Slots, gpu: Slots) -> tuple[Ints, Ints]:
        """The best score of each slot and the lowest GPU that has it; `at` is ascending and has every slot."""
        first = np.flatnonzero(np.diff(at, prepend=-1))
        best = np.maximum.reduceat(scores, first)
        return best, np.minimum.reduceat(np.where(scores == best[at], gpu, MAX_GPUS), first)

    def _learn_models(self, fleet: Fleet) -> None:
        if self._models != fleet.models:
            self._models = dict(fleet.models)
            rows = [[not allowed or model in allowed for allowed in self._allowed] for model in self._models]
            self._access = np.array(rows, np.int64).reshape(len(rows), len(self._allowed))
