"""Strikes a running ELIAS with faults drawn from a seed, and says whether what it promises has held.

    python -m tests.chaos [--faults 1000] [--seed 1] [--json]
    python -m tests.chaos --seed 1 --list                          # what would be struck, and when
    python -m tests.chaos --seed 1 --from 17 --to 20               # only these of them
    python -m tests.chaos --seed 1 --only 17,40                    # or these
    python -m tests.chaos --check build/chaos/history.json         # look at a run again

Needs root, for the networks and disks of three hosts, and the programs that `make programs` installs. Ends with status
1 when a promise was broken, 3 when all held and managers came back too late; docs/operate/chaos.md says what they are.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from tests.chaos import checker, times
from tests.chaos.history import CERTAIN, History
from tests.chaos.run import run
from tests.chaos.schedule import PACE, Fault, draw
from tests.chaos.site import Site

HISTORY = Path("build") / "chaos" / "history.json"
BROKEN, LATE = 1, 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=PACE, help="seconds from one fault to the next, on average")
    parser.add_argument("--from", type=int, default=1, dest="first", help="number of the first fault that comes")
    parser.add_argument("--to", type=int, dest="last", help="and of the last")
    parser.add_argument("--only", default="", help="only the faults of these numbers, or kinds, by comma")
    parser.add_argument("--list", action="store_true", help="only print the schedule")
    parser.add_argument("--check", type=Path, help="only look at a history again")
    parser.add_argument("--history", type=Path, default=HISTORY, help="where it is written")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.check:
        return tell(result(History.load(options.check), {}), as_json=options.json)
    faults = chosen(draw(options.seed, options.faults, options.pace), options.first, options.last, options.only)
    if options.list:
        print("\n".join(map(str, faults)))
        return 0
    say = _silent if options.json else _say
    options.history.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="elias-chaos-") as folder:
        about = {"machine": machine(), "load": round(os.getloadavg()[0], 1), "seed": options.seed}
        with Site.running(Path(folder)) as site:
            history = run(site, faults, say)
            history.save(options.history)
        shutil.copytree(Path(folder, "logs"), options.history.with_name("logs"), dirs_exist_ok=True)
    return tell(result(history, about), as_json=options.json)


def chosen(faults: Sequence[Fault], first: int, last: int | None, only: str) -> list[Fault]:
    """Those of these numbers, at the times that they have in the whole schedule."""
    names = set(filter(None, only.split(",")))
    within = [fault for fault in faults if first <= fault.number <= (last or len(faults))]
    return [fault for fault in within if not names or {str(fault.number), fault.kind} & names]


def result(history: History, about: dict[str, Any]) -> dict[str, Any]:
    struck = [strike for strike in history.strikes if not strike.missed]
    lines = times.table(times.recoveries(history))
    certain = sum(request.result == CERTAIN for request in history.requests)
    return about | {
        "minutes": round(max((strike.ended for strike in history.strikes), default=0.0) / 60, 1),
        "faults": len(struck),
        "not_there": len(history.strikes) - len(struck),
        "requests": len(history.requests),
        "acknowledged": certain,
        "records": len(history.ledger),
        "jobs": len(history.world.jobs),
        "messages": len(history.world.messages),
        "messages_twice": sum(many > 1 for many in history.world.messages.values()),
        "recovery_s": [asdict(line) | {"met": line.met} for line in lines],
        "findings": checker.findings(history),
    }


def tell(told: dict[str, Any], *, as_json: bool) -> int:
    print(json.dumps(told) if as_json else text(told))
    if told["findings"]:
        return BROKEN
    return 0 if all(line["met"] for line in told["recovery_s"]) else LATE


def text(told: dict[str, Any]) -> str:
    head = [f"{told['machine']}; load {told['load']} before it; seed {told['seed']}"] if "seed" in told else []
    rows = [
        f"{line['kind']:17} {line['struck']:6} {line['alone']:6} {line['median']:7.2f} {line['p99']:7.2f} "
        f"{line['worst']:7.2f} {line['alone_worst']:7.2f}   {_bound(line)}"
        for line in told["recovery_s"]
    ]
    return "\n".join(
        [
            *head,
            f"{told['faults']:,} faults struck, {told['not_there']} found nobody there; {told['minutes']} min",
            f"{told['requests']:,} requests, {told['acknowledged']:,} acknowledged; {told['records']:,} records; "
            f"{told['jobs']:,} jobs ran, {told['messages']:,} messages came, {told['messages_twice']:,} of them again",
            "",
            f"{'fault':17} {'times':>6} {'alone':>6} {'median':>7} {'p99':>7} {'worst':>7} {'alone':>7}   "
            "seconds until the managers answer",
            *rows,
            "",
            *(told["findings"] or ["every promise has held"]),
        ]
    )


def _bound(line: dict[str, Any]) -> str:
    if not line["bound"]:
        return ""
    return f"at most {line['bound']:g}: " + ("met" if line["met"] else f"MISSED, {line['within']} of {line['struck']}")


def _say(words: str) -> None:
    print(words, flush=True)


def _silent(words: str) -> None:
    """The result alone is asked for."""


if __name__ == "__main__":
    sys.exit(main())
