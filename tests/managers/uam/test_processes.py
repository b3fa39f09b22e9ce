"""Real processes, kept running by real decisions."""

import os
import signal
from pathlib import Path

import msgspec
import psutil
import pytest

from federation.effects import Order
from federation.records import Event, Kind
from managers.uam.shim import started

from .world import World, bundle

SLEEP = "apps: {web: {command: [sleep, '600']}}"


async def test_a_declared_application_is_started_once(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    assert psutil.Process(pid).cmdline() == ["sleep", "600"]
    for _ in range(5):
        await world.step()
    assert world.decided() == ["start"]


async def test_what_was_killed_runs_again_at_once(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    os.kill(pid, signal.SIGKILL)
    again = await world.pid("web/0", other_than=pid)
    assert psutil.pid_exists(again)
    assert world.decided() == ["start", "restart"]
    assert world.shown("web/0")["restarts"] == 1


async def test_the_agent_tells_of_an_exit_without_being_asked(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    told = world.agent.told
    os.kill(pid, signal.SIGTERM)
    await world.until(lambda: world.agent.told > told)


async def test_an_exit_code_is_known_although_the_agent_was_away(world: World) -> None:
    world.declare("apps: {web: {command: [sh, -c, 'sleep 600; exit 0'], restart: temporary}}")
    pid = await world.pid("web/0")
    await world.agent.close()
    os.kill(pid, signal.SIGUSR1)
    await world.restart_agent()
    await world.until(lambda: world.shown("web/0")["status"] == "exited")
    assert world.shown("web/0")["exit_code"] == -signal.SIGUSR1


async def test_the_end_of_a_process_tells_how_long_it_ran(world: World) -> None:
    world.declare("apps: {web: {command: [sh, -c, 'sleep 0.2'], restart: temporary}}")
    await world.until(lambda: world.shown("web/0").get("status") == "exited")
    (told,) = world.processes.figures()["processes"]
    assert 0.1 < told["ran"] < 30


async def test_a_new_agent_adopts_what_still_runs(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    await world.restart_agent()
    assert await world.pid("web/0") == pid
    assert world.decided() == ["start"]
    os.kill(pid, signal.SIGKILL)
    await world.pid("web/0", other_than=pid)


async def test_the_end_of_the_shim_is_not_the_end_of_the_application(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    record = world.processes.instances["web.0"].record()
    assert record is not None
    os.kill(record.shim, signal.SIGKILL)
    for _ in range(5):
        await world.step()
    assert await world.pid("web/0") == pid
    os.kill(pid, signal.SIGKILL)
    await world.pid("web/0", other_than=pid)


async def test_a_second_start_of_the_same_instance_starts_nothing(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    app = world.uam.state.apps["web"]
    payload = {"app": "web", "instance": 0, "digest": app.digest, "launch": app.launch}
    order = Order("other", "uam.restart", "web/0", "start", {}, "process.start", 0, 0, 0, payload)
    outcome = await world.processes.do(order)
    assert (outcome.status, outcome.data["pid"]) == ("done", pid)


async def test_an_interrupted_start_is_found_by_its_process(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    effect = world.uam.state.instances["web/0"].effect
    order = Order(effect, "uam.restart", "web/0", "start", {}, "process.start", 0, 0, 0, {"app": "web", "instance": 0})
    assert (await world.processes.probe(order)).data["pid"] == pid
    never = Order("never", "uam.restart", "web/0", "start", {}, "process.start", 0, 0, 0, {"app": "web", "instance": 0})
    assert (await world.processes.probe(never)).status == "unknown"


async def test_a_crash_loop_ends_in_a_case_and_a_person_may_try_again(world: World) -> None:
    world.federation.put_in_force(bundle(backoff_initial="50ms", max_restarts="3"))
    marker = world.folder / "cured"
    world.declare(f"apps: {{web: {{command: [sh, -c, 'test -e {marker} && exec sleep 600; exit 3']}}}}")
    case = await world.until(lambda: world.shown("web/0").get("case"))
    assert world.decided() == ["start", "restart", "restart", "restart"]
    assert world.shown("web/0")["exit_code"] == 3
    marker.touch()
    world.federation.answer("uam", case, "restart")
    await world.pid("web/0")
    assert world.shown("web/0")["restarts"] == 0


async def test_back_off_grows_between_restarts(world: World) -> None:
    world.federation.put_in_force(bundle(backoff_initial="50ms", max_restarts="3"))
    world.declare("apps: {web: {command: ['false']}}")
    await world.until(lambda: world.shown("web/0").get("case"))
    asked = [
        msgspec.json.decode(r.body) for r in world.federation.store.read(kinds=[Kind.ASKED], points=["uam.restart"])
    ]
    assert [a["facts"]["backoff"] for a in asked[1:4]] == [0, 0.05, 0.1]
    assert all(a["facts"]["waited"] >= a["facts"]["backoff"] for a in asked[1:4])


async def test_a_command_that_does_not_exist_is_told_with_its_cure(world: World) -> None:
    world.declare("apps: {web: {command: [no-such-program-here], restart: temporary}}")
    await world.until(lambda: world.shown("web/0").get("status") == "exited")
    (outcome,) = world.federation.store.read(kinds=[Kind.OUTCOME])
    body = msgspec.json.decode(outcome.body)
    assert body["status"] == "failed"
    assert body["detail"].startswith("`no-such-program-here`: No such file")
    assert world.shown("web/0")["exit_code"] == 127


@pytest.mark.parametrize(
    ("restart", "code", "again"), [("transient", 0, False), ("transient", 1, True), ("temporary", 1, False)]
)
async def test_the_restart_type_says_what_an_end_means(world: World, restart: str, code: int, again: bool) -> None:
    once = world.folder / "once"
    script = f"test -e {once} && exec sleep 600; touch {once}; exit {code}"
    world.declare(f"apps: {{web: {{command: [sh, -c, '{script}'], restart: {restart}}}}}")
    if again:
        await world.pid("web/0")
    else:
        await world.until(lambda: world.shown("web/0").get("status") == "exited")
        for _ in range(5):
            await world.step()
    assert world.decided() == (["start", "restart"] if again else ["start"])


async def test_a_removed_application_is_stopped_and_forgotten(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    world.declare("apps: {}")
    await world.until(lambda: not world.shown("web/0"))
    assert started(pid) == 0


async def test_an_application_that_is_declared_anew_runs_as_declared_now(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    world.declare("apps: {web: {command: [sleep, '601']}}")
    again = await world.pid("web/0", other_than=pid)
    assert psutil.Process(again).cmdline() == ["sleep", "601"]
    assert world.decided() == ["start", "stop", "start"]


async def test_what_ignores_its_stop_signal_is_killed_after_its_grace(world: World) -> None:
    world.declare(
        "apps: {web: {command: [sh, -c, 'trap \"\" TERM; while :; do sleep 0.1; done'], stop: {grace: 100ms}}}"
    )
    pid = await world.pid("web/0")
    world.declare("apps: {}")
    await world.until(lambda: not world.shown("web/0"))
    assert started(pid) == 0


async def test_what_an_application_leaves_behind_ends_with_it(world: World) -> None:
    left = world.folder / "left"
    world.declare(f"apps: {{web: {{command: [sh, -c, 'sleep 600 & echo $! > {left}; wait'], restart: temporary}}}}")
    pid = await world.pid("web/0")
    child = int(await world.until(lambda: left.exists() and left.read_text()))
    os.kill(pid, signal.SIGKILL)
    await world.until(lambda: started(child) == 0)


async def test_a_person_stops_and_starts_an_instance(world: World) -> None:
    world.declare(SLEEP)
    pid = await world.pid("web/0")
    world.federation.post([Event("1", "person", "elias.app.request", "web", None, {"request": "stop"})])
    await world.until(lambda: started(pid) == 0)
    for _ in range(3):
        await world.step()
    assert world.shown("web/0")["status"] == "stopped"
    world.federation.post([Event("2", "person", "elias.app.request", "web", None, {"request": "start"})])
    await world.pid("web/0", other_than=pid)


async def test_a_group_restarts_together(world: World) -> None:
    world.declare(
        "groups: {pair: one_for_all}\n"
        "apps:\n"
        "  a: {command: [sleep, '600'], group: pair}\n"
        "  b: {command: [sleep, '600'], group: pair}\n"
        "  c: {command: [sleep, '600']}\n"
    )
    before = [await world.pid(f"{name}/0") for name in "abc"]
    os.kill(before[1], signal.SIGKILL)
    after = [await world.pid("a/0", other_than=before[0]), await world.pid("b/0", other_than=before[1])]
    assert all(psutil.pid_exists(pid) for pid in after)
    assert await world.pid("c/0") == before[2]
    assert (world.shown("a/0")["restarts"], world.shown("b/0")["restarts"]) == (0, 1)


async def test_a_failing_check_restarts_what_still_runs(world: World) -> None:
    sick = world.folder / "sick"
    world.declare(
        "apps: {web: {command: [sleep, '600'], "
        f"check: {{command: [test, '!', -e, {sick}], every: 50ms, after: 0s}}}}}}"
    )
    pid = await world.pid("web/0")
    sick.touch()
    await world.until(lambda: started(pid) == 0)
    sick.unlink()
    await world.pid("web/0", other_than=pid)
    assert "restart" in world.decided()


async def test_only_what_is_declared_passes_from_our_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_SECRET", "s3cret")
    out = world.folder / "env"
    command = f"env > {out}.new; mv {out}.new {out}; exec sleep 600"
    world.declare(f"apps: {{web: {{command: [sh, -c, '{command}'], env: {{TOKEN: 'env:OUR_SECRET', PORT: '80'}}}}}}")
    await world.until(out.exists)
    lines = out.read_text().splitlines()
    assert {"TOKEN=s3cret", "PORT=80"} <= set(lines)
    assert not any(line.startswith(("OUR_SECRET", "PYTEST")) for line in lines)
    ledger = b"".join(record.body for record in world.federation.store.read())
    assert b"s3cret" not in ledger
    assert b"env:OUR_SECRET" in ledger


async def test_output_goes_to_files_that_stay_small(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("managers.uam.instance.LOG_SIZE", 1000)
    world.declare("apps: {web: {command: [sh, -c, 'seq 1000; echo oops >&2; exec sleep 600']}}")
    await world.pid("web/0")
    folder = world.agent.folder / "apps" / "web.0"
    await world.until(lambda: (folder / "err.log").read_text() == "oops\n")
    world.processes.instances["web.0"].rotate()
    assert (folder / "out.log").stat().st_size == 0
    assert (folder / "out.log.1").read_text().splitlines()[-1] == "1000"


def test_a_record_names_a_process_for_good(tmp_path: Path) -> None:
    assert started(os.getpid()) > 0
    assert started(2**22 + 1) == 0
