"""GPUs: what the driver and the bus say of them."""

import pytest

from managers.uim.doctor import gpus
from managers.uim.doctor.gpus import Gpu, Seen

CARD = Gpu("NVIDIA H200", "00000000:17:00.0")


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (Seen(0, "NVML Shared Library Not Found"), ["gpus.none"]),
        (Seen(2, "Driver Not Loaded"), ["gpus.driver"]),
        (Seen(2), ["gpus.driver"]),
        (Seen(1, gpus=(CARD,)), ["gpus.sound"]),
        (Seen(0, gpus=(CARD,)), ["gpus.sound"]),  # passed into a container without its bus
        (Seen(1, gpus=(CARD,), smi=False), ["gpus.sound", "gpus.no_smi"]),
        (Seen(1, gpus=(CARD._replace(errors=3),)), ["gpus.ecc"]),
        (Seen(1, gpus=(CARD._replace(pending=True),)), ["gpus.rows"]),
        (Seen(1, gpus=(CARD._replace(pending=True, failed=True),)), ["gpus.replace"]),
        (Seen(2, gpus=(CARD, Gpu("GPU 1", "", problem="GPU is lost"))), ["gpus.lost"]),
        (Seen(1, gpus=(CARD,), xids=(("0000:17:00", 79),)), ["gpus.xid"]),
    ],
)
def test_what_is_seen_of_gpus(seen: Seen, codes: list[str]) -> None:
    assert [one.code for one in gpus.judge(seen)] == codes


def test_faults_are_read_from_the_kernel_log() -> None:
    log = (
        "6,1,2,-;NVRM: loading NVIDIA UNIX x86_64 Kernel Module\n"
        "4,7,8,-;NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
        "4,8,9,-;NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>'\n"
        "4,9,9,-;NVRM: Xid (PCI:0000:3b:00): 48, pid=7\n"
    )
    assert gpus.xids(log) == (("0000:17:00", 79), ("0000:3b:00", 48))


def test_this_machine_can_be_looked_at() -> None:
    assert list(gpus.check())
