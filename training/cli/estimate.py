"""`elias policy estimate`: what a policy would have reached on decisions that were logged."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from federation.points import DecisionPoint
    from federation.policy.embedded import Embedded
    from training.dataset.example import Logged
    from training.dataset.store import DataSet


class _Other(NamedTuple):
    """Whom the policy is compared with, and by whose answers."""

    engine: "Embedded"
    answered: "list[DataSet]"


def estimate(
    data: Annotated[Path, typer.Option(help="Folder of the data set: `elias train dataset` makes one.")],
    policy: Annotated[Path | None, typer.Option(help="Folder of the policy; by default the one that ships.")] = None,
    points: Annotated[
        list[str] | None, typer.Option(help="A decision point; can be given again. By default all in the data set.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="test, or all: only for a policy that has learned nothing from this data set.")
    ] = "test",
    against: Annotated[
        Path | None, typer.Option(help="Folder of the policy that it is compared with by --answers.")
    ] = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a data set whose answers by people and advisors count; can be given again."),
    ] = None,
    json_: Json = False,
) -> None:
    """Estimate what a policy would have reached, from what another one decided.

    Nothing is decided and nothing is simulated: of logged decisions those are used that the policy then in force
    decided alone, with the probability of each candidate and the outcome of the one that was taken. This policy is
    taken to choose its best candidate each time.

    REWARD is the mean of a decision in the unit of the point, as a 95 % interval. LOGGED was reached; IPS, SNIPS, DR
    and SWITCH-DR estimate what would have been; GAIN is DR less what was reached: above 0 the policy is better.
    EFFECTIVE says how many decisions of its own would tell as much.

    A point is refused, with the reason, where the log cannot tell: nothing was explored, too few decisions are like
    those of this policy, or decisions change what comes of one another. With --against and --answers it is compared
    there with another policy by what people and advisors answered: RIGHT is the share of their answers that it chooses
    too, BEFORE that of the other one. Of the data set that it learned from the split `test` counts.

    Examples:

        elias policy estimate --data datasets/4f2a

        elias policy estimate --data datasets/4f2a --policy policies/new --points uam.restart

        elias policy estimate --data datasets/4f2a --policy policies/new --split all --json

        elias policy estimate --data datasets/4f2a --policy policies/new --against policies/old --answers datasets/4f2a
    """
    from federation.policy.embedded import Embedded  # noqa: PLC0415 - loads a model, which no other command needs
    from federation.policy.tier import SHIPPED  # noqa: PLC0415
    from managers.roster import POINTS  # noqa: PLC0415
    from training.dataset.store import load  # noqa: PLC0415
    from training.ope.target import parts  # noqa: PLC0415

    if (against is None) != (not answers):
        cure = "give both: --against FOLDER --answers FOLDER"
        raise Refused("no-comparison", "--against and --answers belong together", place="--against", cure=cure)
    held = load(data)
    asked, learned = parts(held, split)
    known = {point.name: point for point in POINTS}
    names = _names(points, asked, known)
    engine = Embedded(policy or SHIPPED)
    other = _Other(Embedded(against), [load(folder) for folder in answers or ()]) if against is not None else None
    found: dict[str, Any] = {}
    with progress("points") as shown:
        for done, name in enumerate(names):
            shown(done, len(names))
            try:
                found[name] = _point(engine, known[name], asked, learned)
            except Refused as refused:
                found[name] = {"refused": refused.code, "reason": refused.message, "cure": refused.cure}
                if other is not None:
                    found[name] |= _by_answers(engine, known[name], other)
    asyncio.run(_closed(engine, other))
    if json_:
        emit({"policy": engine.version, "data": held.digest, "split": split, "points": found})
    else:
        _show(found)
    if all("refused" in one and "answers" not in one for one in found.values()):
        raise typer.Exit(1)


def _names(points: list[str] | None, asked: "Sequence[Logged]", known: "dict[str, DecisionPoint]") -> list[str]:
    there = sorted({example.point for example in asked} & set(known))
    if not there:
        raise Refused("no-decisions", "this split has no decision of a known point", cure="name another data set")
    for name in points or ():
        if name not in there:
            cure = f"choose among: {', '.join(there)}"
            raise Refused("no-decisions", f"this split has no decision of `{name}`", place="--points", cure=cure)
    return list(dict.fromkeys(points or there))


def _point(
    engine: "Embedded", point: "DecisionPoint", asked: "Sequence[Logged]", learned: "Sequence[Logged] | None"
) -> dict[str, Any]:
    from msgspec import to_builtins  # noqa: PLC0415

    from training.ope import estimators  # noqa: PLC0415 - numpy, which no other command needs
    from training.ope.target import of_policy  # noqa: PLC0415
    from training.policy.embedded import batched  # noqa: PLC0415

    there, sample = of_policy(point, asked, learned, batched(engine, point.schema))
    estimates = {name: estimators.estimate(name, sample) for name in estimators.ESTIMATORS}
    return {
        "unit": point.outcome.unit,
        "decisions": len(there.examples),
        "elsewhere": there.elsewhere,
        "missing": there.missing,
        "effective": sample.effective(),
        "logged": to_builtins(estimators.logged(sample)),
        **{name: to_builtins(found) for name, found in estimates.items()},
        "gain": to_builtins(estimators.gain(sample)),
    }


def _by_answers(engine: "Embedded", point: "DecisionPoint", other: _Other) -> dict[str, Any]:
    from msgspec import to_builtins  # noqa: PLC0415

    from training.ope.answers import agreement  # noqa: PLC0415 - numpy
    from training.policy.embedded import batched  # noqa: PLC0415

    learned = str(engine.card.data.get("digest", ""))
    after, before = (batched(each, point.schema) for each in (engine, other.engine))
    found = agreement(point.schema, other.answered, learned, after, before)
    return {} if found is None else {"answers": to_builtins(found)}


async def _closed(engine: "Embedded", other: _Other | None) -> None:
    await engine.close()
    if other is not None:
        await other.engine.close()


def _show(found: dict[str, Any]) -> None:
    rows: list[tuple[str, ...]] = []
    for name, one in found.items():
        if "refused" in one:
            if "answers" in one:
                say(f"{name}: {one['reason']}, so people's answers tell")
                rows += _answered(name, one["answers"])
            else:
                say(f"{name}: {one['reason']}\n  cure: {one['cure']}")
            continue
        first = (name, str(one["decisions"]), f"{one['effective']:.0f}", one["unit"])
        for kind in ("logged", "ips", "snips", "dr", "switch-dr", "gain"):
            about = one[kind]
            reach = (f"{about['value']:.4g}", f"{about['low']:.4g} to {about['high']:.4g}")
            rows.append((*first[:1], kind, *reach, *first[1:]))
            first = ("", "", "", "")
    table(("POINT", "WHAT", "VALUE", "95 % INTERVAL", "DECISIONS", "EFFECTIVE", "UNIT"), rows, "nothing to tell")


def _answered(name: str, one: dict[str, Any]) -> list[tuple[str, ...]]:
    gain, unit = one["gain"], "share of the answers"
    return [
        (name, "right", f"{one['right']:.4g}", "", str(one["decisions"]), "", unit),
        ("", "before", f"{one['before']:.4g}", "", "", "", ""),
        ("", "gain", f"{gain['value']:.4g}", f"{gain['low']:.4g} to {gain['high']:.4g}", "", "", ""),
    ]
