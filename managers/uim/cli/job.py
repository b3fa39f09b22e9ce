"""run: a command as a job on the cluster, as if it ran here."""

import getpass
import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say
from managers.uim.jobstates import ENDED

LOOK = 0.3  # seconds between two looks at a job


def add_to(app: typer.Typer) -> None:
    app.command(context_settings={"allow_interspersed_args": False})(run)


def run(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="The command, after `--`.", show_default=False)],
    gpu: Annotated[int, typer.Option("--gpu", "-g", min=0, help="Whole GPUs.")] = 0,
    gpu_share: Annotated[float | None, typer.Option(min=0.01, max=1, help="A share of one GPU instead.")] = None,
    memory: Annotated[str, typer.Option("--memory", "-m", help="`8GB` or `8GiB`.")] = "0B",
    cpu: Annotated[float, typer.Option("--cpu", min=0, help="Cores.")] = 1,
    model: Annotated[list[str] | None, typer.Option(help="Only on GPUs of this model; may be given again.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only on nodes with this label; may be given again.")] = None,
    restartable: Annotated[bool, typer.Option(help="It may begin anew on another node when its own is lost.")] = False,
    anywhere: Annotated[bool, typer.Option(help="Another cluster may run it, without the files of this one.")] = False,
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    name: Annotated[str, typer.Option(help="The id of the job; made up by default.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is submitted.")] = False,
    json_: Json = False,
) -> None:
    """Run a command on the cluster: admitted by URM, placed by UFM, its output here.

    Ends with the exit code of the command. Ctrl-C leaves the job running.

    Examples:

        elias run -- nvidia-smi

        elias run --gpu 1 --memory 8GB --cpu 2 -- python train.py --epochs 3

        elias run --detach --json -- sleep 60
    """
    data: dict[str, Any] = {
        "command": command,
        "cpus": cpu,
        "memory": _bytes(memory),
        "gpus": gpu,
        "priority": priority,
        "models": model or [],
        "labels": label or [],
        "restartable": restartable,
        "anywhere": anywhere,
        "cwd": os.getcwd(),
    }
    if gpu_share is not None:
        data["gpu_share"] = gpu_share
    job = name or f"{Path(command[0]).name[:24]}-{secrets.token_hex(4)}"
    submit(Api(settings_of(context)), job, data, detach=detach, json_=json_)


def submit(api: Api, job: str, data: dict[str, Any], *, detach: bool = False, json_: bool = False) -> None:
    """Submits a job under this id, shows what becomes of it and its output, and ends with its exit code. data: of the
    event. detach: ends once it is submitted."""
    event = {
        "specversion": "1.0",
        "id": job,
        "source": f"elias/cli/{getpass.getuser()}",
        "type": "elias.job.submitted",
        "subject": job,
        "data": data,
    }
    (admission, *_) = api.post("/v1/events", event)["decisions"]
    if admission.get("duplicate"):
        raise Refused("job-exists", f"job `{job}` was submitted before", place="--name", cure="take another name")
    if admission["status"] == "waiting":
        say(f"{job}: a person is to admit it: `elias cases answer {admission['id']} admit`")
    else:
        say(f"{job}: {admission['action']}, by {admission.get('clause') or admission['tier']}")
    if detach:
        if json_:
            emit({"job": job, "admission": admission})
        else:
            print(job)
        return
    ended = _followed(api, job)
    if json_:
        emit(ended)
    code = ended["exit_code"]
    if ended["state"] != "done":
        say(f"{job}: {state_words(ended)}")
    raise typer.Exit(code if code is not None else 1)


def _followed(api: Api, job: str) -> dict[str, Any]:
    """Shows what becomes of a job until it ends; its last state."""
    shown, streamed = "", False
    while True:
        now: dict[str, Any] = api.get(f"/v1/jobs/{job}")
        state = now["state"]
        if state in ENDED:
            if now["exit_code"] is not None and not streamed and not now["peer"]:
                _stream(api, job)
            return now
        words = f"{job}: {state_words(now)}"
        if words != shown:
            say(words)
            shown = words
            if state == "case":
                _say_how_to_go_on(api, now)
        if state == "running" and not streamed:
            _stream(api, job)
            streamed = True
        time.sleep(LOOK)


def _say_how_to_go_on(api: Api, job: dict[str, Any]) -> None:
    """What a person does about a job that waits for one."""
    if api.get("/v1/freeze")["frozen"]:
        say("  effects are frozen: `elias unfreeze` first, then answer the case")
    mine = {decision["id"] for decision in (job["admission"], job["placement"]) if decision}
    about = {("gate.approval", job["id"]), ("gate.withheld", "ufm.placement/place")}
    open_ = api.get("/v1/cases", limit=500)["cases"]
    cases = [c for c in open_ if c["id"] in mine or (c["point"], c["subject"]) in about]
    for case in cases:
        actions = " or ".join(dict.fromkeys(option["action"] for option in case["options"]))
        say(f"  answer it: `elias cases answer {case['id']} ACTION`, with {actions}")
    if not cases:
        say("  `elias cases` shows what waits for you, and how to answer it")
    say("  Ctrl-C leaves the job waiting; it goes on when the case is answered")


def state_words(job: dict[str, Any]) -> str:
    """Where a job stands: `running on n1`, `failed on n1 with exit code 7`, `waiting: no room`."""
    where = f" at {job['peer']}" if job["peer"] else f" on {job['node']}" if job["node"] else ""
    if job["exit_code"]:
        return f"{job['state']}{where} with exit code {job['exit_code']}"
    detail = f": {job['detail']}" if job["detail"] and job["state"] not in ("running", "forwarded", "done") else ""
    return f"{job['state']}{where}{detail}"


def _stream(api: Api, job: str) -> None:
    for text in api.stream(f"/v1/jobs/{job}/logs"):
        print(text, end="", flush=True)


def _bytes(text: str) -> int:
    from tiki.schema import Type  # noqa: PLC0415
    from tiki.values import canonical  # noqa: PLC0415 - the language is not needed for `--help`

    try:
        value = canonical(Type.BYTES, text)
    except ValueError as error:
        raise Refused("bad-size", str(error), place="--memory", cure="write `8GB` or `8GiB`") from None
    assert isinstance(value, int)
    return value
