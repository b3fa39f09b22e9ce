"""The command `elias`: its groups, and what its exit codes mean.

0 done; 1 your input or the state of things does not allow it; 2 the command line is wrong; 3 ELIAS cannot be reached or
has no time now; 70 a bug of ours. `elias run` ends with the code of the job. Who closes the pipe that is written to, as
`head` does, ends the command by SIGPIPE, which a shell shows as 141.
"""

import errno
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from federation.errors import Corrupt, EliasError, Refused, Temporary
from managers.uim.cli import (
    access,
    apps,
    bundle,
    cases,
    clusters,
    control,
    decide,
    doctor,
    federation,
    job,
    ledger,
    messages,
    nodes,
    peers,
    plugins,
    policy,
    replay,
    report,
    restart,
    setup,
    specs,
)
from managers.uim.cli.client import Unreachable
from managers.uim.cli.output import complain

REFUSED, UNREACHABLE, BUG = 1, 3, 70

HELP = """Supervise a GPU cluster by rules that you can read.

Start with `elias up`, open the page that it names, and look with `elias status`.
Nothing is acted on until you say so: `elias mode` shows and sets how far each action may go.

Exit codes: 0 done, 1 refused (the message says why), 2 wrong command line, 3 not reachable, 70 a bug in ELIAS.
"""

app = typer.Typer(
    name="elias",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file; by default `elias.yaml` in this folder.")
    ] = None,
) -> None:
    context.obj = config


GROUPS = (
    *(federation, nodes, restart, decide, job, cases, control, apps, messages, ledger, specs, bundle, policy, report),
    *(replay, access, setup, doctor, clusters, peers),
)
for group in GROUPS:
    group.add_to(app)
plugins.add_to(app)


def main() -> None:
    """Runs the command line of this process, and ends it with an exit code."""
    try:
        try:
            app()
        finally:
            if not sys.stdout.closed:  # a language server closes it when its editor goes
                sys.stdout.flush()
    except BrokenPipeError:
        _closed()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer takes it for a failure
            _closed()
        raise
    except Refused as error:
        complain(error.message, error.place, error.cure)
        sys.exit(REFUSED)
    except Unreachable as error:
        complain(str(error), cure=error.cure)
        sys.exit(UNREACHABLE)
    except Temporary as error:
        complain(str(error), cure="try again in a moment; `elias status` shows what is up")
        sys.exit(UNREACHABLE)
    except Corrupt as error:
        complain(str(error), cure="`elias ledger verify` says how far it is sound")
        sys.exit(REFUSED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            cure = "make room, then run the same command again; what is made in steps goes on where it was"
            complain("there is no room on the disk", error.filename or "", cure)
            sys.exit(REFUSED)
        sys.exit(_bug(error))


def _closed() -> None:
    """Ends this process as the system ends one that does not ignore that nobody reads on."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.raise_signal(signal.SIGPIPE)


def _bug(error: Exception) -> int:
    """A bug looks different from a mistake: it asks to be reported, and says with what."""
    with tempfile.NamedTemporaryFile("w", prefix="elias-bug-", suffix=".txt", delete=False) as file:
        file.write(f"elias {' '.join(sys.argv[1:])}\n\n{traceback.format_exc()}")
    what = str(error) if isinstance(error, EliasError) else f"{type(error).__name__}: {error}"
    print(f"BUG: {what}", file=sys.stderr)
    print(f"  This is a fault in ELIAS, not in what you did. Please report it with {file.name}", file=sys.stderr)
    return BUG
