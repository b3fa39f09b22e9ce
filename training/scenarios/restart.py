"""The world of `uam.restart` where restarting again and again did not help: once more, or give up?

What is hidden is whether the fault lasts. How it ended, how long it ran, how new its declaration is, how often it was
restarted and whether others fail too each speak for or against it, and the sum of what they say (log-odds) is the
chance that another restart fails as well. Memory counts together with how it ended: killed near its limit, it will be
killed again; killed far from it, the node ran short, and that passes.

Outcomes are in running instances over the next quarter of an hour: 1 for one that runs and whose priority is 5. What
runs is worth more the higher its priority. Another restart of a lasting fault is work for nothing that a node and
those who depend on it feel. An instance that is given up is shown to its owner, who repairs a lasting fault and was
called for nothing about a passing one; one that is only left as it is troubles nobody, and where it still runs
unhealthily it serves a little. Rarely an owner has no time.

All figures here are invented: which fact speaks for what follows the usual reading of exit codes (sysexits.h, 128 + n
for a signal in a shell, -n here), how much it says is not measured anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log10
from random import Random
from typing import Any

from federation.points import DecisionPoint
from federation.records import Candidate
from managers.uam.points import RESTART as POINT
from training.scenarios.world import Seen

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
UNSEEN = 0.03  # share of questions in which a fact that may be unknown is
SURE = 6.0  # how much the evidence tells: log-odds for one unit of it
SPREAD = 0.06  # of an owner's time, standard deviation of its logarithm
AWAY = 0.005  # share of owners who have no time

EXIT_CODE = {2: 1.2, 78: 1.8, 126: 1.5, 127: 1.8, 1: 0.0, -6: -0.2, -11: 0.0, 75: -1.5, 111: -1.0}
"""usage, configuration, not executable, not found, any, abort, segmentation fault, temporary, connection refused"""
KILLED = -9
BY_RUNTIME, BY_DECLARATION, BY_OTHERS, BY_RESTARTS, BY_MEMORY = 0.8, 0.6, 0.7, 0.15, 0.08

TRIED, CALL, REPAIRED, LIMPS = 0.3, 0.45, 0.7, 0.25


@dataclass(frozen=True)
class _Kind:
    """How often what is seen in a family. codes: how it ended; none: it runs, unhealthily. ran, declared: seconds, the
    logarithm uniform. others: other instances that fail."""

    codes: tuple[int, ...]
    ran: tuple[float, float]
    declared: tuple[float, float]
    others: tuple[int, int] = (0, 0)
    memory: tuple[int, int] = (10, 70)


_KINDS = {
    "a_new_declaration": _Kind((1, 2, 78, 126, 127, -6), (0.1, 10 * MINUTE), (MINUTE, DAY), (0, 2)),
    "something_it_needs_is_away": _Kind((1, 1, 2, 75, 111), (0.5, HOUR), (HOUR, 300 * DAY), (0, 6)),
    "killed": _Kind((KILLED,), (2.0, 2 * HOUR), (10 * MINUTE, 300 * DAY), (0, 4), (30, 105)),
    "crashes_after_a_long_time": _Kind((1, -6, -11), (0.5, 6 * HOUR), (DAY, 900 * DAY), (0, 1)),
    "runs_and_does_not_serve": _Kind((), (MINUTE, 30 * DAY), (HOUR, 300 * DAY), (0, 3)),
    "a_new_declaration_while_others_fail": _Kind(
        (1, 2, 75, 78, 111, KILLED), (0.1, HOUR), (MINUTE, DAY), (1, 6), (20, 100)
    ),
}


class RestartWorld:
    point: DecisionPoint = POINT
    epsilon = 0.05
    families = tuple(_KINDS)
    held_out = "a_new_declaration_while_others_fail"
    rules = """\
