from typing import Any

import pytest

from .kit import Cluster

PACKAGE = "urm.package"
FITS = {"hash": "matches", "signature": "valid", "conflicts": 0, "vulnerabilities": 0}
NEARBY = {"version": "1.23.5", "distance": "minor", "conflicts": 0, "vulnerabilities": 1}


def ask(cluster: Cluster, **data: Any) -> Any:
    named = {"package": "numpy", "version": "1.24.0"}
    return cluster.post("elias.package.requested", "numpy", **{**named, **FITS, **data})


def test_a_known_version_that_fits_is_installed(cluster: Cluster) -> None:
    (reply,) = ask(cluster)
    assert (reply.action, reply.args) == ("install", {"package": "numpy", "version": "1.24.0"})


def test_a_changed_file_is_denied(cluster: Cluster) -> None:
    (reply,) = ask(cluster, hash="mismatch", signature="invalid")
    assert reply.action == "deny"


def test_another_hash_and_a_conflict_are_a_question_in_which_nobody_can_install(cluster: Cluster) -> None:
    (reply,) = ask(cluster, hash="mismatch", conflicts=1, alternates=[NEARBY])
    (asked,) = cluster.asked(PACKAGE)
    assert reply.status == "waiting"
    assert {c.action: c.forbidden for c in asked.candidates} == {
        "install": "changed_file",
        "alternate": None,
        "verify": None,
        "deny": None,
        "hold": None,
    }


def test_an_alternate_says_its_version_and_how_far_it_is(cluster: Cluster) -> None:
    ask(cluster, conflicts=2, alternates=[NEARBY, {"version": "1.22.0", "distance": "minor"}])
    near, far = [c for c in cluster.asked(PACKAGE)[0].candidates if c.action == "alternate"]
    assert (near.args["version"], far.args["version"]) == ("1.23.5", "1.22.0")
    assert near.attributes == {
        "alternate.distance": "minor",
        "alternate.conflicts": 0,
        "alternate.vulnerabilities": 1,
    }
    assert far.attributes == {"alternate.distance": "minor"}


def test_a_fact_that_is_left_out_is_unknown(cluster: Cluster) -> None:
    ask(cluster, conflicts=1)
    assert set(cluster.asked(PACKAGE)[0].facts) == set(FITS)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"package": 7}, "bad-package"),
        ({"alternates": [{"version": "1", "distance": "far"}]}, "bad-package"),
        ({"alternates": [{"version": "1", "distance": "major", "conflict": 1}]}, "bad-package"),
        ({"hash": "wrong"}, "bad-facts"),
        ({"hahs": "matches"}, "bad-facts"),
    ],
)
def test_a_request_with_a_mistake_is_refused(cluster: Cluster, data: dict[str, Any], code: str) -> None:
    assert ask(cluster, **data).code == code
