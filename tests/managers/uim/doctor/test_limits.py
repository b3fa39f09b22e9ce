"""What Ray needs of a machine."""

import pytest

from managers.uim.doctor import limits
from managers.uim.doctor.limits import Seen

GIB = 1 << 30
SOUND = Seen(1_048_576, 8 * GIB, 16 * GIB, 4 * GIB, 100_000_000)


@pytest.mark.parametrize(
    ("seen", "runs", "codes"),
    [
        (SOUND, False, ["limits.sound"]),
        (SOUND._replace(files=None), True, ["limits.sound"]),
        (SOUND._replace(files=1024), True, ["limits.files"]),
        (SOUND._replace(memory=GIB), False, ["limits.memory"]),
        (SOUND._replace(memory=GIB), True, ["limits.sound"]),
        (SOUND._replace(memory=GIB // 2), True, ["limits.memory"]),
        (SOUND._replace(shared=64 << 20), False, ["limits.shared_memory"]),
        (SOUND._replace(shared=64 << 20), True, ["limits.sound"]),
    ],
)
def test_what_is_seen_of_the_machine(seen: Seen, runs: bool, codes: list[str]) -> None:
    assert [one.code for one in limits.judge(seen, runs=runs)] == codes


def test_this_machine_can_be_looked_at() -> None:
    seen = limits.observe(1)
    assert 0 < seen.memory <= seen.total
    assert seen.shared > 0
