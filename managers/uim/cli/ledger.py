"""ledger: the log itself, read directly: all of this works with everything down."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, complain, emit, progress, say

if TYPE_CHECKING:
    from federation.ledger.store import Head, Store
    from federation.ledger.verify import Report
    from federation.records import Record

app = typer.Typer(
    help="The log of everything: look, verify, export, replay. Works with everything down.", no_args_is_help=True
)

Url = Annotated[str, typer.Option("--url", help="Another ledger: a file or a database URL.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="ledger")


@contextmanager
def _open(context: typer.Context, url: str) -> "Iterator[Store]":
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    store = Store.open(url or settings_of(context).ledger_url, read_only=True)
    try:
        yield store
    finally:
        store.close()


@app.command()
def tail(
    context: typer.Context,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=100_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones, until Ctrl-C.")] = False,
    point: Annotated[str, typer.Option(help="Only of this decision point.")] = "",
    url: Url = "",
    json_: Json = False,
) -> None:
    """The newest records, oldest first.

    Examples:

        elias ledger tail -f

        elias ledger tail -n 1000 --point ufm.placement --json | jq .body.choice
    """
    points = [point] if point else []
    with _open(context, url) as store:
        last = store.head().size
        for record in reversed(store.latest(number, points=points, before=last + 1)):
            _show(record, json_)
        while follow:
            time.sleep(0.5)
            head = store.head().size
            for record in store.read(after=last, upto=head, points=points):
                _show(record, json_)
            last = head


def _show(record: "Record", json_: bool) -> None:
    from managers.uim.reading import iso  # noqa: PLC0415

    header = record.header
    if json_:
        fields = {name: getattr(header, name) for name in header.__struct_fields__}
        print(json.dumps({**fields, "body": json.loads(record.body)}, ensure_ascii=False), flush=True)
        return
    about = " ".join(filter(None, (header.point, header.subject, header.decision)))
    body = record.body.decode()
    print(
        f"{header.seq} {iso(header.time)} {header.writer} {header.kind} {about} {body[:160]}".replace("  ", " "),
        flush=True,
    )


@app.command()
def verify(
    context: typer.Context,
    bundle: Annotated[
        Path | None, typer.Argument(help="An audit bundle that `elias ledger export --format audit` wrote.")
    ] = None,
    witness: Annotated[str, typer.Option(help="SIZE:ROOT as an earlier verify printed it, kept elsewhere.")] = "",
    url: Url = "",
    json_: Json = False,
) -> None:
    """Compute every hash again and check every rule of the log. Exit code 1 names the first record that is wrong.

    A ledger can only prove that it was not changed since somebody noted its head elsewhere: keep the last line.

    An audit bundle is checked by itself, without a ledger: its records are in the log whose head it names, and a
    witness says whether that is the right one.

    Examples:

        elias ledger verify

        elias ledger verify --witness 5120:9f2c...

        elias ledger verify proof.jsonl
    """
    known = _head(witness) if witness else None
    report = _checked(bundle, known) if bundle is not None else _recomputed(context, url, known)
    fault = report.fault._asdict() if report.fault else None
    if json_:
        emit({"size": report.head.size, "root": report.head.root.hex(), "epoch": report.head.epoch, "fault": fault})
    elif report:
        root = report.head.root.hex()
        print(f"all of it is in the log of {report.head.size} records, root {root}" if bundle else str(report))
        print(f"witness: {report.head.size}:{report.head.root.hex()}")
    else:
        cure = "restore the ledger from a copy; what is before that record is sound"
        complain(str(report), cure="do not trust it: have it exported again" if bundle else cure)
    if fault:
        raise typer.Exit(1)


def _recomputed(context: typer.Context, url: str, witness: "Head | None") -> "Report":
    from federation.ledger.verify import verify as check  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    with _open(context, url) as store, progress("records") as shown:
        return check(store, shown, witness=witness)


def _checked(bundle: Path, witness: "Head | None") -> "Report":
    from federation.errors import Refused  # noqa: PLC0415
    from federation.ledger.export import check_bundle  # noqa: PLC0415
    from federation.ledger.verify import Fault, Report  # noqa: PLC0415

    try:
        with bundle.open(encoding="utf-8") as lines:
            report = check_bundle(lines)
    except (OSError, UnicodeDecodeError) as error:
        cure = "name a file that `elias ledger export --format audit` wrote"
        raise Refused("audit.file", f"{bundle} cannot be read: {error}", cure=cure) from None
    if report and witness is not None and (witness.size, witness.root) != (report.head.size, report.head.root):
        return Report(report.head, Fault(witness.size, witness.size, "the bundle is not of the witness's head"))
    return report


def _head(text: str) -> "Head":
    from federation.errors import Refused  # noqa: PLC0415
    from federation.ledger.store import Head  # noqa: PLC0415

    size, _, root = text.partition(":")
    try:
        return Head(int(size), 0, bytes.fromhex(root), 0)
    except ValueError:
        raise Refused("bad-witness", f"`{text}` is no witness", place="--witness", cure="write SIZE:ROOT") from None


@app.command()
def export(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(help="A file; `-` is standard output.")] = Path("-"),
    format: Annotated[
        Literal["jsonl", "audit"], typer.Option(help="Lines to read, or with a proof for each.")
    ] = "jsonl",
    decision: Annotated[str, typer.Option(help="Only the records of this decision.")] = "",
    url: Url = "",
) -> None:
    """The log for others: JSON lines, or an audit bundle that proves itself without the ledger.

    Examples:

        elias ledger export ledger.jsonl

        elias ledger export --format audit --decision 3f9a1c0b5d2e4f60718293a4b5c6d7e8 proof.jsonl
    """
    from federation.ledger import export as exporting  # noqa: PLC0415

    with _open(context, url) as store, progress("records") as shown:
        if str(output) == "-":
            count = exporting.export(store, sys.stdout, format, shown, decision=decision or None)
        else:
            with output.open("w", encoding="utf-8") as file:
                count = exporting.export(store, file, format, shown, decision=decision or None)
    say(f"{count} records")


@app.command()
def replay(context: typer.Context, url: Url = "", json_: Json = False) -> None:
    """Decide everything again from the records, and compare byte for byte. Exit code 1 when something differs.

    Example:

        elias ledger replay
    """
    from federation.replay import replay as again  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from managers.uim.launch import ROSTER  # noqa: PLC0415

    with _open(context, url) as store, progress("records") as shown:
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


@app.command()
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
    with _open(context, url) as store, progress("records") as shown:
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
