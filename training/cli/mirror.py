"""`elias policy mirror`: the policies on record, in MLflow."""

import shlex

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table


def mirror(context: typer.Context, json_: Json = False) -> None:
    """Make MLflow say what the ledger says: each policy a version, champion and challenger of a point its aliases.

    ULM does it by itself whenever a policy comes or is promoted; by hand it helps where MLflow was away or emptied.
    It is a copy: nothing of ELIAS reads it, and it can be removed and made anew.

    Examples:

        elias policy mirror

        elias policy mirror --json
    """
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy
    from training.tracking.mirror import mirror as mirrored  # noqa: PLC0415

    settings = settings_of(context)
    store = Store.open(settings.ledger_url, read_only=True)
    try:
        with progress("policies") as shown:
            found = mirrored(store, settings, shown)
    finally:
        store.close()
    if json_:
        emit(found._asdict())
        return
    table(("ALIAS", "POLICY"), ((name, found.aliases[name][:12]) for name in sorted(found.aliases)), "no aliases")
    say(f"{found.uri}: {found.policies} policies, {found.entered} of them new, {found.changed} aliases changed")
    web = found.uri.startswith("http")
    say(f"look: {found.uri if web else f'uvx mlflow ui --backend-store-uri {shlex.quote(found.uri)}'}")
