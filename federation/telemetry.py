"""What a node is and how it does: psutil for the machine, NVML for its GPUs. Percentages are 0-100, sizes bytes."""

import time
from pathlib import Path
from typing import Any

import psutil
import pynvml


class Probe:
    """`folder`: the file system whose free space counts as the node's disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gpus = _gpus()
        psutil.cpu_percent()  # the first call only starts the interval

    def figures(self) -> dict[str, Any]:
        """cpu, memory, disk (percent used); *_total and *_free; gpus: a list with name, memory and utilisation, []
        where there is none.
        """
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self.folder))
        gpus = [_gpu(handle) for handle in self._gpus]
        return {
            "cpu": psutil.cpu_percent(),
            "cpus": psutil.cpu_count() or 1,
            "load": psutil.getloadavg()[0],
            "memory": memory.percent,
            "memory_total": memory.total,
            "memory_free": memory.available,
            "disk": disk.percent,
            "disk_total": disk.total,
            "disk_free": disk.free,
            "gpus": gpus,
            "gpu": sum(g["busy"] for g in gpus) / len(gpus) if gpus else None,
            "boot": psutil.boot_time(),
            "measured": time.time(),
        }


def _gpus() -> list[Any]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]


def _gpu(handle: Any) -> dict[str, Any]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        "name": pynvml.nvmlDeviceGetName(handle),
        "uuid": pynvml.nvmlDeviceGetUUID(handle),
        "memory_total": memory.total,
        "memory_free": memory.free,
        "busy": float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
    }
