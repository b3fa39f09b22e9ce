"""What happens in the world of `urm.package`, and how hard its questions are."""

from random import Random
from statistics import mean

import pytest

from managers.urm.packages import Alternate, PackageRequest, proposals
from training.scenarios.package import DAY, PACKAGE
from training.scenarios.world import Seen

SOUND = {
    "hash": "matches",
    "signature": "valid",
    "mirrors": 100.0,
    "conflicts": 0,
    "dependents": 4,
    "vulnerabilities": 0,
    "age": 90 * DAY,
    "trust": 90.0,
    "environment": "shared",
    "waiting": 2,
}
FORGED = {"hash": "mismatch", "signature": "none", "mirrors": 10.0, "trust": 30.0}
REBUILT = {"hash": "mismatch", "mirrors": 100.0}
NEAR = Alternate("1.23.5", "patch", 0, 0)
FAR = Alternate("0.9.0", "major", 1, 0)


def worth(*alternates, **facts):
    """Of every action, on average over many completions."""
    seen = Seen(SOUND | facts, tuple(proposals(PackageRequest("numpy", "1.24.0", list(alternates)))))
    random = Random(5)
    drawn = zip(*(PACKAGE.outcomes(seen, random) for _ in range(300)), strict=True)
    return {candidate.action: mean(one) for candidate, one in zip(seen.candidates, drawn, strict=True)}


def best(*alternates, without=(), **facts):
    found = {action: one for action, one in worth(*alternates, **facts).items() if action not in without}
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("alternates", "facts", "choice"),
    [
        ([FAR], {}, "install"),
        ([FAR], {"conflicts": 1}, "install"),
        ([NEAR], {"conflicts": 1}, "alternate"),
        ([], {"vulnerabilities": 4}, "install"),
        ([], {"vulnerabilities": 4, "environment": "production"}, "deny"),
        ([NEAR], {"vulnerabilities": 1, "environment": "scratch"}, "install"),
        ([FAR], FORGED, "deny"),
        ([NEAR], FORGED, "alternate"),
        ([FAR], REBUILT, "verify"),
        ([NEAR], REBUILT, "alternate"),
    ],
)
def test_what_should_become_of_a_request(alternates, facts, choice):
    forbidden = ["install"] if facts.get("hash") == "mismatch" else []
    assert best(*alternates, without=forbidden, **facts) == choice


def test_a_file_that_was_tampered_with_does_most_harm_in_production():
    harm = [worth(**FORGED, environment=where)["install"] for where in ("scratch", "shared", "production")]
    assert harm == sorted(harm, reverse=True)


def test_a_denied_request_costs_more_the_more_wait_for_it_and_an_open_one_still_more():
    few, many = worth(waiting=0), worth(waiting=9)
    assert many["deny"] < few["deny"]
    assert all(one["hold"] < one["deny"] for one in (few, many))


def test_what_is_not_known_leaves_more_to_chance():
    def spread(facts):
        random, seen = Random(2), Seen(facts, tuple(proposals(PackageRequest("numpy", "1.24.0"))))
        return len({PACKAGE.outcomes(seen, random)[0] > 0 for _ in range(300)})

    unlisted = SOUND | {"hash": "unlisted", "signature": "none", "mirrors": 80.0}
    assert spread(unlisted) == 1
    assert spread({name: value for name, value in unlisted.items() if name not in ("mirrors", "trust")}) == 2
