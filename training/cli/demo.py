"""`elias demo`: a simulated cluster, and ELIAS deciding about it."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import EliasError, Refused
from managers.uim import tokens
from managers.uim.cli.client import Api, url_of
from managers.uim.cli.output import Json, say
from training.cli.lines import document, line
from training.cli.place import Folder, Port, kept

if TYPE_CHECKING:
    from federation.settings import Settings
    from training.world.service import News

app = typer.Typer()

LOOK = 1.0  # seconds between two looks at what is new
PATIENCE = 20.0  # seconds until it goes on although not every node was heard
APPROVED = "urm.resource_pressure/migrate"  # cannot be taken back, so a person is asked before each


@app.command("demo")
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Of everything that happens.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=200, help="Simulated nodes.")] = 20,
    speed: Annotated[
        float, typer.Option(min=0.1, max=20, help="How much faster the world lives; ELIAS keeps its own time.")
    ] = 1.0,
    for_: Annotated[str, typer.Option("--for", help="End after so long, such as 10m; else at Ctrl-C.")] = "",
    folder: Folder = None,
    port: Port = 0,
    json_: Json = False,
) -> None:
    """Watch ELIAS run a simulated cluster.

    Twenty nodes, their jobs and applications and all that goes wrong with them exist in a simulation; ELIAS itself is
    the real one, on Ray, with a folder and a port of its own, beside whatever runs here. Nothing is done to this
    machine. What ELIAS decides is done to the simulation: a drained node gets no work, a restarted application comes
    back or does not.

    Open the page that it names. Within a minute there are decisions, failures and recoveries, and cases that wait for
    your answer. Ctrl-C ends everything and leaves nothing behind.

    Examples:

        elias demo

        elias demo --seed 7 --nodes 40 --for 10m

        elias demo --folder ./demo     # and in a second terminal: elias --config demo/elias.yaml cases
    """
    length = _seconds(for_)
    with _ended() as ended, kept(folder) as place:
        from federation.settings import load  # noqa: PLC0415 - pydantic takes a quarter of a second
        from training.world.folder import USUAL_PORT, free_port, prepare  # noqa: PLC0415

        post = free_port()
        config = prepare(place, port or free_port(USUAL_PORT), post)
        settings = load(config)
        with _up(settings, {"seed": seed, "nodes": nodes, "speed": speed, "post": post}):
            _greet(settings, config, nodes, json_)
            _follow(settings, time.monotonic() + length, ended, json_)
            say("draining")


def _seconds(text: str) -> float:
    from tiki.schema import Type  # noqa: PLC0415
    from tiki.values import canonical  # noqa: PLC0415

    if not text:
        return float("inf")
    try:
        length = canonical(Type.DURATION, text)
    except ValueError as error:
        raise Refused("bad-duration", str(error), place="--for", cure="write a duration as `90s` or `10m`") from None
    assert isinstance(length, int | float)
    return float(length)


@contextlib.contextmanager
def _ended() -> Iterator[list[int]]:
    """The signals that ask for the end, as they come."""
    received: list[int] = []
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _up(settings: "Settings", world: dict[str, Any]) -> Iterator[None]:
    """ELIAS with a simulated fleet in place of node agents."""
    from federation.runtime.processes import ActorSpec  # noqa: PLC0415 - Ray takes half a second
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim import launch  # noqa: PLC0415
    from training.world.folder import declared, reversible  # noqa: PLC0415

    arguments = {"settings": settings, "listeners": launch.LISTENERS, **world}
    fleet = ActorSpec("fleet", "training.world.service:FleetService", arguments)
    running = launch.up(settings, say, fleet)
    assert running is not None  # the folder is new
    try:
        api = Api(settings)
        for action in reversible(Roster(launch.ROSTER).points):
            api.put("/v1/modes", {"action": action, "mode": "act"})
        api.put("/v1/modes", {"action": APPROVED, "mode": "approve"})
        _await_nodes(api, world["nodes"])
        declared(settings.state.parent)
        yield
    finally:
        running.drain()


def _await_nodes(api: Api, nodes: int) -> None:
    """Applications are declared once there is somewhere to spread them: on the first node alone all would start."""
    end = time.monotonic() + PATIENCE
    while len(api.get("/v1/nodes")["nodes"]) < nodes and time.monotonic() < end:
        time.sleep(LOOK / 4)


def _greet(settings: "Settings", config: Path, nodes: int, json_: bool) -> None:
    link = f"{url_of(settings)}/login?token={tokens.read(settings.state)}"
    if json_:
        document({"kind": "up", "url": link, "config": str(config)})
        return
    print(
        f"""
ELIAS runs {nodes} simulated nodes; nothing on this machine is touched.

  page      {link}
  look at   the nodes (one that fails is drained, and readmitted when it is back), the decisions and why they
            were made, the cases: each waits for your answer
  commands  elias --config {config} status
  rules     {config.parent / "specs"}: edit one, and it holds for the next event

Ctrl-C ends it.
""",
        flush=True,
    )


def _follow(settings: "Settings", end: float, ended: list[int], json_: bool) -> None:
    """Say what happens until it is over."""
    import ray  # noqa: PLC0415

    from federation.runtime.service import NAMESPACE, actor_name  # noqa: PLC0415

    api, known, last = Api(settings), set[str](), 0
    while not ended and time.monotonic() < end:
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            told: list[News] = ray.get(ray.get_actor(actor_name("fleet"), NAMESPACE).tell.remote(last))
            for news in told:
                last = news.number
                line(_now(), news.kind, news.text, json_=json_, at_s=news.at)
        with contextlib.suppress(EliasError):
            for case in api.get("/v1/cases").get("cases", ()):
                if case["id"] not in known:
                    known.add(case["id"])
                    text = f"a case is waiting: {case['point']} about {case['subject']}"
                    line(_now(), "case", text, json_=json_, id=case["id"])
        time.sleep(LOOK)


def _now() -> str:
    return time.strftime("%H:%M:%S")
