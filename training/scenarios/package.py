"""The world of `urm.package`: somebody asks for a version of a package, and the facts may contradict each other.

What is hidden is whether the file was tampered with. The hash, the signature, the mirrors, the age of the release and
the requester's record each speak for or against it, and the sum of what they say (log-odds) is the chance of it: a
wrong hash with a valid signature on every mirror is a package that was built again, one on few mirrors is not.

Outcomes are in served requests: 1 for a request that is served at no cost. A file that was tampered with costs most in
production. A conflict costs an hour of repair, a vulnerability according to where the package runs, an alternate
according to the distance of its version and to how many packages use this one. A person who verifies takes time while
jobs wait, and then installs a good file and refuses a bad one. A denied request is work that is not done; one that is
left open is that, and nobody is told. Rarely an installation fails for a reason that nothing showed.

All figures here are invented: the order of the costs is meant to be plausible, their size is not measured anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log10
from random import Random
from typing import Any

from federation.points import DecisionPoint
from federation.records import Candidate
from managers.urm.packages import Alternate, Distance, PackageRequest, proposals
from managers.urm.points import PACKAGE as POINT
from training.scenarios.world import Seen

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
UNSEEN = 0.04  # share of questions in which a fact that may be unknown is
SURE = 3.0  # how much the evidence tells: log-odds for one unit of it
FAILS = 0.005  # share of installations that fail for no reason that showed
SPREAD = 0.08  # of a person's or a repair's time, standard deviation of its logarithm

HASH = {"matches": -3.5, "unlisted": -0.5, "mismatch": 0.5}
SIGNATURE = {"valid": -1.5, "none": 0.0, "invalid": 3.0}
DAMAGE = {"scratch": 1.0, "shared": 2.0, "production": 5.0}
EXPOSURE = {"scratch": 0.02, "shared": 0.1, "production": 0.3}
DISTANCE: Mapping[Distance, float] = {"patch": 0.05, "minor": 0.2, "major": 0.6}
CONFLICT, VERIFYING, WAITING, DENIED, OPEN = 0.35, 0.25, 0.05, 0.7, 0.15


@dataclass(frozen=True)
class _Kind:
    """How often what is seen in a family. bad: share in which most of the evidence speaks of tampering."""

    bad: float
    hash: Mapping[str, float]
    conflicts: tuple[int, int] = (0, 0)
    vulnerabilities: tuple[int, int] = (0, 0)
    young: bool = False


_KINDS = {
    "a_file_with_another_hash": _Kind(0.5, {"mismatch": 1}),
    "a_conflict_with_what_is_installed": _Kind(0.05, {"matches": 8, "unlisted": 2}, conflicts=(1, 3)),
    "a_version_with_known_holes": _Kind(0.05, {"matches": 8, "unlisted": 2}, vulnerabilities=(1, 5)),
    "a_release_of_today": _Kind(0.4, {"unlisted": 8, "matches": 2}, conflicts=(0, 1), young=True),
    "another_hash_and_a_conflict": _Kind(0.5, {"mismatch": 1}, conflicts=(1, 3), vulnerabilities=(0, 2)),
}


class PackageWorld:
    point: DecisionPoint = POINT
    epsilon = 0.05
    families = tuple(_KINDS)
    held_out = "another_hash_and_a_conflict"
    rules = """\
## URM Package Spec
- decides: urm.package
- fallback: deny
- never install when hash == mismatch
- never install when signature == invalid
- never alternate when alternate.distance == major
- never alternate when alternate.conflicts > 0
- never alternate when alternate.vulnerabilities > 0
- forged: when signature == invalid: alternate
- rebuilt: when hash == mismatch and signature == valid and mirrors >= 50%: verify
- changed: when hash == mismatch: alternate
- stranger: when hash == unlisted and not mirrors >= 50%: deny
- does_not_fit: when conflicts > 1: alternate
- holes_in_production: when vulnerabilities > 1 and environment == production: alternate
- otherwise: install
"""

    def ask(self, family: str, random: Random) -> Seen:
        kind = _KINDS[family]
        bad = random.random() < kind.bad
        facts: dict[str, Any] = {
            "hash": _one(random, kind.hash),
            "signature": _one(random, {"valid": 2, "none": 6, "invalid": 2} if bad else {"valid": 7, "none": 3}),
            "mirrors": 5.0 * (random.randint(0, 8) if bad else random.randint(12, 20)),
            "conflicts": random.randint(*kind.conflicts),
            "dependents": random.randint(0, 12),
            "vulnerabilities": random.randint(*kind.vulnerabilities),
            "age": HOUR * random.randint(1, 47) if kind.young else DAY * random.randint(3, 900),
            "trust": 5.0 * (random.randint(2, 13) if bad else random.randint(10, 20)),
            "environment": random.choice(list(DAMAGE)),
            "waiting": random.randint(0, 12),
        }
        if random.random() < 0.1:  # a witness that says what the others do not
            facts["mirrors"] = 5.0 * random.randint(0, 20)
        for name in ("mirrors", "trust", "dependents"):
            if random.random() < UNSEEN:
                del facts[name]
        alternates = sorted(
            (_alternate(random) for _ in range(random.randint(0, 2))), key=lambda a: DISTANCE[a.distance]
        )
        return Seen(facts, tuple(proposals(PackageRequest("numpy", "1.24.0", alternates))))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = {
            "mirrors": 5.0 * random.randint(0, 20),
            "trust": 5.0 * random.randint(4, 20),
            "dependents": random.randint(0, 12),
            **seen.facts,
        }
        bad = random.random() < 1 / (1 + exp(-SURE * suspicion(facts)))
        fails = random.random() < FAILS
        times = {"person": random.lognormvariate(0, SPREAD), "repair": random.lognormvariate(0, SPREAD)}
        return tuple(1 - _cost(candidate, facts, bad=bad, fails=fails, **times) for candidate in seen.candidates)


def suspicion(facts: Mapping[str, Any]) -> float:
    """What the evidence says together; above 0 the file was rather tampered with."""
    return float(
        HASH[facts["hash"]]
        + SIGNATURE[facts["signature"]]
        + (60 - facts["mirrors"]) / 20
        + (60 - facts["trust"]) / 40
        + 0.4 * (1.5 - log10(max(facts["age"], MINUTE) / DAY))
    )


def _cost(
    candidate: Candidate, facts: Mapping[str, Any], *, bad: bool, fails: bool, person: float, repair: float
) -> float:
    exposure = EXPOSURE[facts["environment"]]
    refused: float = DENIED + WAITING * facts["waiting"]
    settled: float = CONFLICT * repair * facts["conflicts"] + exposure * facts["vulnerabilities"]
    match candidate.action:
        case "install":
            return DAMAGE[facts["environment"]] if bad else settled + refused * fails
        case "alternate":
            its = candidate.attributes
            adapting: float = DISTANCE[its["alternate.distance"]] * (1 + facts["dependents"] / 8)
            repairing: float = CONFLICT * its["alternate.conflicts"]
            exposed: float = exposure * its["alternate.vulnerabilities"]
            return (adapting + repairing) * repair + exposed
        case "verify":
            verified: float = (VERIFYING + WAITING * facts["waiting"] / 2) * person
            return verified + (refused if bad else settled)
        case "deny":
            return refused
    return refused + OPEN


def _one(random: Random, weights: Mapping[str, float]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def _alternate(random: Random) -> Alternate:
    distance = random.choice(list(DISTANCE))
    return Alternate("1.23.5", distance, random.choice((0, 0, 0, 1, 2)), random.choice((0, 0, 0, 1, 3)))


PACKAGE = PackageWorld()
