"""list, register, promote, rollback, sign: which policies there are, which one answers where, and a word on that."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, progress, say, table, when

if TYPE_CHECKING:
    from federation.settings import Settings

Folder = Annotated[Path, typer.Argument(help="Folder of the policy, as training left it.")]
Point = Annotated[str, typer.Option("--point", "-p", help="The decision point, as `ufm.placement`.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]


def show(context: typer.Context, json_: Json = False) -> None:
    """The policies of the store, the newest first, and which of them answers or is on trial at which decision point.

    Examples:

        elias policy list

        elias policy list --json
    """
    found = Api(settings_of(context)).get("/v1/policies")
    if json_:
        emit(found)
        return
    rows = (
        (
            one["policy"][:12],
            one["name"],
            when(one["at"]),
            one["by"],
            ", ".join(one["signers"]) or "nobody",
            ", ".join(f"{point} {gain['improvement']:+.1f} %" for point, gain in sorted(one["estimates"].items())),
        )
        for one in found["policies"]
    )
    table(("policy", "name", "since", "by", "signed by", "expected gain"), rows, "no policy was registered yet")
    if found["points"] or found["waiting"]:
        print()
        columns = ("point", "champion", "challenger", "stage", "evidence")
        table(columns, [*map(_row, found["points"]), *map(_waiting, found["waiting"])], "")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    champion, trial = one["champion"][:12] or "of the settings", one["trial"]
    if trial is None:
        return one["point"], champion, "", "", ""
    if trial["stage"] == "shadow":
        seen = f"agreed on {trial['agreed']} of {trial['shadowed']}"
        return one["point"], champion, trial["challenger"][:12], "shadow", seen
    seen = f"{trial['difference']:+.3f} over {trial['units']} units, {trial['challenged']} of them its own"
    return one["point"], champion, trial["challenger"][:12], f"canary {trial['share']:.0%}", seen


def _waiting(one: dict[str, Any]) -> tuple[str, ...]:
    return one["point"], "", one["policy"][:12], "waits", ""


def register(context: typer.Context, folder: Folder, json_: Json = False) -> None:
    """Put a policy into the store of this installation, and let it be tried where it is expected to gain something.

    It is copied, checked whole, and goes on record. Where its folder has `estimates.json`, `ulm.promotion` decides
    what becomes of it; elsewhere nothing happens before `elias policy promote`.

    Examples:

        elias policy register runs/2026-11/policy

        elias policy register runs/2026-11/policy --json
    """
    told = registered(settings_of(context), folder)
    if json_:
        emit(told)
        return
    print(f"policy {told['policy'][:12]} is registered for {len(told['points'])} decision points")
    if told["waiting"]:
        print(f"it is tried at {', '.join(told['waiting'])}; `elias policy list` shows how it stands")
    else:
        say("it has no estimate, so nothing is tried by itself: `elias policy promote` takes the first step")


def registered(settings: "Settings", folder: Path) -> Any:
    """Copies it into the store and puts it on record; what the API says to that. Raises Refused."""
    from federation.policy import artefacts  # noqa: PLC0415 - other commands need none of it

    if not settings.state.is_dir():
        cure = "run it on the machine where ELIAS was started, as its user; or start it there: `elias up`"
        raise Refused("no-state", "there is no state folder to put it into", place=str(settings.state), cure=cure)
    before = {path.name for path in artefacts.place(settings.state).glob("*")}
    with progress("copying and checking") as report:
        found = artefacts.store(settings.state, folder)
        report(1, 1)
    try:
        return Api(settings).post("/v1/policies", {"policy": found.card.version, "source": str(folder)[-200:]})
    except Refused:
        if found.card.version not in before:  # else it could not come again with what it lacked, as a calibration
            shutil.rmtree(found.folder)
        raise


def promote(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="The policy, by 6 or more of its first digits.")],
    point: Point,
    champion: Annotated[bool, typer.Option("--champion", help="At once, without the steps between.")] = False,
    reason: Reason = "",
    json_: Json = False,
) -> None:
    """Take a policy one step further at a decision point: shadow, canary of 5, 20, 50 %, champion.

    Examples:

        elias policy promote 3f9a2c71 --point uam.restart

        elias policy promote 3f9a2c71 --point uam.restart --champion --reason "tried on the other cluster"
    """
    body = {"policy": version, "point": point, "to": "champion" if champion else "next", "reason": reason}
    _stood(Api(settings_of(context)).post("/v1/policies/promote", body), json_)


def rollback(context: typer.Context, point: Point, reason: Reason = "", json_: Json = False) -> None:
    """End the trial at a decision point; where none runs, bring back the champion before.

    It counts from the next decision on.

    Example:

        elias policy rollback --point uam.restart --reason "restarts too much"
    """
    body = {"point": point, "reason": reason}
    _stood(Api(settings_of(context)).post("/v1/policies/rollback", body), json_)


def _stood(told: dict[str, Any], json_: bool) -> None:
    if json_:
        emit(told)
        return
    champion = told["champion"][:12] or "the policy of the settings"
    print(f"{told['point']}: {champion} is the champion", end="")
    share = f" with {told['share']:.0%} of the units" if told["stage"] == "canary" else ""
    print(f", {told['policy'][:12]} stands in the {told['stage']}{share}" if told["stage"] else ", no trial runs")


def sign(
    folder: Folder,
    key: Annotated[Path, typer.Option("--key", "-k", help="The private key, from `elias bundle keygen`.")],
) -> None:
    """Put a signature into the folder of a policy. It covers weights, calibration and estimates.

    Example:

        elias policy sign runs/2026-11/policy --key ada.key
    """
    from federation.bundles import keys  # noqa: PLC0415 - OpenSSL
    from federation.policy import signatures  # noqa: PLC0415
    from managers.uim.cli.bundle.file import passphrase_from  # noqa: PLC0415

    private = keys.load_private(key, passphrase_from(f"Passphrase of {key}") if keys.is_locked(key) else b"")
    signed = signatures.sign(folder, private)
    known = keys.id_of(private.public_key())
    print(f"{folder}: policy {signed.card.version[:12]}, signed by {known}; signatures: {len(signed.signatures)}")
