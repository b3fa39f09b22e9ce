"""`elias policy tournament`: policies compete at each decision point, and the table of assignments that follows."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from federation.ledger.store import Store
    from federation.points import DecisionPoint
    from federation.policy.promotions import Estimate
    from federation.settings import Settings
    from training.dataset.store import DataSet
    from training.tournament.assignment import Assignment, Result
    from training.tournament.entrants import Field, Out
    from training.tournament.play import Paper, Played


def tournament(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="POLICY", help="Folders of policies that are not registered.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Play on decisions of the past: the data set of `elias train dataset`.")
    ] = None,
    points: Annotated[
        list[str] | None, typer.Option("--point", help="A decision point; can be given again. By default all.")
    ] = None,
    count: Annotated[int, typer.Option(min=100, help="Simulated questions of each point, without --data.")] = 1000,
    only: Annotated[bool, typer.Option("--only", help="Leave out what is registered and serves nowhere.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Register the winners among the folders, so that they are tried.")
    ] = False,
    json_: Json = False,
) -> None:
    """Let policies compete at each decision point, and say who should answer where.

    What the settings name, every registered policy and the folders given answer the same questions. A policy that is
    not whole, not signed where it has to be, not calibrated for the point, that answers what is not allowed or takes
    too long does not compete there, and the reason is told. GAIN is what a policy's choices bring more than the
    champion's, a question, in the unit of the point; its interval holds at the 95 % level for all policies at all
    points at once, so that one that is not better seldom looks so.

    Nobody comes into force by winning: with --apply a folder that wins is registered with what it is expected to gain,
    and `ulm.promotion` tries it in the shadow and in a canary. A policy that was registered before is promoted by hand.

    Examples:

        elias policy tournament policies/november policies/december

        elias policy tournament policies/november --data datasets/4f2a --point uam.restart

        elias policy tournament policies/november --apply
    """
    from managers.roster import POINTS  # noqa: PLC0415 - other commands need none of it
    from training.tournament.assignment import result  # noqa: PLC0415
    from training.tournament.play import play  # noqa: PLC0415

    settings = settings_of(context)
    papers = _papers(data, count)
    names = _names(points, sorted(papers))
    known = {point.name: point for point in POINTS}
    with _entered(settings, folders or (), only=only) as field:
        played = []
        with progress("points") as shown:
            for done, name in enumerate(names):
                shown(done, len(names))
                played.append(play(field, known[name], partial(papers[name], known[name]), settings.policy.deadline))
        found = result(field, played)
        winners = _winners(field, found.assignments)
        if json_:
            emit(_plain(field, played, found))
        else:
            _show(field, played, found)
        if apply:
            enrol(settings, winners)
        elif winners and not json_:
            say(f"--apply registers {', '.join(map(str, winners))}; `ulm.promotion` then decides how far it comes")


@contextmanager
def _entered(settings: "Settings", folders: Sequence[Path], *, only: bool) -> "Iterator[Field]":
    from training.tournament.entrants import field  # noqa: PLC0415 - ONNX Runtime

    store = _ledger(settings)
    try:
        found = field(settings, store, folders, only=only)
    finally:
        if store is not None:
            store.close()
    try:
        yield found
    finally:
        asyncio.run(found.close())


def _ledger(settings: "Settings") -> "Store | None":
    """None where nothing was ever started."""
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    if not settings.ledger.url and not (settings.state / "ledger.db").exists():
        return None
    return Store.open(settings.ledger_url, read_only=True)


def _papers(data: Path | None, count: int) -> "dict[str, Any]":
    """By point, what makes the questions."""
    from training.scenarios import generate  # noqa: PLC0415
    from training.tournament.play import OnRecord, Simulated  # noqa: PLC0415

    if data is None:

        def simulated(point: "DecisionPoint") -> "Paper":
            return Simulated(list(generate.generate(point.name, "test", count)))

        return dict.fromkeys(generate.points(), simulated)
    from training.dataset.store import load  # noqa: PLC0415

    held: DataSet = load(data)

    def on_record(point: "DecisionPoint") -> "Paper":
        own = [[one for one in split if one.point == point.name] for split in (held.train, held.validation, held.test)]
        return OnRecord(point, own[2], [*own[0], *own[1]])

    return {one.point: on_record for one in held.test}


def _names(points: list[str] | None, there: list[str]) -> list[str]:
    from managers.roster import POINTS  # noqa: PLC0415

    here = [name for name in there if name in {point.name for point in POINTS}]
    if not here:
        cure = "name another data set, or leave --data out: the simulated cluster asks questions of its own"
        raise Refused("no-decisions", "the split `test` has no decision of a known point", place="--data", cure=cure)
    for name in points or ():
        if name not in here:
            raise Refused(
                "no-questions", f"nothing is asked at `{name}`", place="--point", cure=f"one of: {', '.join(here)}"
            )
    return list(dict.fromkeys(points or here))


def _winners(field: "Field", assignments: "Sequence[Assignment]") -> "dict[Path, dict[str, Estimate]]":
    """By folder that was given, the estimates of the points at which it wins."""
    found: dict[Path, dict[str, Estimate]] = {}
    for one in assignments:
        entrant = next((e for e in field.everyone() if e.name == one.proposed), None)
        if one.estimate is not None and entrant is not None and entrant.folder is not None and entrant.given:
            found.setdefault(entrant.folder, {})[one.point] = one.estimate
    return found


def enrol(settings: "Settings", winners: "Mapping[Path, Mapping[str, Estimate]]") -> None:
    """Writes what each folder gains, by point, into its `estimates.json`, and registers it."""
    import msgspec  # noqa: PLC0415

    from federation.policy.artefacts import ESTIMATES, SIGNATURES  # noqa: PLC0415
    from managers.uim.cli.policy.registry import registered  # noqa: PLC0415

    if not winners:
        say("no folder that was given wins anywhere; nothing is registered")
    for folder, estimates in winners.items():
        (folder / ESTIMATES).write_bytes(msgspec.json.format(msgspec.json.encode(estimates, order="sorted")) + b"\n")
        if settings.policy.require_signature or (folder / SIGNATURES).exists():
            say(f"{folder}: its estimates are new, so sign it (`elias policy sign`) and register it")
            continue
        told = registered(settings, folder)
        say(f"{folder} is registered as {told['policy'][:12]}, to be tried at {', '.join(sorted(estimates))}")


def _plain(field: "Field", played: "Sequence[Played]", found: "Result") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from training.tournament.assignment import by_manager  # noqa: PLC0415
    from training.tournament.contest import scores  # noqa: PLC0415

    league = {name: score._asdict() for name, score in scores(found.pairs).items()}
    entrants = [{"policy": one.version, "name": one.called, "origin": one.origin} for one in field.everyone()]
    out = [left._asdict() for left in _out(field, played)]
    return {
        "policies": entrants,
        "out": out,
        "league": league,
        "managers": by_manager(found.assignments),
        **msgspec.to_builtins(found),
    }


def _out(field: "Field", played: "Sequence[Played]") -> "list[Out]":
    return [*field.out, *(left for one in played for left in one.out)]


def _show(field: "Field", played: "Sequence[Played]", found: "Result") -> None:
    from training.tournament.assignment import by_manager  # noqa: PLC0415
    from training.tournament.contest import scores  # noqa: PLC0415

    rows: list[tuple[str, ...]] = []
    for one in played:
        rows += _rows(one, found)
    table(("POINT", "POLICY", "REWARD", "GAIN", "95 % INTERVAL", "UNIT", "STANDS"), rows, "nothing was asked")
    print()
    named = {one.name: f"{one.called} ({one.origin})" for one in field.everyone()}
    league = [(name, named[name], *map(str, score)) for name, score in scores(found.pairs).items()]
    table(("POLICY", "NAME", "WON", "LOST", "OPEN"), league, "nobody competed")
    print()
    assigned = [
        (a.manager, a.point, a.now, a.proposed if a.proposed != a.now else "stays", a.failover, a.why)
        for a in found.assignments
    ]
    table(("MANAGER", "POINT", "NOW", "PROPOSED", "FAIL-OVER", "WHY"), assigned, "")
    print()
    managers = [
        (m, p, ", ".join(points)) for m, each in by_manager(found.assignments).items() for p, points in each.items()
    ]
    table(("MANAGER", "POLICY", "ANSWERS AT"), managers, "")
    for left in field.out:
        say(f"{left.policy} does not compete: {left.reason}" + (f"\n  cure: {left.cure}" if left.cure else ""))


def _rows(played: "Played", found: "Result") -> list[tuple[str, ...]]:
    point, champion = played.point.name, played.champion
    unit, rewards = played.point.outcome.unit, found.rewards.get(point, {})
    first = f"{rewards[champion]:.4g}" if champion in rewards else ""
    rows: list[tuple[str, ...]] = [(point, champion, first, "", "", unit, "champion")]
    for pair in found.pairs:
        if pair.point != point or champion not in (pair.one, pair.other):
            continue
        seen = pair if pair.other == champion else pair.turned()
        told = "" if seen.low is None else f"{seen.low:.3g} to {seen.high:.3g}"
        stands = {seen.one: "better", champion: "worse"}.get(seen.better, "no better")
        if seen.low is None:
            stands = f"alike: {seen.differing} of {seen.questions} answers differ"
        rows.append(("", seen.one, f"{rewards[seen.one]:.4g}", f"{seen.gain:+.3g}", told, "", stands))
    rows += [("", left.policy, "", "", "", "", f"out: {left.reason}") for left in played.out]
    return rows
