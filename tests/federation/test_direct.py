import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.errors import Bug, Corrupt, Fenced, Refused, Temporary
from federation.runtime import direct, worker


@pytest.fixture(autouse=True)
def _sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(worker.FOLDER, str(tmp_path))


class Worker:
    """An actor with a method for each thing that may happen."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    async def echo(self, *args: Any) -> Any:
        return list(args)

    async def slow(self, value: int) -> int:
        self.entered.set()
        await self.gate.wait()
        return value

    async def fail(self, kind: str) -> None:
        errors = {
            "refused": Refused("code", "message", place="place", cure="cure"),
            "temporary": Temporary("later"),
            "fenced": Fenced("over"),
            "corrupt": Corrupt("damaged"),
            "bug": Bug("ours"),
            "surprise": ZeroDivisionError("surprise"),
        }
        raise errors[kind]


@asynccontextmanager
async def serving(worker: Worker | None = None) -> AsyncIterator[direct.Line]:
    """A line to a worker that listens."""
    worker = worker or Worker()
    methods = {"echo": worker.echo, "slow": worker.slow, "fail": worker.fail}
    listener = await direct.Listener.open("worker", methods)
    line = await direct.connect("worker")
    assert listener is not None
    assert line is not None
    yield line
    await line.close()
    await listener.close()


async def test_plain_data_goes_there_and_comes_back() -> None:
    values = [1, "two", b"\x00\xff", None, 2.5, [True, {"a": [1]}], b"x" * (3 << 20)]
    async with serving() as line:
        assert await line.call("echo", *values) == values


async def test_a_quick_call_overtakes_a_slow_one() -> None:
    worker = Worker()
    async with serving(worker) as line:
        slow = asyncio.create_task(line.call("slow", 1))
        await worker.entered.wait()
        assert await line.call("echo", 2) == [2]
        assert not slow.done()
        worker.gate.set()
        assert await slow == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("temporary", Temporary), ("fenced", Fenced), ("corrupt", Corrupt), ("bug", Bug), ("surprise", Bug)],
)
async def test_an_error_keeps_its_meaning(kind: str, error: type[Exception]) -> None:
    async with serving() as line:
        with pytest.raises(error):
            await line.call("fail", kind)
        assert await line.call("echo", 1) == [1]


async def test_a_refusal_keeps_its_place_and_cure() -> None:
    async with serving() as line:
        with pytest.raises(Refused) as caught:
            await line.call("fail", "refused")
    error = caught.value
    assert (error.code, error.message, error.place, error.cure) == ("code", "message", "place", "cure")


async def test_a_method_that_is_not_offered_is_a_bug_and_nothing_else_suffers() -> None:
    async with serving() as line:
        with pytest.raises(Bug, match="drain"):
            await line.call("drain")
        assert await line.call("echo", 1) == [1]


async def test_what_is_under_way_when_an_actor_dies_may_be_sent_again_to_the_next_one() -> None:
    program = (
        "import asyncio, os\n"
        "from federation.runtime import direct\n"
        "async def die(): os._exit(9)\n"
        "async def main():\n"
        "    listener = await direct.Listener.open('worker', {'die': die})\n"
        "    print('listening', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    line = await direct.connect("worker")
    assert line is not None
    with pytest.raises(Temporary):
        await line.call("die")
    await process.wait()
    with pytest.raises(Temporary):
        await line.call("die")
    assert await direct.connect("worker") is None
    async with serving() as successor:
        assert await successor.call("echo", 1) == [1]


async def test_who_ends_hangs_up_all_lines() -> None:
    worker = Worker()
    async with serving(worker) as line:
        other = await direct.connect("worker")
        assert other is not None
        slow = asyncio.create_task(other.call("slow", 1))
        await worker.entered.wait()
        await direct.hang_up()
        assert (line.broken, other.broken) == (True, True)
        with pytest.raises(Temporary):
            await slow
        again = await direct.connect("worker")
        assert again is not None
        assert await again.call("echo", 2) == [2]
        await direct.hang_up()


async def test_where_nobody_listens_there_is_no_line() -> None:
    assert await direct.connect("worker") is None


async def test_without_a_folder_everything_goes_through_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(worker.FOLDER)
    assert await direct.Listener.open("worker", {}) is None
    assert await direct.connect("worker") is None
