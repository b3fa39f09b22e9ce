"""Threshold rules through TIKI and through other rule engines: how fast they decide, and how fast they are compiled.

    python -m benchmarks.rules [--json] [--cases N] [--rounds N] [--rules N]

Ten rules over twelve fields decide the same random cases in each engine. Every decision is compared with a plain
reading of the rules; a wrong one ends the run with status 1. Then 10,000 rules in 25 sets are compiled from texts.
One process pinned to one core, CPU time, median of the rounds. Each engine gets its rules parsed and its cases in its
own form beforehand. A trace keeps the truth of every comparison; rendering it as text is not measured.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.engines import FIELDS, Case, Compiler, Engine, Rule, compilers, engines
from benchmarks.machine import machine

RULES: tuple[Rule, ...] = (
    ((0, ">", 95),),
    ((1, ">", 90), (2, ">", 60)),
    ((3, "<", 4),),
    ((4, ">=", 88), (5, "<", 40)),
    ((6, ">", 96),),
    ((7, "<=", 10), (8, ">", 70)),
    ((9, ">", 93),),
    ((10, "<", 12), (11, ">=", 80)),
    ((0, ">", 80), (4, ">", 80)),
    ((2, "<", 15), (6, ">=", 85)),
)
"""In order; the first that holds decides."""
SETS = 25
"""Of rules that are compiled; a set is about one decision point."""

NOTE = (
    "From Python, crossing into the other engine dominates its figure, which favours TIKI: its rules become a Python "
    "function. The figures say little about these engines in their own languages. Compiling favours the others: they "
    "parse in C++ or Rust, and most of them check neither types nor names while they do."
)
_HOLDS: dict[str, Callable[[float, int], bool]] = {
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
}


@dataclass(frozen=True)
class Decisions:
    """Per second of CPU time: the median of the rounds, the slowest and the fastest. bridged: what the engine does not
    have of these rules, and how that was done."""

    engine: str
    decisions_per_s: int
    slowest: int
    fastest: int
    wrong: int
    bridged: str


@dataclass(frozen=True)
class Compiled:
    """Seconds of CPU time from texts to what can decide: the median of the rounds, the slowest and the fastest."""

    engine: str
    seconds: float
    slowest: float
    fastest: float
    bridged: str


def oracle(case: Case) -> int:
    for number, rule in enumerate(RULES):
        if all(_HOLDS[sign](case[field], limit) for field, sign, limit in rule):
            return number
    return -1


def rule(draw: random.Random) -> Rule:
    """Two comparisons of two fields."""
    return tuple(
        (field, draw.choice(tuple(_HOLDS)), draw.randrange(101)) for field in draw.sample(range(len(FIELDS)), 2)
    )


def decided(engine: Engine, cases: Sequence[Case], expected: Sequence[int], rounds: int) -> Decisions:
    prepared = [engine.prepare(case) for case in cases]
    decide = engine.decide
    wrong = sum(engine.index(decide(one)) != right for one, right in zip(prepared, expected, strict=True))
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for one in prepared:
            decide(one)
        rates.append(round(len(prepared) / (time.process_time() - start)))
    return Decisions(engine.name, round(statistics.median(rates)), min(rates), max(rates), wrong, engine.bridged)


def compiled(compiler: Compiler, sets: Sequence[Sequence[Rule]], rounds: int) -> Compiled:
    texts = compiler.read(sets)
    took = []
    for _ in range(rounds):
        start = time.process_time()
        compiler.compile(texts)
        took.append(round(time.process_time() - start, 4))
    return Compiled(compiler.name, statistics.median(took), max(took), min(took), compiler.bridged)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_argument("--cases", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--rules", type=int, default=10_000, help=f"that are compiled, in {SETS} sets")
    options = arguments.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    draw = random.Random(7)
    cases = [tuple(float(draw.randrange(101)) for _ in FIELDS) for _ in range(options.cases)]
    expected = [oracle(case) for case in cases]
    sets = [[rule(draw) for _ in range(options.rules // SETS)] for _ in range(SETS)]
    load = f"load average {os.getloadavg()[0]:.2f}"
    results = [decided(engine, cases, expected, options.rounds) for engine in engines(RULES)]
    built = [compiled(compiler, sets, options.rounds) for compiler in compilers()]
    load += f" before, {os.getloadavg()[0]:.2f} after"
    wrong = sum(result.wrong for result in results)
    if options.json:
        about = {"machine": machine(), "load": load, "cases": options.cases, "rounds": options.rounds, "note": NOTE}
        print(json.dumps(about | {"results": list(map(asdict, results)), "compiled": list(map(asdict, built))}))
        return 1 if wrong else 0
    print(f"{machine()}, {load}")
    print(f"\n{options.cases:,} cases, {options.rounds} rounds, decisions a second of CPU time\n")
    print(f"{'engine':<36}{'median':>12}{'slowest':>12}{'fastest':>12}{'wrong':>8}")
    for one in results:
        print(f"{one.engine:<36}{one.decisions_per_s:>12,}{one.slowest:>12,}{one.fastest:>12,}{one.wrong:>8}")
    print(f"\n{options.rules:,} rules in {SETS} sets, {options.rounds} rounds, seconds of CPU time to compile them\n")
    print(f"{'engine':<36}{'median':>12}{'slowest':>12}{'fastest':>12}")
    for two in built:
        print(f"{two.engine:<36}{two.seconds:>12.3f}{two.slowest:>12.3f}{two.fastest:>12.3f}")
    bridged = {f"{one.engine}: {one.bridged}." for one in results if one.bridged}
    print("\nTo decide:", *sorted(bridged), sep="\n  ")
    print("To compile:", *(f"{two.engine}: {two.bridged}." for two in built), sep="\n  ")
    print(f"\n{NOTE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
