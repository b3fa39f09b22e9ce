"""`elias policy plan`: whether a model fits the cards, and what a decision costs there."""

from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, say, table

if TYPE_CHECKING:
    from federation.policy.plan import Plan, Range, Row


def plan(
    gpus: Annotated[str, typer.Option("--gpus", help="Cards and the memory of each, such as `2x16GiB`.")],
    model: Annotated[
        str, typer.Option("--model", help="A known model, or a folder with the config.json of a Llama.")
    ] = "deepseek-ai/deepseek-coder-6.7b-instruct",
    card: Annotated[
        str | None, typer.Option(help="Kind of card, for the times; by default the first known one with this memory.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, max=1 << 20, help="Length of a prompt.")] = 600,
    cached: Annotated[int, typer.Option(min=0, help="Tokens at its beginning that rarely change.")] = 450,
    precision: Annotated[str | None, typer.Option(help="Only this one: fp16, fp8 or int4.")] = None,
    tensor_parallel: Annotated[int | None, typer.Option(min=1, help="Only with so many cards a server.")] = None,
    json_: Json = False,
) -> None:
    """Print what fits on the cards and how long a decision takes there, by arithmetic; refuse what does not fit.

    Times are predictions from the data sheet of the card, not measurements. A decision is one prefill: it generates
    one token.

    Examples:

        elias policy plan --gpus 2x16GiB --model deepseek-ai/deepseek-coder-6.7b-instruct

        elias policy plan --gpus 1x24GiB --card rtx-4090 --model codellama/CodeLlama-13b-Instruct-hf

        elias policy plan --gpus 2x16GiB --model ./my_policy --precision fp16 --tensor-parallel 2 --json
    """
    from federation.policy import plan as arithmetic  # noqa: PLC0415 - other commands need none of it

    count, memory = arithmetic.gpus(gpus)
    if card is not None and card not in arithmetic.CARDS:
        cure = f"name one of {', '.join(arithmetic.CARDS)}; without `--card` the memory is still worked out"
        raise Refused("card", f"the card `{card}` is not known", cure=cure)
    if cached >= tokens:
        raise Refused("cached", "at least one token of a prompt is new", cure="give `--cached` less than `--tokens`")
    if precision is not None and precision not in arithmetic.BITS:
        cure = f"name one of {', '.join(arithmetic.BITS)}"
        raise Refused("precision", f"the precision `{precision}` is not known", cure=cure)
    shape = arithmetic.shape_of(model)
    kind = arithmetic.card_of(memory) if card is None else card
    found = arithmetic.plan(model, shape, count, memory, kind, tokens=tokens, cached=cached)
    asked = [
        row
        for row in found.rows
        if precision in (None, row.precision) and tensor_parallel in (None, row.tensor_parallel)
    ]
    if not asked:
        cure = f"it divides the cards and the heads of the model: {sorted({row.tensor_parallel for row in found.rows})}"
        raise Refused("tensor-parallel", f"no server spans {tensor_parallel} of these cards", cure=cure)
    emit(found.data()) if json_ else _print(found, asked)
    if not any(row.fits for row in asked):
        best = found.best
        other = f"{_called(best)} fits" if best else arithmetic.would_fit(shape, count, memory)
        what = f"`{model}` does not fit on {gpus}" + (" that way" if best else "")
        raise Refused("does-not-fit", what, cure=other if best else f"what would fit: {other}")


def _called(row: "Row") -> str:
    return f"{row.precision} with {row.tensor_parallel} card{'s' * (row.tensor_parallel > 1)} a server"


def _print(found: "Plan", rows: "list[Row]") -> None:
    from federation.policy.plan import CARDS, GIB, SEQUENCES, USABLE  # noqa: PLC0415 - as above

    print(f"{found.model}: {found.parameters / 1e9:.2f} G parameters, {found.cache / 1024:.0f} KiB of cache a token")
    print(f"{found.cards} x {found.memory / GIB:.4g} GiB, of which a server takes {USABLE:.0%}", end="")
    print(f"; times predicted for {found.card}" if found.card else "; no times: name the card with `--card`")
    print()
    columns = ["weights in", "cards a server", "weights", "rest", "room", "prompts at once"]
    columns += [f"{found.tokens} tokens", f"{found.cached} of them cached", "decisions/s", ""]
    table(columns, (_cells(row) for row in rows), "nothing")
    say(f"\nMemory is GiB a card. A way fits when the cache holds {SEQUENCES} prompts or more at once.")
    if found.card:
        card = CARDS[found.card]
        say(
            f"{found.card}: {card.bandwidth / 1e9:.0f} GB/s, peak {card.fp16 / 1e12:.0f} TFLOP/s in 16 bits "
            f"and {card.fp8 / 1e12:.0f} in FP8, of which 60-66 % are taken as reached."
        )
    best = found.best
    if best in rows and best is not None and best.floor is not None:
        floor = f"a further token would take {best.floor * 1e3:.0f} ms at least, a decision needs none"
        say(f"Best: {_called(best)}; {floor}.")
    if best in rows and best is not None and best.precision == "int4":
        say("int4 needs a checkpoint that was quantised so (AWQ); the profiles make FP8 while they load.")


def _cells(row: "Row") -> list[str]:
    from federation.policy.plan import GIB  # noqa: PLC0415 - as above

    return [
        row.precision,
        str(row.tensor_parallel),
        *(f"{size / GIB:.1f}" for size in (row.weights, row.rest, row.room)),
        str(row.sequences),
        _milliseconds(row.latency),
        _milliseconds(row.warm),
        "" if row.rate is None else f"{row.rate:.1f}",
        "fits" if row.fits else "does not fit",
    ]


def _milliseconds(time: "Range | None") -> str:
    return "" if time is None else f"{time.low * 1e3:.0f}-{time.high * 1e3:.0f} ms"
