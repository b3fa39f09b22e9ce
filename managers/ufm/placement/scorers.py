"""The placement algorithms that look at one node at a time: an integer score for each, higher is better.

Scores are whole numbers on purpose: nodes that are nearly alike are equal, the smallest name wins, and one node is
filled before the next is touched. Those of the packing algorithms are on Kubernetes' scale of 0 to 100; a score means
nothing next to another algorithm's.
"""

import numpy as np

from managers.ufm.placement.fleet import WHOLE, Fleet, Ints, Request, Slots

TOP = 100
BASIS_POINTS = 10_000


def best_fit(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """Least CPU and GPU left over, each relative to the largest node.

    Panigrahy et al., "Heuristics for Vector Bin Packing", 2011; both resources weigh the same, as in the FGD paper.
    """
    cpu_scale, gpu_scale = _scale(fleet)
    left = (fleet.cpu_free[slots] - request.cpu_milli) * gpu_scale
    left += (fleet.gpu_sum[slots] - request.total_gpu_milli) * cpu_scale
    most = 2 * cpu_scale * gpu_scale
    return TOP * (most - left) // most


def dot_product(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """Smallest product of free and wanted CPU and GPU, relative to the largest node.

    After Tetris (Grandl et al., "Multi-resource Packing for Cluster Schedulers", SIGCOMM 2014), reversed as in the FGD
    paper, so that nearly full nodes come first.
    """
    cpu_scale, gpu_scale = _scale(fleet)
    cpu = fleet.cpu_free[slots] / cpu_scale * (request.cpu_milli / cpu_scale)
    gpu = fleet.gpu_sum[slots] / gpu_scale * (request.total_gpu_milli / gpu_scale)
    return np.floor(TOP * (1 - (cpu + gpu) / 2)).astype(np.int64)


def gpu_packing(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """GPUs in use first, then whole GPUs of nodes in use, then idle nodes; within each, the fuller first.

    Weng et al., "MLaaS in the Wild", NSDI 2022. A request without GPUs scores alike everywhere.
    """
    if not request.gpus:
        return np.zeros(len(slots), np.int64)
    gpu_free = fleet.gpu_free[slots]
    whole = (gpu_free == WHOLE).sum(axis=1)
    used_node = np.full(len(slots), max(TOP // 2 - request.gpus, TOP // 3))
    if request.shares:
        tightest = np.where(gpu_free >= request.gpu_milli, gpu_free, WHOLE).min(axis=1)
        used_node = np.where(tightest < WHOLE, TOP - tightest * TOP // WHOLE // 10, used_node)
    return np.where(whole == fleet.gpus[slots], np.maximum(TOP // 3 - whole, whole), used_node)


def gpu_clustering(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """Nodes that run this kind of request alone, then those among others, idle ones, the rest; each the fuller first.

    A kind is a share of a GPU, or a number of whole GPUs. Xiao et al., "Gandiva", OSDI 2018. A request without GPUs
    scores alike everywhere.
    """
    if not request.gpus:
        return np.zeros(len(slots), np.int64)
    _, gpu_scale = _scale(fleet)
    tenants = fleet.tenants[slots] > 0
    kinds = tenants.sum(axis=1)
    same = tenants[:, 0 if request.shares else request.gpus]
    band = np.where(same, np.where(kinds == 1, 3, 2), np.where(kinds == 0, 1, 0))
    return band * (TOP // 4) + (gpu_scale - fleet.gpu_sum[slots]) * (TOP // 4) // gpu_scale


def least_loaded(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """Largest free part after placing: the mean over CPU, memory and, where asked for, GPU; in basis points.

    As Kubernetes' NodeResourcesFit does with its strategy LeastAllocated.
    """
    parts = [
        _part(fleet.cpu_free[slots] - request.cpu_milli, fleet.cpu_total[slots]),
        _part(fleet.memory_free[slots] - request.memory, fleet.memory_total[slots]),
    ]
    if request.gpus:
        parts.append(_part(fleet.gpu_sum[slots] - request.total_gpu_milli, fleet.gpus[slots] * WHOLE))
    mean: Ints = np.sum(parts, axis=0) // len(parts)
    return mean


def everywhere(fleet: Fleet, request: Request, slots: Slots) -> Ints:
    """No preference: the algorithms that draw choose among what fits."""
    return np.zeros(len(slots), np.int64)


def _part(free: Ints, total: Ints) -> Ints:
    # In integers, bytes times basis points would pass 2^63 from 800 TiB on.
    part: Ints = np.floor(BASIS_POINTS * (free / np.maximum(total, 1))).astype(np.int64)
    return part


def _scale(fleet: Fleet) -> tuple[int, int]:
    """CPU-milli and GPU-milli of the largest node; at least one core and one GPU, for a fleet that has none."""
    return max(WHOLE, int(fleet.cpu_total.max())), max(WHOLE, int(fleet.gpus.max()) * WHOLE)
