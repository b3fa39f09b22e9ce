"""The world of `ucm.coordination`: a step of a workflow over several managers failed or is late.

What comes of a choice is the minutes that are lost, as a negative number: for this workflow, for those that wait for
it, and for the people who clean up. Each of the dependents adds a tenth to all that is waited for.

    proceed     what has no answer is missing later: minutes per per cent of the nodes that the step has not reached,
                3 for valid resources, 1.5 for queries, 1.2 for deploy messages, 0.5 for monitoring
    retry_step  10 / chance, at most 12 tries, for a step takes ten minutes; a step that is not idempotent does harm
                where it was done already: half a minute per per cent of the nodes
    roll_back   25 for the workflow that starts anew, half a minute per per cent of the nodes that run the new version,
                and two more minutes where that has to be taken back by hand
    hold        late: 5, and 15 for each time-out that is over; failed: 90, until a person has time

The chance of another try is what helped in earlier runs, less a fifth for each try before this one. Where nobody knows,
it follows from the error: no answer (0.7), a node out of reach (0.6), a conflict (0.4), something exhausted (0.2). What
was refused is refused again (0.05), whatever helped before: earlier runs had other input. A late step has no error yet;
another try may collide with the first, so it helps as a conflict does where nobody knows better.

Noise: shares were true a moment ago, so those of now are drawn around them; what nobody reported is drawn from all
workflows. One step in fifty is done although nobody was told: then going on costs nothing.

All figures are invented; the forms are those of a geometric number of tries and of a cost per node.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.records import Candidate
from managers.ucm.points import COORDINATION as POINT
from managers.ucm.points import ERRORS
from training.scenarios.world import Seen

_MISSING = {"validate_resources": 3.0, "query_nodes": 1.5, "deploy": 1.2, "monitor": 0.5}  # minutes per per cent
_CHANCE = {"no_answer": 0.7, "unreachable": 0.6, "conflict": 0.4, "exhausted": 0.2, "refused": 0.05}
_LEAST_CHANCE = 1 / 12
_TRY, _ANEW, _PERSON = 10.0, 25.0, 90.0  # minutes: one try, a workflow from the start, until a person has time
_DONE_SILENTLY = 0.02  # steps that are done although nobody was told
_STALE = 4.0  # per cent by which a share has changed since it was reported: standard deviation


@dataclass(frozen=True)
class _Family:
    """What a situation is drawn from; ranges in percent. late: how often a step is late rather than failed. deployed:
    of the nodes that the step reached."""

    steps: tuple[str, ...] = ("query_nodes", "deploy", "monitor")
    late: float = 0.3
    errors: tuple[str, ...] = ERRORS
    attempts: tuple[int, int] = (1, 4)
    elapsed: tuple[int, int] = (100, 400)
    recovers: tuple[int, int] = (10, 95)
    reached: tuple[int, int] = (5, 98)
    reversible: tuple[int, int] = (20, 100)


_FAMILIES: Mapping[str, _Family] = {
    "slow_answers": _Family(late=0.85, elapsed=(100, 600)),
    "nodes_that_come_back": _Family(errors=("no_answer", "unreachable"), attempts=(1, 5), late=0.1),
    "validation_without_an_answer": _Family(steps=("validate_resources",), late=0.4, reached=(0, 60)),
    "half_deployed": _Family(steps=("deploy",), reached=(20, 80), reversible=(5, 100), late=0.15),
    "most_nodes_done": _Family(steps=("deploy", "monitor"), reached=(50, 97)),
    "half_deployed_and_slow": _Family(
        steps=("deploy", "monitor"), reached=(20, 80), reversible=(5, 100), late=0.7, elapsed=(100, 600)
    ),
}
_MISSED = ("error", "recovers", "idempotent", "reversible")


class Coordination:
    point = POINT
    epsilon = 5.0
    families = tuple(_FAMILIES)
    held_out = "half_deployed_and_slow"
    rules = """## UCM Coordination Spec
- decides: ucm.coordination
- fallback: roll_back
- never proceed when step == validate_resources
- watched: when step == monitor and reached >= 50%: proceed
- nearly: when reached >= 80%: proceed
- comes_soon: when trouble == late and elapsed <= 250%: hold
- hopeless: when error == refused and reached < 50% and deployed <= 0%: roll_back
- helps: when error != refused and recovers >= 50% and attempts <= 2: retry_step
- most: when reached >= 50%: proceed
- not_yet: when deployed <= 0%: roll_back
- comes_late: when trouble == late: hold
- otherwise: proceed
"""

    def ask(self, family: str, random: Random) -> Seen:
        ranges = _FAMILIES[family]
        step = random.choice(ranges.steps)
        late = random.random() < ranges.late
        reached = float(random.randint(*ranges.reached))
        facts: dict[str, Any] = {
            "step": step,
            "trouble": "late" if late else "failed",
            "error": None if late else random.choice(ranges.errors),
            "attempts": random.randint(*ranges.attempts),
            "elapsed": float(random.randint(*ranges.elapsed) if late else random.randint(10, 100)),
            "recovers": float(random.randint(*ranges.recovers)),
            "idempotent": random.random() < 0.6,
            "reached": reached,
            "deployed": _deployed(step, reached, random),
            "reversible": float(random.randint(*ranges.reversible)),
            "dependents": random.choice((0, 0, 1, 1, 2, 3, 5)),
        }
        if random.random() < 0.08:
            del facts[random.choice(_MISSED)]
        return Seen(facts, tuple(Candidate(action.name) for action in POINT.schema.actions))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = seen.facts
        waiting = 1 + facts["dependents"] / 10
        reached, deployed = (_now(facts[name], random) for name in ("reached", "deployed"))
        by_hand = 100 - _now(facts.get("reversible", random.uniform(20, 100)), random)
        silently = random.random() < _DONE_SILENTLY
        again = 0.0 if facts.get("idempotent", random.random() < 0.6) else reached / 2
        lost = {
            "proceed": 0.0 if silently else (100 - reached) * _MISSING[facts["step"]],
            "retry_step": waiting * _TRY / _chance(facts, random) + again,
            "roll_back": waiting * _ANEW + deployed * (0.5 + 2 * by_hand / 100),
            "hold": waiting * _waiting(facts, random),
        }
        return tuple(-lost[candidate.action] for candidate in seen.candidates)


def _deployed(step: str, reached: float, random: Random) -> float:
    """What runs on the nodes so far: nothing before the messages are sent, all of it when it is watched."""
    match step:
        case "deploy":
            return reached
        case "monitor":
            return float(random.randint(85, 100))
    return 0.0


def _chance(facts: Mapping[str, Any], random: Random) -> float:
    """That another try helps."""
    error = facts["error"] if "error" in facts else random.choice(ERRORS)
    if error == "refused":
        first = _CHANCE[error]
    elif "recovers" in facts:
        first = _now(facts["recovers"], random) / 100
    else:
        first = _CHANCE[error or "conflict"]
    return float(max(first * 0.8 ** (facts["attempts"] - 1), _LEAST_CHANCE))


def _waiting(facts: Mapping[str, Any], random: Random) -> float:
    """Minutes until the step, or a person, has come."""
    if facts["trouble"] == "failed":
        return _PERSON
    return 5 + 15 * max(_now(facts["elapsed"] - 100, random, 1000), 0.0) / 100


def _now(share: float, random: Random, most: float = 100.0) -> float:
    """A percentage of now, of which one is known that is a moment old."""
    return min(max(random.gauss(share, _STALE), 0.0), most)


COORDINATION = Coordination()
