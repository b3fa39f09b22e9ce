"""How long proofs about specs take: 1,000 random rules in one point, the same number in twenty, and what the removal
of one rule changes.

    python -m benchmarks.analysis [--json] [--rules N]

CPU time of one process, z3 included, reading the specs left out. Ends with status 1 where a question is open.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import tiki
from tiki import Action, Fact, Point, Source, Type
from tiki.analysis import Analysis, Outcome, Question, analyse, compare
from tiki.plan import Plan

FACTS = 12
POINTS = 20
PATIENCE = 600.0


@dataclass(frozen=True)
class Round:
    """answers: questions that were settled, or differences. unreached: rules proved never to decide."""

    what: str
    cpu_s: float
    answers: int
    unreached: int


def rules(number: int, seed: int) -> list[str]:
    """Rules about one to three of the facts; so many of them take one another's inputs."""
    draw = random.Random(seed)
    found = []
    for _ in range(number):
        about = draw.sample(range(FACTS), draw.choice((1, 1, 2, 3)))
        tests = (f"f{fact} {draw.choice(('>', '<', '>=', '<='))} {draw.randrange(101)}%" for fact in about)
        found.append(f"- when {' and '.join(tests)}: act_{draw.randrange(5)}")
    return found


def planned(lines: Sequence[str]) -> Plan:
    point = Point(
        name="bench.rules",
        version=1,
        doc="Random rules.",
        facts=tuple(Fact(name=f"f{number}", type=Type.PERCENT, doc="A fact.") for number in range(FACTS)),
        actions=(
            Action(name="hold", doc="Nothing."),
            *(Action(name=f"act_{number}", doc="One.") for number in range(5)),
        ),
        terminal="hold",
    )
    text = "\n".join(["## BENCH Rules Spec", "- decides: bench.rules", "- fallback: hold", *lines, "- otherwise: hold"])
    return tiki.build([Source("rules.tiki", text)], {point.name: point}).programs[point.name].plan


def analysed(what: str, plans: Sequence[Plan]) -> Round:
    before = time.process_time()
    found = [analyse(plan, PATIENCE) for plan in plans]
    spent = time.process_time() - before
    if not all(analysis.settled for analysis in found):
        sys.exit(f"{what}: some questions are open")
    return Round(what, round(spent, 2), sum(len(one.results) for one in found), sum(map(_unreached, found)))


def _unreached(analysis: Analysis) -> int:
    return sum(result.outcome is Outcome.PROVED for result in analysis.of(Question.UNREACHED))


def run(number: int) -> list[Round]:
    lines = rules(number, 1)
    whole = planned(lines)
    rounds = [
        analysed(f"{number} rules in one point", [whole]),
        analysed(f"{number} rules in {POINTS} points", [planned(rules(number // POINTS, s)) for s in range(POINTS)]),
    ]
    without = planned([*lines[:5], *lines[6:]])
    before = time.process_time()
    found = compare(whole, without, PATIENCE)
    if not found.complete:
        sys.exit("the comparison is open")
    spent = round(time.process_time() - before, 2)
    return [*rounds, Round(f"{number} rules, compared with the same less one", spent, len(found.differences), 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rules", type=int, default=999)
    options = parser.parse_args()
    rounds = run(options.rules)
    if options.json:
        print(json.dumps([asdict(one) for one in rounds]))
        return
    for one in rounds:
        print(f"{one.cpu_s:8.2f} s  {one.answers:5} answers  {one.unreached:4} never reached  {one.what}")


if __name__ == "__main__":
    main()
