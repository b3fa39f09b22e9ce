"""ledger verify, replay, rescore: whether the record holds, and whether it would come out the same again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.ledger.shared import Url, reading
from managers.uim.cli.output import Json, complain, emit, progress

if TYPE_CHECKING:
    from federation.ledger.store import Head
    from federation.ledger.verify import Report


def verify(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An audit bundle of `elias ledger export`, or a back-up.")] = None,
    witness: Annotated[str, typer.Option(help="SIZE:ROOT as an earlier verify printed it, kept elsewhere.")] = "",
    url: Url = "",
    json_: Json = False,
) -> None:
    """Compute every hash again and check every rule of the log. Exit code 1 names the first record that is wrong.

    A ledger can only prove that it was not changed since somebody noted its head elsewhere: keep the last line.

    An audit bundle is checked by itself, without a ledger: its records are in the log whose head it names, and a
    witness says whether that is the right one. A back-up likewise: every part of it, and every record.

    Examples:

        elias ledger verify

        elias ledger verify --witness 5120:9f2c...

        elias ledger verify proof.jsonl
    """
    known = _head(witness) if witness else None
    report = _recomputed(context, url, known) if file is None else _checked(file, known)
    fault = report.fault._asdict() if report.fault else None
    if json_:
        emit({"size": report.head.size, "root": report.head.root.hex(), "epoch": report.head.epoch, "fault": fault})
    elif report:
        root = report.head.root.hex()
        print(str(report) if file is None else f"all of it is in the log of {report.head.size} records, root {root}")
        print(f"witness: {report.head.size}:{report.head.root.hex()}")
    else:
        cure = "restore the ledger from a back-up; what is before that record is sound"
        complain(str(report), cure=cure if file is None else "do not trust it: have it made again")
    if fault:
        raise typer.Exit(1)


def _recomputed(context: typer.Context, url: str, witness: "Head | None") -> "Report":
    from federation.ledger.verify import verify as check  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    with reading(context, url) as store, progress("records") as shown:
        return check(store, shown, witness=witness)


def _checked(file: Path, witness: "Head | None") -> "Report":
    from federation.ledger.backup import archive  # noqa: PLC0415
    from federation.ledger.verify import Fault, Report  # noqa: PLC0415

    report = _checked_backup(file) if archive.is_backup(file) else _checked_bundle(file)
    if report and witness is not None and (witness.size, witness.root) != (report.head.size, report.head.root):
        return Report(report.head, Fault(witness.size, witness.size, "the file is not of the witness's head"))
    return report


def _checked_backup(file: Path) -> "Report":
    from federation.ledger.backup import restoring  # noqa: PLC0415
    from federation.ledger.verify import Report  # noqa: PLC0415

    with progress("records") as shown:
        return Report(restoring.check(file, shown))


def _checked_bundle(file: Path) -> "Report":
    from federation.errors import Refused  # noqa: PLC0415
    from federation.ledger.export import check_bundle  # noqa: PLC0415

    try:
        with file.open(encoding="utf-8") as lines:
            return check_bundle(lines)
    except (OSError, UnicodeDecodeError) as error:
        cure = "name a file that `elias ledger export --format audit` or `elias ledger backup` wrote"
        raise Refused("audit.file", f"{file} cannot be read: {error}", cure=cure) from None


def _head(text: str) -> "Head":
    from federation.errors import Refused  # noqa: PLC0415
    from federation.ledger.store import Head  # noqa: PLC0415

    size, _, root = text.partition(":")
    try:
        return Head(int(size), 0, bytes.fromhex(root), 0)
    except ValueError:
        raise Refused("bad-witness", f"`{text}` is no witness", place="--witness", cure="write SIZE:ROOT") from None


def replay(context: typer.Context, url: Url = "", json_: Json = False) -> None:
    """Decide everything again from the records, and compare byte for byte. Exit code 1 when something differs.

    Example:

        elias ledger replay
    """
    from federation.replay import replay as again  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    with reading(context, url) as store, progress("records") as shown:
        found = again(store, Roster(ROSTER).points, shown)
    counts = {
        "decisions": found.decisions,
        "by_rule": found.by_rule,
        "by_others": found.by_others,
        "waiting": found.waiting,
    }
    if json_:
        differences = [
            {"seq": d.seq, "decision": d.decision, "recorded": d.recorded, "replayed": d.replayed}
            for d in found.differences
        ]
        emit({**counts, "identical": found.identical, "differences": differences})
    else:
        print(f"{found.decisions} decisions, {found.by_rule} judged anew; {len(found.differences)} differ")
        for d in found.differences[:10]:
            complain(f"record {d.seq}: recorded {d.recorded}, replayed {d.replayed}", f"decision {d.decision}")
    if not found.identical:
        raise typer.Exit(1)


def rescore(context: typer.Context, url: Url = "", json_: Json = False) -> None:
    """Ask the embedded policy again what it was asked on record, and say which choices would be others today.

    Scores agree between engines to some digits only, so a replay takes them as recorded; this is the other check. Exit
    code 1 when a choice flips.

    Example:

        elias ledger rescore
    """
    from federation.policy.embedded import Embedded  # noqa: PLC0415 - ONNX Runtime
    from federation.policy.tier import SHIPPED, Tier  # noqa: PLC0415
    from federation.rescore import rescore as again  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    policy = settings_of(context).policy
    engine = Embedded(policy.folder or SHIPPED)
    with reading(context, url) as store, progress("records") as shown:
        found = again(store, Roster(ROSTER).points, engine, Tier.of(policy), shown)
    flips = [msgspec.to_builtins(flip) for flip in found.flips]
    if json_:
        counts = {"policy": found.policy, "scored": found.scored, "other_policy": found.other, "apart": found.apart}
        emit({**counts, "flips": flips})
    else:
        print(f"{found.scored} questions scored again, {found.other} of them first by another policy")
        print(f"{len(flips)} choices flip; no probability moved by more than {found.apart:.2g}")
        for flip in found.flips[:10]:
            (before, was), (after, now) = flip.recorded, flip.rescored
            complain(f"{before} ({was:.1%}) would be {after} ({now:.1%})", f"decision {flip.decision}")
    if flips:
        raise typer.Exit(1)
