"""`elias train again`: everything from the ledger to a policy that can be tried, one command after another."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from federation import privatefile
from federation.clock import SECOND
from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, say

if TYPE_CHECKING:
    from federation.settings import Settings

CURRENT = "current"
PRESETS: Mapping[tuple[str, str], str] = {
    (CURRENT, "full"): "mini",
    ("deepseek-coder-6.7b", "qlora"): "deepseek-coder-6.7b-16gb",
    ("deepseek-coder-6.7b", "lora"): "deepseek-coder-6.7b-2x16gb",
    ("codellama-13b", "qlora"): "13b-16gb",
    ("codellama-34b", "qlora"): "34b-2x16gb",
}
"""By what training begins with, and the method."""

LEARNED = "policy"


class Step(NamedTuple):
    """command: words after `elias`. makes: what is there once it is done, where doing it twice is refused. spare: where
    it is refused the others go on, and it has said nothing."""

    name: str
    command: list[str]
    makes: Path | None = None
    spare: bool = False


def again(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of this training; the same one goes on after an interruption.")],
    objective: Annotated[str, typer.Option(help="grpo, dpo, kto, distil or sft.")] = "grpo",
    method: Annotated[str, typer.Option(help="full, lora or qlora.")] = "full",
    base: Annotated[str, typer.Option(help="`current`, or a model that lies below --models.")] = CURRENT,
    policy: Annotated[str, typer.Option(help="Version to go on from; by default that of the settings.")] = "",
    models: Annotated[
        Path | None, typer.Option(help="Folder of the base models; by default `models` in the state folder.")
    ] = None,
    changed: Annotated[
        list[str] | None, typer.Option(help="POINT=TIME: as of `elias train dataset`; can be given again.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the commands, and stop.")] = False,
    json_: Json = False,
) -> None:
    """Make a data set of what was decided, train on it, calibrate, estimate what is gained, and register the policy.

    It is calibrated on answers of people and advisors that it did not learn from: held-out ones of the data set, and
    those that came in while it was trained.

    This is what `ulm.base_model` starts. Each step is a command of its own, shown before it runs; what it says is kept
    in the folder. Once registered, `ulm.promotion` decides how far the policy comes.

    Examples:

        elias train again --out trainings/november --dry-run

        elias train again --out trainings/november --objective kto
    """
    settings = settings_of(context)
    config = ["--config", str(context.obj)] if context.obj is not None else []
    start = _start(settings, base, policy, models or settings.state / "models")
    preset = PRESETS.get((base, method))
    if preset is None:
        known = "; ".join(f"--base {b} --method {m}" for b, m in PRESETS)
        what = f"no preset trains `{base}` with `{method}`"
        cure = f"choose among: {known}. Or train it with a preset of your own: elias train {objective} --preset FILE"
        raise Refused("no-preset", what, place="--base, --method", cure=cure)
    data = out / "data"
    worlds = [word for one in changed or () for word in ("--changed", one)]
    collect = Step("dataset", ["train", "dataset", "--out", str(data), *worlds, "--json"])
    if dry_run:
        first, fresh = data / "DIGEST", since(out, "THEN")
        last = following(out, [first, _later(out)], start if base == CURRENT else None)
        steps = [collect, learn(out, first, start, preset, objective), fresh, *last]
        if json_:
            emit([["elias", *step.command] for step in steps])
            return
        for step in steps:
            print(f"elias {' '.join(step.command)}")
        return
    out.mkdir(parents=True, exist_ok=True)
    asked = {"objective": objective, "method": method, "base": base, "policy": str(start.resolve())}
    with _alone(out):
        _keep(out, {**asked, "changed": ", ".join(changed or ())})
        made = _done(collect, config, out)
        folder = Path(made["folder"])
        _done(learn(out, folder, start, preset, objective), config, out)
        came = _done(since(out, _after(made["ledger"]["time"])), config, out)
        held = [folder, *([Path(came["folder"])] if "folder" in came else [])]
        for step in following(out, held, start if base == CURRENT else None):
            said = _done(step, config, out)
            if step.name == "estimate":
                _expect(out / LEARNED, said)
    if json_:
        emit(said)
        return
    print(f"policy {said['policy'][:12]} is registered for {len(said['points'])} decision points")


def learn(out: Path, data: Path, start: Path, preset: str, objective: str) -> Step:
    made = out / LEARNED
    words = ["train", objective, "--data", str(data), "--preset", preset, "--from", str(start), "--out", str(made)]
    return Step("learn", [*words, "--json"], made / "card.json")


def since(out: Path, time: str) -> Step:
    """A data set of what was decided meanwhile; there may be nothing."""
    return Step("meanwhile", ["train", "dataset", "--since", time, "--out", str(_later(out)), "--json"], spare=True)


def _later(out: Path) -> Path:
    return out / "meanwhile"


def _after(time: int) -> str:
    """The first whole second after a ledger time (ns)."""
    return datetime.fromtimestamp(time // SECOND + 1, UTC).isoformat()


def following(out: Path, held: Sequence[Path], before: Path | None) -> list[Step]:
    """The steps after training. held: folders of the data sets, the one that it learned from first. before: folder of
    the policy that it is compared with where the log cannot tell; None: with nothing."""
    made = out / LEARNED
    data = [word for folder in held for word in ("--data", str(folder))]
    answers = [word for folder in held for word in ("--answers", str(folder))]
    against = ["--against", str(before), *answers] if before is not None else []
    estimate = ["policy", "estimate", "--data", str(held[0]), "--policy", str(made), *against, "--json"]
    return [
        Step("calibrate", ["policy", "calibrate", str(made), *data], made / "calibration.json"),
        Step("estimate", estimate, spare=True),
        Step("register", ["policy", "register", str(made), "--json"]),
    ]


def expected(said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What `elias policy estimate --json` said, as the `estimates.json` of a policy: in percent of what was reached;
    where the log could not tell, of people's answers. A point where neither is known, or nothing was reached, is left
    out: nothing is tried there by itself."""
    found = {}
    for point, one in said.get("points", {}).items():
        about, of = (one["answers"], "answers") if "answers" in one else (one, "reward")
        reached = 1.0 if of == "answers" else about.get("logged", {}).get("value")
        if reached:
            gain = {name: 100 * about["gain"][name] / abs(reached) for name in ("value", "low")}
            known = {"improvement": gain["value"], "low": gain["low"], "speed": None, "of": of}
            found[point] = {**known, "decisions": about["decisions"]}
    return found


