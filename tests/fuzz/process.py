"""Fuzzes one target with atheris (libFuzzer, guided by the coverage of ELIAS' own code) until its time or runs are up.

    python -m tests.fuzz.process TARGET CORPUS FINDINGS [OPTION OF LIBFUZZER ...]

A process of its own, for atheris never returns. A broken input does not end it: what is kept for each way to break is
the smallest input that was found.
"""

import hashlib
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tiki", "federation.bundles"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.limit import TooLong, cpu_limit
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import seeds, words

LONGEST = 2048
"""Bytes of an input."""
_EVERY = 1.0
"""Seconds from one line about progress to the next."""


def signature(error: BaseException) -> str:
    """Which way to break this is: the error, and the line of code that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}, {frame.name}: {frame.line}"


def broken(target: Callable[[bytes], None], raw: bytes) -> str:
    """How an input breaks a target; empty where it does not."""
    try:
        with cpu_limit():
            target(raw)
    except (Exception, TooLong) as error:
        return signature(error)
    return ""


def smaller(target: Callable[[bytes], None], raw: bytes, how: str, tries: int = 400) -> bytes:
    """Most of what an input holds has no part in how it breaks the target: pieces go, the large ones first."""
    size = len(raw) // 2
    while size and tries:
        start = 0
        while start < len(raw) and tries:
            shorter = raw[:start] + raw[start + size :]
            tries -= 1
            if broken(target, shorter) == how:
                raw = shorter
            else:
                start += size
        size //= 2
    return raw


class Watch:
    """Runs the target, counts, and keeps what breaks it below `findings`."""

    def __init__(self, target: Callable[[bytes], None], findings: Path) -> None:
        self.target, self.findings = target, findings
        self.runs, self.said = 0, time.monotonic()
        self.known: dict[str, int] = {}

    def __call__(self, raw: bytes) -> None:
        self.runs += 1
        how = broken(self.target, raw)
        if how and len(raw) < self.known.get(how, LONGEST + 1):
            self.keep(how, raw)
        now = time.monotonic()
        if now - self.said >= _EVERY:
            self.said = now
            print(f"runs {self.runs}", file=sys.stderr, flush=True)

    def keep(self, how: str, raw: bytes) -> None:
        least = raw if how.startswith("TooLong") else smaller(self.target, raw, how)
        self.known[how] = len(least)
        self.findings.mkdir(parents=True, exist_ok=True)
        path = self.findings / hashlib.sha256(how.encode()).hexdigest()[:12]
        path.write_bytes(least)
        print(f"finding {path}: {how}", file=sys.stderr, flush=True)


def mutator(pool: Sequence[bytes]) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own changes and those of `mutations`, in turn by chance. pool: inputs whose lines are put."""
    lines = sorted({line for raw in pool for line in raw.split(b"\n") if len(line) < 200})
    puts = [word.encode() for word in words()]

    def mutate(raw: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        changed = atheris.Mutate(raw, most) if draw.random() < 0.3 else mutated(raw, lines, puts, draw)
        return bytes(changed[:most])

    return mutate


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def main() -> None:
    name, corpus, findings, *options = sys.argv[1:]
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    first = seeds(name)
    for raw in first:
        (folder / hashlib.sha256(raw).hexdigest()[:16]).write_bytes(raw[:LONGEST])
    with tempfile.NamedTemporaryFile("w", suffix=".dict") as dictionary:
        dictionary.writelines(f'"{_escaped(word)}"\n' for word in words())
        dictionary.flush()
        Path(findings).mkdir(parents=True, exist_ok=True)
        fixed = [
            f"-dict={dictionary.name}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={findings}/",
            "-entropic_scale_per_exec_time=1",
            "-timeout=300",
            "-report_slow_units=300",
        ]
        watch = Watch(TARGETS[name], Path(findings))
        atheris.Setup([sys.argv[0], folder.as_posix(), *fixed, *options], watch, custom_mutator=mutator(first))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