## UAM Restart Spec
- decides: uam.restart
- fallback: give_up
- not_worth_it: when priority < 2 and uptime < 1m: hold
- cannot_start: when exit_code in [2, 78, 126, 127]: give_up
- outage: when others_failing > 1: restart
- out_of_memory: when exit_code == -9 and memory_used > 80%: give_up
- new: when declared_for < 1h: give_up
- ran_for_long: when uptime > 5m: restart
- otherwise: give_up
"""

    def ask(self, family: str, random: Random) -> Seen:
        kind = _KINDS[family]
        runs = not kind.codes
        facts: dict[str, Any] = {
            "status": "unhealthy" if runs else "exited",
            "wanted": "running",
            "request": None,
            "restart_type": random.choice(("permanent", "transient")),
            "exit_code": None if runs else random.choice(kind.codes),
            "restarts": random.randint(5, 12),
            "uptime": _seconds(random, kind.ran),
            "waited": None if runs else float(random.randint(0, 60)),
            "backoff": 60.0 if random.random() < 0.7 else 32.0,
            "failed_checks": random.randint(3, 9) if runs else None,
            "memory_used": float(random.randint(*kind.memory)),
            "priority": random.randint(0, 9),
            "sibling_failed": False,
            "declared_for": _seconds(random, kind.declared),
            "others_failing": random.randint(*kind.others),
        }
        if random.random() < 0.1:  # the node is short of memory, whatever else happened
            facts["memory_used"] = float(random.randint(60, 105))
        for name in ("exit_code", "uptime", "memory_used", "declared_for"):
            if random.random() < UNSEEN and facts[name] is not None:
                del facts[name]
        args = {"node": "a"}
        return Seen(
            facts,
            (
                Candidate("start", args, forbidden="it_runs_already" if runs else None),
                Candidate("restart", args),
                Candidate("stop", args, forbidden=None if runs else "nothing_runs"),
                Candidate("give_up"),
                Candidate("hold"),
            ),
        )

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = {
            "exit_code": random.choice(list(EXIT_CODE)),
            "uptime": _seconds(random, (1.0, HOUR)),
            "memory_used": float(random.randint(10, 100)),
            "declared_for": _seconds(random, (HOUR, 300 * DAY)),
            **seen.facts,
        }
        lasts = random.random() < 1 / (1 + exp(-SURE * lasting(facts)))
        owner = 0.0 if random.random() < AWAY else random.lognormvariate(0, SPREAD)
        return tuple(_outcome(candidate, facts, lasts=lasts, owner=owner) for candidate in seen.candidates)


def lasting(facts: Mapping[str, Any]) -> float:
    """What the evidence says together; above 0 the fault rather lasts."""
    code = facts["exit_code"]
    if code is None:  # it still runs
        ended = 0.2 * (facts["failed_checks"] - 6)
    elif code == KILLED:
        ended = BY_MEMORY * (facts["memory_used"] - 75)
    else:
        ended = EXIT_CODE[code]
    return float(
        ended
        + BY_RUNTIME * (2.4 - log10(max(facts["uptime"], 0.1)))
        + BY_DECLARATION * (5.2 - log10(max(facts["declared_for"], 1.0)))
        + BY_RESTARTS * (facts["restarts"] - 7)
        - BY_OTHERS * facts["others_failing"]
    )


def _outcome(candidate: Candidate, facts: Mapping[str, Any], *, lasts: bool, owner: float) -> float:
    worth = (1 + facts["priority"]) / 6
    limps = LIMPS * worth if facts["status"] == "unhealthy" else 0.0
    match candidate.action:
        case "start" | "restart":
            return -TRIED if lasts else worth
        case "give_up":
            return (REPAIRED * worth * owner if lasts else limps) - CALL
        case "stop":
            return 0.0
    return limps


def _seconds(random: Random, between: tuple[float, float]) -> float:
    """Two digits of a duration whose logarithm is uniform."""
    low, high = (log10(bound) for bound in between)
    return float(f"{10 ** random.uniform(low, high):.2g}")


RESTART = RestartWorld()
