"""`elias train data`: the questions of the simulated cluster, and how good they are."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.quality import Quality, Reach
    from training.scenarios.scenario import Example


def data(
    point: Annotated[
        list[str] | None, typer.Argument(help="Decision points; by default all that have a world.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, validation, temperature, threshold, test or held_out.")
    ] = "validation",
    count: Annotated[int, typer.Option(min=1, help="Questions of each point.")] = 500,
    start: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write them to this file, one JSON document a line.")] = None,
    json_: Json = False,
) -> None:
    """Draw questions of the simulated cluster, and show how good they are.

    Every question is asked through the shipped specs and comes with the outcome of each of its candidates. The same
    split, count and start give the same questions on every machine; the digest names the generator.

    RANDOM, RULES and BEST are the shares that are right: of a choice at random, of rules alone, and of the best
    possible choice. With one point its facts and actions are shown too.

    Examples:

        elias train data

        elias train data ufm.dispatch --split held_out --count 2000

        elias train data urm.package --split train --count 10000 --out package.jsonl
    """
    from training.quality import measure  # noqa: PLC0415 - reads the worlds, which other commands need not
    from training.scenarios.generate import SPLITS, digest, points, scenario  # noqa: PLC0415

    if split not in SPLITS:
        raise Refused("no-split", f"there is no split `{split}`", cure=f"choose one of: {', '.join(SPLITS)}")
    for name in point or ():
        if name not in points():
            cure = f"choose among: {', '.join(points())}"
            raise Refused("no-world", f"there is no simulated world for the decision point `{name}`", cure=cure)
    chosen = tuple(dict.fromkeys(point or points()))
    found: list[Quality] = []
    with _opened(out) as file, progress("questions") as shown:
        for at, name in enumerate(chosen):
            drawn = _counted(scenario(name).examples(split, count, start), shown, at * count, len(chosen) * count)
            found.append(measure(scenario(name), drawn if file is None else _written(drawn, file)))
    if out is not None:
        say(f"{len(chosen) * count} questions written to {out}")
    if json_:
        emit({"digest": digest(), "split": split, "start": start, "count": count, "points": [_plain(q) for q in found]})
        return
    _show(found)
    say(f"generator {digest()}")


def _opened(out: Path | None) -> "IO[bytes] | nullcontext[None]":
    if out is None:
        return nullcontext()
    try:
        return out.open("wb")
    except OSError as error:
        raise Refused("no-file", f"{out} cannot be written: {error.strerror}", cure="name another file") from None


def _counted(
    examples: "Iterable[Example]", shown: "Callable[[int, int], None]", before: int, total: int
) -> "Iterator[Example]":
    for done, example in enumerate(examples, before + 1):
        yield example
        shown(done, total)


def _written(examples: "Iterable[Example]", file: IO[bytes]) -> "Iterator[Example]":
    import msgspec  # noqa: PLC0415

    for example in examples:
        question = example.question
        line = {
            "point": question.point,
            "family": example.family,
            "settings": question.settings,
            "facts": question.facts,
            "candidates": question.candidates,
            "right": example.right,
            "outcomes": example.outcomes,
        }
        file.write(msgspec.json.encode(line) + b"\n")
        yield example


def _show(found: "list[Quality]") -> None:
    rows = [
        (q.point, family, *_reach(reach), _percent(getattr(reach, "consults", None)))
        for q in found
        for family, reach in (*q.families.items(), ("all", q.overall))
    ]
    table(("POINT", "FAMILY", "QUESTIONS", "CHOICES", "RANDOM", "RULES", "BEST", "CONSULTS"), rows, "no questions")
    print()
    diversity = [
        (
            q.point,
            f"{q.diversity:.2f}",
            f"{q.entropy:.2f}",
            _percent(q.balance),
            _percent(q.duplicates),
            _percent(q.near),
        )
        for q in found
    ]
    table(("POINT", "FACTS, BITS", "ANSWERS, BITS", "BALANCE", "DUPLICATES", "NEARLY"), diversity, "no questions")
    if len(found) == 1:
        _show_one(found[0])


def _show_one(quality: "Quality") -> None:
    print()
    rows = [
        (name, _percent(c.known), _percent(c.absent), _percent(c.unknown), _percent(c.coverage), f"{c.entropy:.2f}")
        for name, c in quality.columns.items()
    ]
    table(("FACT", "KNOWN", "ABSENT", "UNKNOWN", "COVERED", "BITS"), rows, "no facts")
    print()
    answers = [(name, _percent(one.offered), _percent(one.right)) for name, one in quality.actions.items()]
    table(("ACTION", "OFFERED", "BEST CHOICE"), answers, "no actions")


def _reach(reach: "Reach") -> tuple[str, ...]:
    shares = (reach.random, reach.rules, reach.best)
    return (str(reach.examples), f"{reach.candidates:.1f}", *(_percent(share) for share in shares))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _plain(quality: "Quality") -> object:
    import msgspec  # noqa: PLC0415

    return msgspec.to_builtins(quality)