def _expect(made: Path, said: Mapping[str, Any]) -> None:
    text = json.dumps(expected(said), indent=2, sort_keys=True) + "\n"
    privatefile.write(made / "estimates.json", text.encode())


def _start(settings: "Settings", base: str, policy: str, models: Path) -> Path:
    """Folder of what training begins with. Raises Refused."""
    from federation.policy import artefacts, card  # noqa: PLC0415 - needed by no other command of `elias train`
    from federation.policy.tier import SHIPPED  # noqa: PLC0415

    if base != CURRENT:
        if (models / base).is_dir():
            return models / base
        raise Refused("no-model", f"there is no model `{base}`", place=str(models), cure="put its folder there")
    named = settings.policy.folder or SHIPPED
    if not policy or card.version_of(named) == policy:
        return named
    kept = artefacts.place(settings.state, policy)
    if kept.is_dir():
        return kept
    cure = "`elias policy list` shows those there are"
    raise Refused("no-policy", f"policy {policy[:12]} is not in the store", place="--policy", cure=cure)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Holds the folder until this process and its steps have ended: what was killed may have left one at work."""
    with (out / "lock").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{out}: another training works in this folder; waiting for its end")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _keep(out: Path, asked: Mapping[str, str]) -> None:
    """What this training is asked for, by option. Raises Refused where steps of another one are done in the folder."""
    path = out / "asked.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else asked
    other = [f"--{name}" for name, value in asked.items() if before.get(name) != value]
    if other and (out / "dataset.json").exists():
        said = f"the training that was begun here has another {' and another '.join(other)}"
        raise Refused("other-training", said, place=str(out), cure="name another folder with --out, or remove this one")
    privatefile.write(path, (json.dumps(asked, indent=2) + "\n").encode())


def _done(step: Step, config: list[str], out: Path) -> dict[str, Any]:
    """What the step said, now or before an interruption. Raises Refused where it fails."""
    kept = out / f"{step.name}.json"
    if not kept.exists():
        there = step.makes is not None and step.makes.exists()
        said = "{}" if there else _said(step, config, out)
        privatefile.write(kept, said.encode())
    found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return found


def _said(step: Step, config: list[str], out: Path) -> str:
    from managers.uim.cli.app import REFUSED  # noqa: PLC0415 - it imports this module

    say(f"elias {' '.join(step.command)}")
    words = [sys.executable, "-m", "managers.uim.cli", *config, *step.command]
    ran = subprocess.run(words, stdout=subprocess.PIPE, check=False, text=True, close_fds=False)
    if ran.returncode < 0:  # as a shell says it, so that whoever runs this knows that it is no fault of the command
        say(f"it was ended by {signal.Signals(-ran.returncode).name}; the same command goes on in {out}")
        raise typer.Exit(128 - ran.returncode)
    if ran.returncode and not (step.spare and ran.returncode == REFUSED):
        cure = f"the lines above say why; with that cured, the same command goes on in {out}"
        raise Refused("training", f"`elias {' '.join(step.command[:2])}` failed", place=str(out), cure=cure)
    return ran.stdout.strip() if "--json" in step.command and ran.stdout.strip() else "{}"
