"""How long `elias tiki check` takes: on the specs that ship, and on 1,000 generated rules, 25 of them in vain.

    python -m benchmarks.findings [--json] [--rules N]

CPU time of one process, parsing included. A round with proofs is made once, one again with everything remembered, one
after an edit of a single rule. Ends with status 1 where a rule in vain is not found, another one is found, or a proof
is open.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import tiki
from federation.settings import shipped_specs
from managers.uim.cli.specs.sources import points as shipped_points
from tiki import Diagnostic, Point, Source

POINTS = 4
"""Decision points among which the rules are divided."""
IN_VAIN = 40
"""Every so many rules one is a special case of the one before it."""
PATIENCE = 600.0


@dataclass(frozen=True)
class Round:
    what: str
    cpu_s: float
    findings: int


def generated(rules: int) -> tuple[dict[str, Point], list[Source], int]:
    """Points of the same facts, a file for each, and how many rules are never reached.

    The rules of a file are about stretches of one fact that do not meet; a fifth is judged over time, a tenth consults,
    and every second is about a stretch of another fact too.
    """
    draw = random.Random(1)
    model = shipped_points()["urm.resource_pressure"]
    names = [f"urm.generated_{number}" for number in range(POINTS)]
    points = {name: model.model_copy(update={"name": name, "titles": ()}) for name in names}
    sources, in_vain = [], 0
    for name in names:
        lines = [f"## URM Generated Spec\n- decides: {name}\n- fallback: request_operator"]
        lines += [
            "- never migrate when target.gpu_free < job.gpu",
            "- never migrate when target.memory_free < job.memory",
        ]
        for number in range(rules // POINTS):
            if number % IN_VAIN == IN_VAIN - 1:
                in_vain += 1
                lines.append(f"- when jobs == {4 * number - 2} and memory > 90% and cordoned: hold")
                continue
            low = draw.randint(20, 60)
            band = f"memory > {low}% and memory <= {low + 20}%" if number % 2 else f"memory > {low}%"
            over = " for 30s" if number % 5 == 0 and number % IN_VAIN != IN_VAIN - 2 else ""
            choice = "consult [migrate, hold]" if number % 10 == 0 else "migrate"
            condition = f"jobs > {4 * number} and jobs <= {4 * number + 4} and {band}"
            if number % IN_VAIN == IN_VAIN - 2:
                condition = f"jobs > {4 * number} and jobs <= {4 * number + 4}"
            lines.append(f"- when {condition}{over}: {choice}")
        sources.append(Source(f"{name}.tiki", "\n".join([*lines, "- otherwise: hold", ""])))
    return points, sources, in_vain


def timed(
    what: str, sources: Sequence[Source], points: dict[str, Point], budget: float = PATIENCE
) -> tuple[Round, list[Diagnostic]]:
    unsettled: list[str] = []
    before = time.process_time()
    found = tiki.check(sources, points, budget=budget, unsettled=unsettled.append)
    spent = time.process_time() - before
    if unsettled and budget:
        sys.exit(f"{what}: not settled: {', '.join(unsettled)}")
    return Round(what, round(spent, 3), len(found)), found


def run(rules: int) -> list[Round]:
    rounds = [timed("specs that ship", tiki.read_directory(shipped_specs()), shipped_points())[0]]
    if rounds[0].findings:
        sys.exit("the specs that ship have findings")
    points, sources, in_vain = generated(rules)
    what = f"{rules} generated rules"
    rounds.append(timed(f"{what}, without proofs", sources, points, budget=0.0)[0])
    for again in (what, f"{what}, again"):
        result, found = timed(again, sources, points)
        rounds.append(result)
        if [one.code for one in found] != ["TIKI-702"] * in_vain:
            sys.exit(f"{again}: {in_vain} rules are in vain, and found is\n" + "\n".join(map(str, found)))
    first, *others = sources
    edited = [Source(first.path, first.text.replace("memory > 90%", "memory > 91%", 1)), *others]
    rounds.append(timed(f"{what}, one of them changed", edited, points)[0])
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rules", type=int, default=1000)
    options = parser.parse_args()
    rounds = run(options.rules)
    if options.json:
        print(json.dumps([asdict(one) for one in rounds]))
        return
    for one in rounds:
        print(f"{one.cpu_s:8.3f} s  {one.findings:3} findings  {one.what}")


if __name__ == "__main__":
    main()
