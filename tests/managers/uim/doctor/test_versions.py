"""Versions: what is installed against what is asked for."""

from pathlib import Path

import pytest

from federation.runtime.versions import Versions
from managers.uim.doctor import versions
from managers.uim.doctor.versions import Package

TAKES = ">=3.11,<3.13"


@pytest.mark.parametrize(
    ("python", "packages", "codes"),
    [
        ("3.11.7", [Package("ray", "<3,>=2.54", "2.60.0")], ["versions.sound"]),
        ("3.13.0", [], ["versions.python"]),
        ("3.12.1", [Package("ray", "<3,>=2.54", "2.40.0")], ["versions.package"]),
        ("3.12.1", [Package("ray", "<3,>=2.54", "")], ["versions.package"]),
        ("3.12.1", [Package("z", "", "9.0.dev1")], ["versions.sound"]),
    ],
)
def test_what_is_installed(python: str, packages: list[Package], codes: list[str]) -> None:
    assert [one.code for one in versions.judge(python, TAKES, packages)] == codes


def test_this_installation_is_sound_and_knows_what_it_needs() -> None:
    assert [one.code for one in versions.check_installed()] == ["versions.sound"]
    names = {one.name for one in versions.packages()}
    assert {"ray", "pydantic", "sqlalchemy"} <= names
    assert "torch" not in names  # of an extra


@pytest.mark.parametrize(
    ("ray", "python", "code"),
    [
        ("2.60.0", "3.11.7", "versions.cluster_agrees"),
        ("2.60.0", "3.11.2", "versions.cluster_agrees"),
        ("2.60.1", "3.11.7", "versions.cluster"),
        ("2.60.0", "3.12.7", "versions.cluster"),
    ],
)
def test_the_cluster_that_runs_against_this_installation(ray: str, python: str, code: str) -> None:
    (found,) = versions.judge_cluster(Versions(ray, python), Versions("2.60.0", "3.11.7"))
    assert found.code == code


def test_a_policy_that_learned_an_older_point_is_noticed_and_a_point_that_is_gone_is_not() -> None:
    found = list(versions.judge_points({"a": 1, "b": 2, "gone": 1}, {"a": 2, "b": 2}, Path("p")))
    assert [(one.code, "a" in one.seen, "b," in one.seen) for one in found] == [("versions.policy_points", True, False)]
