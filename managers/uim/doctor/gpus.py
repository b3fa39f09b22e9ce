"""GPUs of NVIDIA: whether their driver answers, and whether they report damage."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pynvml

from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding

SOUND = Code("gpus.sound", OK, "the driver answers, and no GPU reports damage")
NONE = Code("gpus.none", NOTE, "this machine has no GPU of NVIDIA; ELIAS needs none")
DRIVER = Code(
    "gpus.driver",
    WARNING,
    "there are GPUs, and their driver does not answer",
    "see `nvidia-smi` and the kernel log; load or install the driver again",
)
LOST = Code(
    "gpus.lost", ERROR, "a GPU does not answer its driver", "drain this node; reset the GPU, or start the machine again"
)
ECC = Code(
    "gpus.ecc",
    WARNING,
    "a GPU had memory errors that ECC could not correct",
    "drain this node and reset the GPU; if they come back, have it replaced",
)
ROWS = Code(
    "gpus.rows",
    WARNING,
    "a GPU waits for a reset to put spare memory in place of bad",
    "drain this node and reset the GPU",
)
REPLACE = Code("gpus.replace", ERROR, "a GPU has no spare memory left for bad rows", "have it replaced")
XID = Code(
    "gpus.xid",
    WARNING,
    "the driver has reported faults (Xid) since the machine started",
    "look the number up in NVIDIA's list of Xid errors",
)
SMI = Code(
    "gpus.no_smi",
    NOTE,
    "`nvidia-smi` is not installed; ELIAS asks the driver without it",
    "install it to look for yourself",
)

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<gpu>[0-9A-Fa-f:.]+)\): (?P<number>\d+)")
_LOG = 4 << 20  # bytes of the kernel log that are read
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI vendor, and class of display controllers


class Gpu(NamedTuple):
    """errors: that ECC could not correct since the driver was loaded. pending, failed: replacement of bad rows.
    problem: why it does not answer."""

    name: str
    bus: str
    errors: int = 0
    pending: bool = False
    failed: bool = False
    problem: str = ""


class Seen(NamedTuple):
    """cards: that stand on the bus, whatever the driver says. problem: of the driver; empty: it answers. xids: GPU and
    number, as the kernel log has them."""

    cards: int
    problem: str = ""
    gpus: tuple[Gpu, ...] = ()
    xids: tuple[tuple[str, int], ...] = ()
    smi: bool = True


def check() -> Iterator[Finding]:
    yield from judge(observe())


def observe() -> Seen:
    cards = sum(_is_card(path) for path in Path("/sys/bus/pci/devices").glob("*"))
    smi = shutil.which("nvidia-smi") is not None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Seen(cards, str(error), smi=smi)
    try:
        gpus = tuple(map(_gpu, range(pynvml.nvmlDeviceGetCount())))
    finally:
        pynvml.nvmlShutdown()
    return Seen(cards, gpus=gpus, xids=xids(_kernel_log()), smi=smi)


def _is_card(device: Path) -> bool:
    try:
        vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
    except OSError:
        return False
    return vendor.strip() == _NVIDIA and kind.startswith(_DISPLAY)


def _gpu(number: int) -> Gpu:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        name, bus = str(pynvml.nvmlDeviceGetName(handle)), str(pynvml.nvmlDeviceGetPciInfo(handle).busId)
    except pynvml.NVMLError as error:
        return Gpu(f"GPU {number}", "", problem=str(error))
    errors, rows = 0, (0, 0, 0, 0)
    with suppress(pynvml.NVMLError):  # a card without ECC
        uncorrected, volatile = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
        errors = int(pynvml.nvmlDeviceGetTotalEccErrors(handle, uncorrected, volatile))
    with suppress(pynvml.NVMLError):  # before Ampere
        rows = pynvml.nvmlDeviceGetRemappedRows(handle)
    return Gpu(name, bus, errors, bool(rows[2]), bool(rows[3]))


def _kernel_log() -> str:
    """Empty where this user may not read it."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    lines, size = [], 0
    try:
        while size < _LOG and (line := os.read(log, 16384)):
            lines.append(line)
            size += len(line)
    except OSError:  # BlockingIOError at its end, EPIPE where it is overwritten meanwhile
        pass
    finally:
        os.close(log)
    return b"\n".join(lines).decode(errors="replace")


def xids(log: str) -> tuple[tuple[str, int], ...]:
    """The different ones in a kernel log."""
    return tuple(dict.fromkeys((found["gpu"], int(found["number"])) for found in _XID.finditer(log)))


def judge(seen: Seen) -> Iterator[Finding]:
    if seen.problem or not seen.gpus:
        if seen.cards:
            yield DRIVER.found(f"{seen.cards} on the bus; the driver: {seen.problem or 'it sees none'}")
        else:
            yield NONE.found("none on the bus")
        return
    bad = [*_judge(seen.gpus), *(XID.found(f"Xid {number}", gpu) for gpu, number in seen.xids)]
    yield from bad
    if not bad:
        yield SOUND.found(", ".join(sorted(_counted(one.name for one in seen.gpus))))
    if not seen.smi:
        yield SMI.found("it is not in the path")


def _judge(gpus: Iterable[Gpu]) -> Iterator[Finding]:
    for one in gpus:
        place = f"{one.name} {one.bus}".strip()
        if one.problem:
            yield LOST.found(one.problem, place)
        if one.errors:
            yield ECC.found(f"{one.errors} since the driver was loaded", place)
        if one.failed:
            yield REPLACE.found("a bad row could not be replaced", place)
        elif one.pending:
            yield ROWS.found("the replacement of a bad row is pending", place)


def _counted(names: Iterable[str]) -> set[str]:
    found = list(names)
    return {f"{found.count(name)} {name}" for name in found}
