"""replay: a recorded cluster, decided by the code that decides live."""

from pathlib import Path
from typing import Annotated

import typer

from managers.uim.cli.output import Json, emit, progress

app = typer.Typer(help="A recorded cluster, decided by the code that decides live.", no_args_is_help=True)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="replay")


@app.callback()
def group() -> None:
    """A recorded cluster, decided by the code that decides live."""


@app.command()
def openb(
    data: Annotated[Path, typer.Option(help="Folder of the trace; docs/placement.md says where to get it.")],
    workload: Annotated[str, typer.Option(help="default, gpushare40, multigpu20, ...")] = "default",
    seed: Annotated[int, typer.Option(help="Of the arrival order.")] = 42,
    algorithm: Annotated[str, typer.Option(help="fgd, best_fit, ...")] = "fgd",
    ledger: Annotated[str, typer.Option(help="Keep the ledger: a file or a database URL.")] = "",
    json_: Json = False,
) -> None:
    """Place every arrival of the Alibaba GPU trace of 2023, on a virtual clock, with ledger and gate.

    Examples:

        elias replay openb --data traces/openb

        elias replay openb --data traces/openb --workload default --seed 43 --algorithm best_fit --json
    """
    from managers.ufm.replay import replay  # noqa: PLC0415 - numpy

    with progress("arrivals") as shown:
        found = replay(data, workload, seed, algorithm, ledger=ledger, progress=shown)
    if json_:
        emit(found)
        return
    print(f"{found['allocation']:.2f} % of all GPU in use at the end")
    print(f"{found['decisions']} decisions, {found['failed']} failed, {found['decisions_per_s']:.0f} a second")
