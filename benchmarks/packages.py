"""Package requests with something wrong: how many need a person, whoever answers, and what would other rules change?

    python -m benchmarks packages
    python -m benchmarks.packages [--json] [--requests N] [--seed N] [--skill S] [--unsure S]

In the simulated week nearly all calls for a person come from here: the point is critical, so policy and advisor have to
agree, and the answer may be that a person verifies the file. Requests are drawn as the week draws them, decided by the
shipped spec or by one that an author might write instead, and what is open is put to the shipped policy and to an
advisor of stated skill. A person is needed where the policy is not sure, where the advisor asks for one or chooses
otherwise, and where the answer is `verify`. Printed are expected shares: the advisor's draws are summed over.

An answer is right when it turns out as good as any that the shipped guards allow. All figures of the world are
invented.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import tiki
from federation import decide
from federation.policy import calibration
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED, consult
from federation.records import Answered, Asked, Event
from federation.settings import shipped_specs
from managers.urm.points import PACKAGE
from training.scenarios.package import PackageWorld
from training.scenarios.scenario import guarded, rights
from training.scenarios.world import Seen
from training.world.matters import PLAIN

MAX_ERROR = 0.05
BATCH = 64
WORLD = PackageWorld()
SPEC = shipped_specs() / "urm" / "package.tiki"
BEFORE = "- judgement:"

SCRATCH = (
    "- scratch: when environment == scratch and hash == matches and signature != invalid and conflicts == 0: install\n"
)
UNSIGNED = (
    "- unsigned: when hash == matches and signature != invalid and conflicts == 0 and vulnerabilities == 0: install\n"
)
NO_NEW_TROUBLE = (
    "- no_new_conflict: never alternate when alternate.conflicts > 0\n"
    "- no_new_hole: never alternate when alternate.vulnerabilities > 0\n"
)
NEARBY = "- nearby: never alternate when alternate.distance == major\n"
STRANGER = "- stranger: when hash != matches and signature != valid and mirrors < 50%: deny\n"
CHANGED = "- changed: when hash == mismatch or signature == invalid: alternate\n"

RULES: Mapping[str, tuple[str, str]] = {
    "as shipped": ("", ""),
    "a hole does no harm in scratch": (SCRATCH, ""),
    "a recorded file needs no signature": (UNSIGNED, ""),
    "another version brings no trouble of its own": (NO_NEW_TROUBLE, ""),
    "the three above": (SCRATCH + UNSIGNED + NO_NEW_TROUBLE, ""),
    "what nobody vouches for is refused": (STRANGER, ""),
    "what was changed is replaced, else refused": (CHANGED + NO_NEW_TROUBLE + NEARBY, "deny"),
}
"""Clauses before the shipped ones that consult, and the fallback; empty: the shipped one."""


class Request(NamedTuple):
    """outcomes: what comes of each candidate."""

    seen: Seen
    outcomes: tuple[float, ...]


class Open(NamedTuple):
    """What rules leave open. offered: candidates by index; good: those that turn out right among them; best: among all
    that the shipped guards allow."""

    asked: Asked
    offered: list[int]
    good: list[int]
    best: list[int]


@dataclass
class Shares:
    """Sums over requests. ruled: clause and action, with how many, how many right, and what they cost more than the
    best. sure, sure_right: answers that the policy would give alone. person: expected, by why."""

    requests: int
    opened: int = 0
    sure: int = 0
    sure_right: int = 0
    ruled: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    person: dict[str, float] = field(default_factory=dict)

    def rule(self, name: str, right: bool, lost: float) -> None:
        count, hits, cost = self.ruled.get(name, (0, 0, 0.0))
        self.ruled[name] = (count + 1, hits + right, cost + lost)

    def needs(self, why: str, chance: float = 1.0) -> None:
        self.person[why] = self.person.get(why, 0.0) + chance

    def entry(self) -> dict[str, Any]:
        return {
            "open": self.opened / self.requests,
            "alone": self.sure / max(self.opened, 1),
            "alone_right": self.sure_right / max(self.sure, 1),
            "person": sum(self.person.values()) / self.requests,
            "why": {why: chance / self.requests for why, chance in self.person.items()},
            "rules": {
                name: {"decides": count / self.requests, "right": hits / count, "lost": cost / count}
                for name, (count, hits, cost) in self.ruled.items()
            },
        }


def requests(count: int, seed: int) -> list[Request]:
    """With something wrong, of every family alike."""
    random, found = Random(f"{seed} packages"), list[Request]()
    while len(found) < count:
        seen = WORLD.ask(random.choice(WORLD.families), random)
        if any(seen.facts.get(name) != value for name, value in PLAIN.items()):
            found.append(Request(seen, WORLD.outcomes(seen, random)))
    return found


def program(clauses: str = "", fallback: str = "") -> tiki.Program:
    text = SPEC.read_text("utf-8").partition("### Examples")[0].replace(BEFORE, clauses + BEFORE)
    if fallback:
        text = text.replace("fallback: request_claude_supervision", f"fallback: {fallback}")
    return tiki.build([tiki.Source(SPEC.name, text)], {PACKAGE.name: PACKAGE.schema}).programs[PACKAGE.name]


def asked(rules: tiki.Program, seen: Seen) -> tuple[Asked, Answered | decide.Waits]:
    facts = rules.facts_from(seen.facts)
    held = rules.unwatched(facts)
    candidates = [guarded(rules, candidate, facts, held) for candidate in seen.candidates]
    answer = decide.judge(rules, facts, held, None, candidates, {}, 0).answer
    offers = [] if isinstance(answer, Answered) else list(answer.offers)
    known, version = rules.to_mapping(facts), PACKAGE.schema.version
    return Asked(Event("", "", ""), known, list(held), None, None, candidates, "", version, 0, offers=offers), answer


def good_of(outcomes: Sequence[float], among: Sequence[int]) -> list[int]:
    found = rights(tuple(outcomes[index] for index in among), WORLD.epsilon)
    return [index for index, right in zip(among, found, strict=True) if right]


def sorted_out(rules: tiki.Program, drawn: Sequence[Request], shares: Shares) -> list[Open]:
    """What these rules leave to the policy; what they answer, or leave to a person, is counted."""
    shipped, left = program(), list[Open]()
    for request in drawn:
        record, answer = asked(rules, request.seen)
        allowed = [i for i, c in enumerate(asked(shipped, request.seen)[0].candidates) if c.forbidden is None]
        best = good_of(request.outcomes, allowed)
        if isinstance(answer, Answered):
            assert answer.choice is not None
            lost = max(request.outcomes[i] for i in allowed) - request.outcomes[answer.choice]
            shares.rule(f"{answer.clause}: {answer.action}", answer.choice in best, lost)
        elif answer.tier == "policy":
            offered = decide.offered(record, PACKAGE.schema.terminal)
            left.append(Open(record, offered, good_of(request.outcomes, offered), best))
        else:
            shares.needs("the spec leaves it to people")
    shares.opened = len(left)
    return left


def put_to_both(one: Open, choice: int, skill: float, unsure: float, shares: Shares) -> None:
    """The policy has chosen; an advisor that hits takes any of those that are right."""
    wrong = [index for index in one.offered if index not in one.good]
    agrees = skill / len(one.good) if choice in one.good else (1 - skill) / len(wrong)
    shares.needs("the advisor asks for one", unsure)
    shares.needs("policy and advisor do not agree", (1 - unsure) * (1 - agrees))
    if one.asked.candidates[choice].action == "verify":
        shares.needs("they agree that a person verifies the file", (1 - unsure) * agrees)


async def measured(options: argparse.Namespace) -> dict[str, Any]:
    drawn = requests(options.requests, options.seed)
    engine = Embedded(SHIPPED)
    known = calibration.load(SHIPPED / "calibration.json", engine.version).points[PACKAGE.name]
    found: dict[str, Any] = {}
    for name, (clauses, fallback) in RULES.items():
        rules, shares = program(clauses, fallback), Shares(len(drawn))
        left = sorted_out(rules, drawn, shares)
        prompts = [consult(rules, one.asked).prompt for one in left]
        scores = [s for i in range(0, len(prompts), BATCH) for s in await engine.score(prompts[i : i + BATCH], 60.0)]
        for one, scored in zip(left, scores, strict=True):
            best, sure, threshold, _ = known.weigh(PACKAGE.name, scored, MAX_ERROR)
            if threshold is None or sure < threshold:
                shares.needs("the policy is not sure")
                continue
            choice = one.offered[best]
            shares.sure, shares.sure_right = shares.sure + 1, shares.sure_right + (choice in one.best)
            put_to_both(one, choice, options.skill, options.unsure, shares)
        found[name] = shares.entry()
    await engine.close()
    return {"requests": len(drawn), "seed": options.seed, "rules": found, "bounds": bounds(drawn, options)}


def bounds(drawn: Sequence[Request], options: argparse.Namespace) -> dict[str, float]:
    """Share that needs a person under the shipped rules, were the policy always right; and were everybody."""
    shares, verified = Shares(len(drawn)), 0
    for one in sorted_out(program(), drawn, shares):
        actions = {one.asked.candidates[index].action for index in one.good}
        verified += actions == {"verify"}
        choice = next((i for i in one.good if one.asked.candidates[i].action != "verify"), one.good[0])
        put_to_both(one, choice, options.skill, options.unsure, shares)
    return {"policy_always_right": shares.entry()["person"], "all_always_right": verified / len(drawn)}


def show(found: dict[str, Any]) -> None:
    print(f"{found['requests']} package requests with something wrong\n")
    print(f"{'rules':46} {'a person':>9} {'open':>7} {'alone':>7} {'right':>7}")
    for name, one in found["rules"].items():
        columns = (one["person"], one["open"], one["alone"], one["alone_right"])
        print(f"{name:46} " + " ".join(f"{100 * share:{9 if i == 0 else 7}.1f}" for i, share in enumerate(columns)))
        for clause, of in one["rules"].items():
            text = f"decides {100 * of['decides']:.1f} %, right in {100 * of['right']:.1f} % of these"
            print(f"    {clause}: {text}, {of['lost']:.3f} served requests lost each")
    print("\nwhy, as shipped")
    for why, share in found["rules"]["as shipped"]["why"].items():
        print(f"{100 * share:7.1f} %  {why}")
    policy, all_ = (100 * found["bounds"][who] for who in ("policy_always_right", "all_always_right"))
    print(f"\n{policy:.1f} % if the policy were always sure and right")
    print(f"{all_:.1f} % if the advisor were too: there only a look at the file is right")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skill", type=float, default=0.85, help="share that the advisor answers right")
    parser.add_argument("--unsure", type=float, default=0.05, help="share about which it asks a person")
    options = parser.parse_args()
    found = asyncio.run(measured(options))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
