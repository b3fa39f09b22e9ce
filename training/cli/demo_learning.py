"""`elias demo-learning`: a world that changes, and ELIAS that notices, learns, tries and promotes."""

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from managers.uim import tokens
from managers.uim.cli.client import Api, url_of
from managers.uim.cli.output import Json, say, table
from training.cli.lines import document, line
from training.cli.place import Folder, Port, kept
from training.extra import LEARNING, require

if TYPE_CHECKING:
    from federation.settings import Settings
    from training.demo_learning.findings import Found

app = typer.Typer()

ACTS = (
    "urm.resource_pressure/scale_out",
    "urm.resource_pressure/scale_in",
    "ulm.calibration/recalibrate",
    "ulm.base_model/train",
    "ulm.promotion/advance",
    "ulm.promotion/promote",
    "ulm.promotion/roll_back",
)
"""What only says what it would do as ELIAS ships, and is to be done here: what an operator says with `elias mode`."""

SHORTENED = """\
shortened here (docs/training/demo.md): a unit of a canary lasts 10 s (1 h as shipped), its steps 1 min (1 h);
50 % of the policy's answers explore (none); an operator of 99 % skill answers within seconds"""


@app.command("demo-learning")
def demo_learning(
    seed: Annotated[int, typer.Option(min=0, help="Of everything that happens.")] = 1,
    rate: Annotated[float, typer.Option(min=1, max=200, help="Questions a second while the policy answers.")] = 30.0,
    folder: Folder = None,
    port: Port = 0,
    json_: Json = False,
) -> None:
    """Watch ELIAS learn a world that changes under it, and keep a bad policy out.

    The world is simulated, ELIAS is the real one, on Ray, with a folder and a port of its own; nothing is done to this
    machine. Some thousand questions are decided by the shipped policy. Then the world changes, and all that follows
    ELIAS does by itself: the audit notices, the point goes up a tier, a training runs as a job, and what comes of it is
    tried step by step. At last somebody slips in a policy that was trained on shuffled labels. It takes about 20
    minutes on two cores, and needs `pip install 'elias[train]'`.

    Ends with status 1 where something did not hold that was promised, and says what.

    Examples:

        elias demo-learning

        elias demo-learning --seed 7 --folder ./demo

        elias demo-learning --json
    """
    from federation.settings import load  # noqa: PLC0415 - pydantic takes a quarter of a second
    from training.demo_learning.folder import prepare  # noqa: PLC0415
    from training.demo_learning.story import Story  # noqa: PLC0415
    from training.world.folder import USUAL_PORT, free_port  # noqa: PLC0415

    require("learning", LEARNING)
    for number in (signal.SIGINT, signal.SIGTERM):  # either ends what runs here in order
        signal.signal(number, signal.default_int_handler)
    with kept(folder) as place:
        config = prepare(place, port or free_port(USUAL_PORT))
        settings = load(config)
        with _up(settings, seed):
            link = f"{url_of(settings)}/login?token={tokens.read(settings.state)}"
            if json_:
                document({"kind": "up", "url": link, "config": str(config)})
            else:
                print(f"\npage  {link}\n{SHORTENED}\n", flush=True)

            def tell(at: float, kind: str, text: str) -> None:
                clock = time.strftime("%M:%S", time.gmtime(at))
                line(clock, kind, text, json_=json_, at_s=round(at, 1))

            story = Story(settings, config, seed, rate, tell)
            try:
                found = story.tell()
            finally:
                story.close()
            say("draining")
    raise typer.Exit(_end(found, json_=json_))


@contextlib.contextmanager
def _up(settings: "Settings", seed: int) -> Iterator[None]:
    """ELIAS with its own agent on this machine, and the simulated nodes beside it."""
    from federation.runtime.processes import ActorSpec  # noqa: PLC0415 - Ray takes half a second
    from managers.uim import launch  # noqa: PLC0415
    from training.demo_learning.story import NODES  # noqa: PLC0415

    arguments = {"settings": settings, "listeners": launch.LISTENERS, "seed": seed, "count": NODES}
    fleet = ActorSpec("fleet", "training.demo_learning.nodes:NodesService", arguments)
    running = launch.up(settings, say, fleet, beside=True)
    assert running is not None  # the folder is new
    try:
        api = Api(settings, as_owner=True)
        for action in ACTS:
            api.put("/v1/modes", {"action": action, "mode": "act"})
        yield
    finally:
        running.drain()


def _end(found: "Found", *, json_: bool) -> int:
    """Says what was found; the exit status."""
    from training.demo_learning.findings import promises, rows  # noqa: PLC0415 - msgspec

    kept = list(promises(found))
    broken = [one for one in kept if not one.kept]
    if json_:
        import msgspec  # noqa: PLC0415

        held = [{"promise": one.what, "held": one.kept, "figures": one.figures} for one in kept]
        document({"kind": "end", "held": not broken, "promises": held, **msgspec.to_builtins(found)})
        return int(bool(broken))
    print()
    table(("WHAT", "FIGURE", "95 % INTERVAL"), rows(found), "nothing was measured")
    print()
    for one in kept:
        print(f"{'held    ' if one.kept else 'NOT HELD'}  {one.what}\n            {one.figures}")
    print(f"\n{found.decisions} decisions in {found.seconds / 60:.1f} minutes")
    return int(bool(broken))
