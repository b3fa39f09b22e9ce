"""The state folder: what its modes, its room and its file system mean."""

from pathlib import Path

import pytest

from federation.settings import Settings
from managers.uim.doctor import state
from managers.uim.doctor.here import Here
from managers.uim.doctor.state import GIB, State

SOUND = State("/x", "ada", True, 0o700, True, 50 * GIB, 1_000_000)

MOUNTS = """22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /srv rw,relatime shared:1 - nfs4 filer:/srv rw
31 30 0:26 / /srv/local\\040disk rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (SOUND, ["state.sound"]),
        (SOUND._replace(inodes=None), ["state.sound"]),
        (SOUND._replace(writable=False), ["state.read_only"]),
        (SOUND._replace(ours=False), ["state.owner"]),
        (SOUND._replace(mode=0o750), ["state.mode"]),
        (SOUND._replace(free=GIB), ["state.filling"]),
        (SOUND._replace(free=GIB // 100), ["state.full"]),
        (SOUND._replace(inodes=1000), ["state.filling"]),
        (SOUND._replace(inodes=3), ["state.full"]),
        (SOUND._replace(network="nfs4"), ["state.network"]),
        (SOUND._replace(network="nfs4", sqlite=False), ["state.sound"]),
        (SOUND._replace(mode=0o755, free=0), ["state.mode", "state.full"]),
    ],
)
def test_what_is_seen_of_the_folder(seen: State, codes: list[str]) -> None:
    assert [one.code for one in state.judge(seen)] == codes


@pytest.mark.parametrize(
    ("path", "kind"), [("/home/x", "ext4"), ("/srv/x", "nfs4"), ("/srvx", "ext4"), ("/srv/local disk/x", "xfs")]
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert state.filesystem(Path(path), MOUNTS) == kind


def _check(folder: Path) -> list[str]:
    return [one.code for one in state.check(Here(Settings(state=folder), None, False, None, "head"))]


def test_real_folders(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert _check(folder) == ["state.none"]
    folder.mkdir()
    folder.chmod(0o755)
    assert "state.mode" in _check(folder)
    folder.chmod(0o700)
    assert not {"state.mode", "state.read_only", "state.owner"} & set(_check(folder))


def test_a_file_in_its_place_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert _check(tmp_path / "state") == ["state.no_folder"]
