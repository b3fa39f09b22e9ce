"""`elias tiki test`: the examples of specs, run."""

import typer

from managers.uim.cli.output import Json, emit
from managers.uim.cli.specs.sources import Folder, bundle_of


def run_tests(context: typer.Context, path: Folder = None, json_: Json = False) -> None:
    """Run the examples under the specs. Exit code 1 when one fails, with the comparisons that were made.

    Example:

        elias tiki test my_specs
    """
    import tiki  # noqa: PLC0415

    results = tiki.run_examples(bundle_of(context, path))
    failed = [r for r in results if not r.passed]
    if json_:
        emit(
            [
                {
                    "point": r.example.point,
                    "place": str(r.example.place),
                    "decides": r.example.decides,
                    "passed": r.passed,
                    "message": r.message,
                }
                for r in results
            ]
        )
    else:
        for result in failed:
            print(f"{result.message}\n")
        print(f"{len(results)} examples, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
