"""`elias policy serve`: vLLM servers of a profile, until Ctrl-C."""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused, Temporary
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import progress, say

if TYPE_CHECKING:
    from federation.policy.profiles import Launch

LOOK = 0.5  # seconds between two looks at the servers
GRACE = 20.0  # seconds for a server to end by itself


def serve(
    context: typer.Context,
    profile: Annotated[str, typer.Option(help="cpu, one-gpu, 2x16gib-fp8, 2x16gib-tp2, or a file of your own.")],
    model: Annotated[
        str,
        typer.Option(help="Folder of the model, or its name in Hugging Face's cache; by default ELIAS' own policy."),
    ] = "",
    name: Annotated[
        str, typer.Option(help="Name to serve it under; by default its version, or its folder's name and precision.")
    ] = "",
    port: Annotated[
        int, typer.Option(min=1, max=65000, help="TCP port of the first server; the others follow.")
    ] = 8700,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key that callers must show; by default that of the settings.")
    ] = None,
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Let callers load LoRA adapters from any folder the server can read.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="For the servers to come up.")] = 900.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started, as shell commands.")] = False,
) -> None:
    """Start the vLLM servers of a profile on this machine, wait until they answer, and serve until Ctrl-C.

    Nothing is downloaded. The servers listen on loopback. On a cluster of which Ray owns the GPUs, run it as a job:
    URM admits it, UFM places it, and it uses the cards that it is given.

    Examples:

        elias policy serve --profile cpu

        elias policy serve --profile 2x16gib-fp8 --model deepseek-ai/deepseek-coder-6.7b-instruct --dry-run

        elias run --gpu 2 -- elias policy serve --profile 2x16gib-fp8 --model /models/deepseek-coder-6.7b-instruct
    """
    from federation.policy import profiles, tier, vllm  # noqa: PLC0415 - other commands need none of it

    chosen = profiles.load(profile)
    settings = settings_of(context)
    model = model or str(settings.policy.folder or tier.SHIPPED)
    called = name or profiles.served_name(model, chosen)
    key = key_file or settings.policy.key_file
    launches = profiles.launches(
        chosen,
        model,
        name=called,
        ports=[port + number for number in range(chosen.servers)],
        cards=_numbered(chosen.cards) if dry_run else _cards(chosen.cards),
        adapters=adapters,
    )
    if dry_run:
        for launch in launches:
            variables = [f"{name}={shlex.quote(value)}" for name, value in launch.environment.items()]
            print(" ".join([*variables, shlex.join(launch.command)]))
        return
    _can_start(model, launches)
    environment = {"VLLM_API_KEY": vllm.read_key(key)} if key else {}
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers: list[_Server] = []
    try:
        servers += (_Server(launch, environment, settings.state) for launch in launches)
        _wait(servers, timeout)
        asyncio.run(_ask(servers, called, environment.get("VLLM_API_KEY", ""), timeout))
        _greet(servers, called, key)
        _watch(servers)
    except KeyboardInterrupt:
        say("ending the servers")
    finally:
        _end(servers)


class _Server:
    """A process group, its log below the state folder."""

    def __init__(self, launch: "Launch", environment: dict[str, str], state: Path) -> None:
        self.url = launch.url
        self.log = state / f"vllm-{launch.url.rpartition(':')[2]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                launch.command,
                env={**os.environ, **launch.environment, **environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C comes here, and ends it from here
            )

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _wait(servers: Sequence[_Server], timeout: float) -> None:
    import httpx  # noqa: PLC0415 - a tenth of a second

    deadline = time.monotonic() + timeout
    say(f"logs: {', '.join(str(server.log) for server in servers)}")
    with progress("starting vLLM") as report, httpx.Client(trust_env=False, timeout=5) as client:
        well: set[str] = set()
        while len(well) < len(servers):
            report(len(well), len(servers))
            for server in servers:
                code = server.process.poll()
                if code is not None:
                    cure = "the end of its log says why"
                    raise Refused(
                        "vllm", f"vLLM ended with {code}: {_last(server.log)}", place=str(server.log), cure=cure
                    )
                with contextlib.suppress(httpx.HTTPError):
                    if client.get(f"{server.url}/health").status_code == httpx.codes.OK:
                        well.add(server.url)
            if time.monotonic() > deadline:
                raise Temporary(f"vLLM did not answer within {timeout:.0f} s; its log is {servers[0].log}")
            time.sleep(LOOK)


async def _ask(servers: Sequence[_Server], name: str, key: str, deadline: float) -> None:
    """One question to each: some models are loaded and can then not be computed, or have other labels."""
    from federation.policy.vllm import Vllm  # noqa: PLC0415 - as above

    for server in servers:
        engine = Vllm(server.url, name, key=key)
        try:
            await engine.health(deadline)
        except Temporary as error:
            cure = "the server's log says why"
            raise Refused("vllm", f"vLLM scores nothing: {error}", place=str(server.log), cure=cure) from None
        finally:
            await engine.close()


def _last(log: Path) -> str:
    """The last line of a log that names an error, without what vLLM puts before it."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "Error" in line]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _greet(servers: Sequence[_Server], name: str, key: Path | None) -> None:
    urls = [server.url for server in servers]
    for url in urls:
        say(f"serving {name} at {url}")
    say("Ctrl-C ends it. Put this into elias.yaml:\n")
    lines = ["policy:", "  engine: vllm", f"  replicas: [{', '.join(urls)}]", f"  model: {name}"]
    print("\n".join([*lines, f"  key_file: {key}"] if key else lines), flush=True)


def _watch(servers: Sequence[_Server]) -> None:
    """Until the last one has ended: the decisions go to those that are left."""
    left = list(servers)
    while left:
        for server in [one for one in left if one.process.poll() is not None]:
            left.remove(server)
            say(f"the server at {server.url} ended with {server.process.returncode}; its log is {server.log}")
        time.sleep(LOOK)
    raise Temporary("no vLLM server is left")


def _end(servers: Sequence[_Server]) -> None:
    for server in servers:
        server.signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for server in servers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(max(0.0, deadline - time.monotonic()))
        server.signal(signal.SIGKILL)  # what is left of its group
        server.process.wait()


# -- what has to be there -------------------------------------------------------------------------------------------


def _can_start(model: str, launches: "Sequence[Launch]") -> None:
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("vllm") is None:
        cure = "`pip install 'elias[serve]'` on a GPU machine; docs/policy/vllm.md says how on a CPU"
        raise Refused("vllm", "vLLM is not installed here", cure=cure)
    folder = Path(model)
    if model.startswith((".", "/", "~")) and not (folder / "config.json").is_file():
        cure = "name a folder in the layout of transformers: config.json, weights, tokenizer"
        raise Refused("model", "there is no model", place=model, cure=cure)
    for launch in launches:
        port = int(launch.url.rpartition(":")[2])
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                cure = "choose another with `--port`"
                raise Refused("port", f"port {port} cannot be used: {error.strerror}", cure=cure) from None


def _numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _cards(wanted: int) -> list[str]:
    """Ids of the GPUs that this process may use. Raises Refused when they are too few."""
    if not wanted:
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = [one for one in given.split(",") if one] if given is not None else _numbered(_devices())
    if len(found) < wanted:
        cure = "choose another profile, or `elias run --gpu` where Ray owns the GPUs"
        raise Refused("cards", f"the profile needs {wanted} GPUs, and {len(found)} can be used here", cure=cure)
    return found[:wanted]


def _devices() -> int:
    import pynvml  # noqa: PLC0415

    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError:
        return 0
