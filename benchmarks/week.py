"""A simulated week of the shipped specs: how often is a person called, and what is done for nothing?

    python -m benchmarks week
    python -m benchmarks.week [--json] [--days D] [--seed N] [--nodes N] [--skill S] [--unsure S] [--specs FOLDER]

Twenty nodes with jobs, applications, messages and requests live a week on a virtual clock; desks, gate, executors,
ledger and embedded policy are the real ones. What specs and policy leave open goes to an advisor that is right in a
stated share of what it answers and asks a person about a stated share; at a critical point policy and advisor have to
agree, else a person is asked. People answer after ten minutes. Reversible actions act. A disruptive action was needed
if, with nothing done, its trouble would have been real and have stayed: the world is copied and lived on to see.
`--specs` lives the week under rules of your own: a folder as `tiki_specs/` is one.

Ends with status 1 where 1 % or more of the failed operations needed a person. All figures of the world are invented.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks.machine import machine
from federation.points import DecisionPoint
from training.world.answerers import Skilled
from training.world.local import Run
from training.world.tally import Tally
from training.world.troubles import KINDS
from training.world.world import World

DAY = 86400.0
MONTH = 30.0
ADVISOR, PERSON = 20.0, 600.0  # seconds until an answer
PERSON_SKILL = 0.97
LIMIT = 0.01
SHARED = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A ledger in memory: nothing of it is to outlive the measurement."""


async def lived(options: argparse.Namespace) -> dict[str, Any]:
    world = World(options.seed, options.nodes)
    advisor = Skilled("advisor", options.skill, ADVISOR, options.unsure, Random(f"{options.seed} advisor"))
    person = Skilled("person", PERSON_SKILL, PERSON, random=Random(f"{options.seed} person"))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elias-week-", dir=SHARED) as folder:
        async with Run(world, Path(folder), advisor, person, seed=options.seed, specs=options.specs) as run:
            await run.go_on(options.days * DAY, _shown if sys.stderr.isatty() else lambda done, total: None)
            return figures(world, run.tally, run.points, options) | {"took_s": round(time.monotonic() - began, 1)}


def _shown(done: int, total: int) -> None:
    if done % 360 == 0 or done == total:
        print(
            f"\r{100 * done // total:3} % of the week", end="\n" if done == total else "", file=sys.stderr, flush=True
        )


def figures(
    world: World, tally: Tally, points: Mapping[str, DecisionPoint], options: argparse.Namespace
) -> dict[str, Any]:
    failed, people = world.troubles.by_kind(), tally.people()
    months = options.nodes * options.days / MONTH
    all_failed = failed.total()
    acted = tally.effects
    return {
        "machine": machine(),
        "days": options.days,
        "seed": options.seed,
        "nodes": options.nodes,
        "advisor": {"right": options.skill, "asks_a_person": options.unsure},
        "failed": {kind: failed[kind] for kind in KINDS},
        "needed_a_person": {kind: people[kind] for kind in KINDS},
        "reasons": {
            f"{point}: {why}": count for (point, why), count in sorted(tally.reasons().items(), key=lambda one: -one[1])
        },
        "at_critical_points": sum(points[page.point].critical for page in tally.calls()),
        "share": _share(sum(people.values()), all_failed),
        "share_elsewhere": _share(sum(not points[page.point].critical for page in tally.calls()), all_failed),
        "pages": len(tally.pages),
        "verifications": len(tally.verifications),
        "pages_a_day": tally.grouped() / options.days,
        "cases_a_day": len(tally.pages) / options.days,
        "disruptive": {action: [acted[action, True], acted[action, False]] for action in sorted({a for a, _ in acted})},
        "unjustified_a_node_month": sum(n for (_, needed), n in acted.items() if not needed) / months,
        "drained_after_s": round(median(tally.drained), 1) if tally.drained else None,
        "only_observed": {
            action: [tally.observed[action, True], tally.observed[action, False]]
            for action in sorted({a for a, _ in tally.observed})
        },
        "decided": _by_point(tally),
        "right": {f"{point} {tier}": list(counts) for (point, tier), counts in sorted(tally.shares().items())},
        "said": {name: list(counts) for name, counts in sorted(tally.said().items())},
        "refused": dict(tally.refused),
        "jobs": {"submitted": len(world.fleet.tasks), "done": world.fleet.done, "started_twice": world.fleet.twice},
    }


def _share(of: int, all_: int) -> float:
    return of / all_ if all_ else 0.0


def _by_point(tally: Tally) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (point, tier), count in sorted(tally.decided.items()):
        found.setdefault(point, {})[tier] = count
    return found


def show(found: dict[str, Any]) -> None:
    print(f"{found['machine']}; {found['days']:g} days of {found['nodes']} nodes in {found['took_s']:.0f} s\n")
    print(f"{'failed operations':20} {'how many':>9} {'a person':>9}")
    for kind in KINDS:
        print(f"{kind:20} {found['failed'][kind]:9} {found['needed_a_person'][kind]:9}")
    print("\nwhy a person was needed" if found["reasons"] else "\nno person was needed")
    for why, count in found["reasons"].items():
        print(f"{count:6}  {why}")
    print(f"\n{100 * found['share']:.2f} % of the failed operations needed a person")
    critical, elsewhere = found["at_critical_points"], 100 * found["share_elsewhere"]
    print(f"{critical} of these at critical points, where no policy decides alone; elsewhere {elsewhere:.2f} %")
    print(f"{found['pages_a_day']:.2f} pages a day ({found['cases_a_day']:.2f} cases), of everything that was asked")
    print(f"{found['unjustified_a_node_month']:.2f} unjustified disruptive actions a node-month")
    if found["drained_after_s"] is not None:
        print(f"  a node that had to be drained was so {found['drained_after_s']:.0f} s after it failed (median)")
    for title, effects in (("acted", found["disruptive"]), ("only observed", found["only_observed"])):
        for action, (needed, not_needed) in effects.items():
            print(f"  {title}: {action}: {needed} needed, {not_needed} not")
    print(f"\n{'decided':20} " + " ".join(f"{tier:>9}" for tier in TIERS))
    for point, tiers in found["decided"].items():
        print(f"{point:22}" + " ".join(f"{tiers.get(tier, 0):9}" for tier in TIERS))
    print()
    for who, (right, all_) in {**found["right"], **found["said"]}.items():
        print(f"  {who}: {right} of {all_} right in hindsight")
    jobs = found["jobs"]
    print(f"  jobs: {jobs['done']} of {jobs['submitted']} done, {jobs['started_twice']} started while they still ran")
    for what, count in found["refused"].items():
        print(f"  refused: {count} x {what}")


TIERS = ("rule", "policy", "advisor", "operator", "fallback", "timeout")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--skill", type=float, default=0.85, help="share that the advisor answers right")
    parser.add_argument("--unsure", type=float, default=0.05, help="share about which it asks a person")
    parser.add_argument("--specs", type=Path, help="folder of the rules; by default those that ship")
    options = parser.parse_args()
    found = asyncio.run(lived(options))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return int(found["share"] >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
