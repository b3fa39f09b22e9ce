"""Fuzzes whatever reads what somebody else wrote, guided by coverage, one target after the other.

    python -m tests.fuzz                         # 30 minutes, divided over the targets; what `make fuzz` does
    python -m tests.fuzz --seconds 60 editor     # a minute of one target
    python -m tests.fuzz --runs 2000             # so many inputs of each, the same ones every time

What was learnt is kept in build/fuzz/, so that the next time goes on from there (not with --runs). An input that breaks
a target is written below tests/fuzz/findings/; try it again with `pytest tests/tiki/test_fuzz_findings.py`.
Ends with status 1 when there was one, 2 when a target could not be fuzzed.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import FINDINGS
from tests.fuzz.targets import TARGETS

LEARNT = Path("build") / "fuzz"
_PULSE = re.compile(r"#\d+\s.* ft: (\d+) corp: (\d+)")


@dataclass
class Course:
    """How the fuzzing of one target goes. features: of the code, seen so far, as libFuzzer counts them. kept: inputs
    that showed new ones."""

    target: str
    goal: str
    began: float = field(default_factory=time.monotonic)
    runs: int = 0
    features: int = 0
    kept: int = 0
    findings: dict[str, str] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)

    def hear(self, line: str) -> bool:
        """Takes in a line of the process; whether that is worth showing."""
        word, _, rest = line.partition(" ")
        if word == "runs":
            self.runs = int(rest)
            return True
        if word == "finding":
            path, _, how = rest.partition(": ")
            self.findings[path] = how
            return True
        if pulse := _PULSE.match(line):
            self.features, self.kept = int(pulse[1]), int(pulse[2])
        elif found := re.match(r"Done (\d+) runs", line):
            self.runs = int(found[1])
        else:
            self.last = [*self.last[-20:], line]
        return False

    def __str__(self) -> str:
        done = f"{time.monotonic() - self.began:,.0f} s, {self.runs:,}{self.goal} runs"
        seen = f"{self.features:,} features, {self.kept:,} inputs kept"
        return f"{self.target:<10} {done}, {seen}, {len(self.findings)} findings"


def fuzz(target: str, corpus: Path, findings: Path, limits: list[str], goal: str) -> tuple[Course, int]:
    """Runs the process of one target until its limits; its course and exit status."""
    course = Course(target, goal)
    command = [sys.executable, "-m", "tests.fuzz.process", target, str(corpus), str(findings), *limits]
    shown = 0.0
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            pause = 0.2 if sys.stderr.isatty() else 30.0
            if course.hear(line.rstrip("\n")) and time.monotonic() - shown >= pause:
                shown = time.monotonic()
                show(course, end="" if sys.stderr.isatty() else "\n")
    show(course)
    return course, process.returncode


def show(course: Course, end: str = "\n") -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}{course}", end=end, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=1800, help="in all; 1800 by default")
    parser.add_argument("--runs", type=int, help="inputs of each target, instead of a time")
    parser.add_argument("--findings", type=Path, default=FINDINGS, help="where what breaks a target is written")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target `{unknown[0]}`; there are {', '.join(TARGETS)}")
    targets = options.targets or list(TARGETS)
    failed = broken = False
    for target in targets:
        with tempfile.TemporaryDirectory() as fresh:
            if options.runs is None:
                corpus, limits, goal = LEARNT / target, [f"-max_total_time={options.seconds // len(targets)}"], ""
            else:
                corpus, limits, goal = Path(fresh), [f"-runs={options.runs}", "-seed=1"], f"/{options.runs:,}"
            course, status = fuzz(target, corpus, options.findings / target, limits, goal)
        for path, how in course.findings.items():
            print(f"{path}: {how}")
        broken = broken or bool(course.findings)
        if status:
            failed = True
            print(f"{target}: the process ended with status {status}:", *course.last, sep="\n", file=sys.stderr)
    return 2 if failed else int(broken)


if __name__ == "__main__":
    sys.exit(main())
