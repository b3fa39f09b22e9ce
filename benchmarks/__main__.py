"""Runs the benchmarks one after the other, each as a process of its own.

    python -m benchmarks [--quick] [NAME ...]
    python -m benchmarks NAME OPTIONS    the options of this one, such as --json

`--quick` takes seconds instead of minutes each: enough to see that they work, too short for figures. Ends with status 1
when one of them did.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

QUICK = {
    "rules": ("--cases", "2000", "--rounds", "2", "--rules", "1000"),
    "findings": ("--rules", "200"),
    "analysis": ("--rules", "200"),
    "durable": ("--seconds", "2", "--rounds", "2", "--singles", "300"),
    "recovery": ("--kills", "1"),
    "takeover": ("--cuts", "2"),
    "idle": ("--settle", "10", "--seconds", "15"),
    "soak": ("--events", "50000"),
    "heartbeats": ("--nodes", "50", "--together", "100", "--seconds", "5"),
    "nab": (),
    "editor": ("--keys", "200"),
    "policy": ("--decisions", "400"),
    "cascade": ("--questions", "400", "--rounds", "2"),
    "week": ("--days", "0.1"),
    "packages": ("--requests", "300"),
    "dashboard": ("--cases", "1000", "--rounds", "5"),
    "learning": ("--decisions", "800", "--questions", "300", "--method", "distil"),
    "guarantee": ("--redraws", "50", "--questions", "200"),
    "ope": ("--runs", "40", "--decisions", "500"),
    "promotion": ("--runs", "40", "--observations", "500"),
    "qlora": ("--steps", "3"),
}
"""Each benchmark with its short cut, in the order in which they run."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)}; all by default")
    parser.add_argument("--quick", action="store_true")
    options, further = parser.parse_known_args()
    if further and len(options.names) != 1:
        parser.error(f"`{further[0]}` is an option of one benchmark: name it")
    unknown = [name for name in options.names if name not in QUICK]
    if unknown:
        parser.error(f"there is no benchmark `{unknown[0]}`; there are {', '.join(QUICK)}")
    failed = []
    for name in options.names or QUICK:
        missing = _missing(name)
        if missing:
            print(f"\n== {name}: left out, {missing}", flush=True)
            continue
        print(f"\n== {name}", flush=True)
        arguments = QUICK[name] if options.quick else ()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments, *further], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def _missing(name: str) -> str:
    """What this benchmark needs and is not here."""
    if importlib.util.find_spec(f"benchmarks.{name}") is None:
        return "it is not in this checkout"
    data = Path(os.environ.get("ELIAS_DATA", "data"))
    if name == "nab" and not (data / "nab").is_dir():
        return f"{data / 'nab'} is not there; set ELIAS_DATA to the folder of the data sets"
    if name == "qlora" and shutil.which("nvidia-smi") is None:
        return "there is no GPU here"
    return ""


if __name__ == "__main__":
    sys.exit(main())
