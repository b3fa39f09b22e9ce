"""`elias tiki test` and `elias tiki new`, as a spec author uses them."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from managers.uim.cli.specs.sources import points

from .tiki_cli import Elias

SHIPPED = Path(__file__).parents[3] / "tiki_specs"


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(tmp_path, monkeypatch, capsys)


SPEC = """## UIM Access Spec
- block_at: 20_failures_per_minute
- fallback: hold
- guessing: when failures >= block_at: block
- forgive: when failures < 1_failures_per_minute: unblock
- otherwise: hold

### Examples
| failures | decides |
| --- | --- |
| 19_failures_per_minute | hold |
| 20_failures_per_minute | block |
"""

SCENARIOS = """- decides: uim.access

## Scenario: somebody guesses
- load 10s: failures 18_failures_per_minute+1 x3
- at 0s: hold
- at 20s: block by guessing
- at 30s: still block
"""


def test_examples_and_scenarios_of_a_folder_are_run(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS)
    said = elias("tiki", "test", "specs")
    assert (said.code, said.out) == (0, "1 scenarios, 2 examples, 0 failed\n")


def test_a_file_is_tested_with_the_scenarios_beside_it_and_scenarios_with_the_specs_beside_them(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS)
    elias.write("elsewhere/guess_test.tiki", SCENARIOS)
    assert elias("tiki", "test", "specs/access.tiki").out == "1 scenarios, 2 examples, 0 failed\n"
    assert elias("tiki", "test", "specs/access_test.tiki").out == "1 scenarios, 0 examples, 0 failed\n"
    assert elias("tiki", "test", "elsewhere/guess_test.tiki").code == 1
    said = elias("tiki", "test", "elsewhere/guess_test.tiki", "--specs", "specs")
    assert (said.code, said.out) == (0, "1 scenarios, 0 examples, 0 failed\n")


def test_a_scenario_that_fails_says_what_was_decided_and_when(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS.replace("at 20s: block", "at 10s: block"))
    said = elias("tiki", "test", "specs")
    assert said.code == 1
    assert "access_test.tiki:6: somebody guesses: at 10s expected block by guessing, decided hold" in said.out
    assert "20s block, by guessing" in said.out
    assert said.out.endswith("1 scenarios, 2 examples, 1 failed\n")


def test_a_mistake_in_a_scenario_is_shown_with_its_place_and_a_suggestion(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS.replace("failures 18", "falures 18"))
    said = elias("tiki", "test", "specs")
    assert said.code == 1
    assert "access_test.tiki:4:13: error TIKI-623" in said.err
    assert "did you mean `failures`" in said.err


def test_tests_are_chosen_by_a_part_of_their_name(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS)
    assert elias("tiki", "test", "specs", "-k", "GUESSES").out == "1 scenarios, 0 examples, 0 failed\n"
    assert elias("tiki", "test", "specs", "-k", "20_per_minute").out == "0 scenarios, 1 examples, 0 failed\n"
    assert "no test has `nothing`" in elias("tiki", "test", "specs", "-k", "nothing").err


def test_coverage_is_shown_and_may_be_demanded(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS)
    said = elias("tiki", "test", "specs", "--coverage")
    assert said.code == 0
    assert "uim.access\t2/4\t-\t2/4\t-\t50 %\n" in said.out
    assert "access.tiki:5: not covered: nothing is decided by forgive\n" in said.out
    assert "try failures below 1_per_minute" in said.out
    assert elias("tiki", "test", "specs", "--fail-under", "50").code == 0
    short = elias("tiki", "test", "specs", "--fail-under", "51")
    assert short.code == 1
    assert "the tests cover 50.0 %, less than 51 %" in short.err
    assert "not covered" in short.out


def test_results_are_written_for_scripts_and_for_ci(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    elias.write("specs/access_test.tiki", SCENARIOS.replace("still block", "hold"))
    said = elias("tiki", "test", "specs", "--json", "--junit", "results.xml")
    assert said.code == 1
    assert [(test["kind"], test["passed"]) for test in said.json["tests"]] == [
        ("example", True),
        ("example", True),
        ("scenario", False),
    ]
    assert said.json["coverage"]["points"] == {"uim.access": 50.0}
    assert [goal["clause"] for goal in said.json["coverage"]["goals"] if not goal["covered"]]
    suites = ElementTree.parse(elias.folder / "results.xml").getroot()
    assert [suites.get(name) for name in ("tests", "failures")] == ["3", "1"]
    assert "unwritable" not in said.err
    assert elias("tiki", "test", "specs", "--junit", "no/such/folder.xml").code == 1


def test_scenarios_are_formatted_and_are_no_specs(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    path = elias.write("specs/access_test.tiki", SCENARIOS.replace("load 10s:", "load  10s :"))
    assert elias("tiki", "check", "specs").code == 0
    assert "`elias tiki test`" in elias("tiki", "check", str(path)).err
    assert elias("tiki", "fmt", "--check", str(path)).code == 1
    elias("tiki", "fmt", str(path))
    assert path.read_text() == SCENARIOS


def test_tests_run_again_when_a_file_changes(elias: Elias) -> None:
    elias.write("specs/access.tiki", SPEC)
    tests = elias.write("specs/access_test.tiki", SCENARIOS)
    command = [sys.executable, "-m", "managers.uim.cli", "tiki", "test", "specs", "--watch"]
    with subprocess.Popen(
        command, cwd=elias.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stderr is not None
            said = iter(running.stdout.readline, "")
            waits = (line for line in iter(running.stderr.readline, "") if line.startswith("waiting"))
            assert next(said) == "1 scenarios, 2 examples, 0 failed\n"
            assert next(waits)
            tests.write_text(
                SCENARIOS + "\n## Scenario: nobody does\n- given: failures 5_failures_per_minute\n- at 0s: hold\n"
            )
            assert next(said) == "2 scenarios, 2 examples, 0 failed\n"
            assert next(waits)
            tests.write_text("## Scenario\n")
            assert next(waits)
            tests.write_text(SCENARIOS)
            assert next(said) == "1 scenarios, 2 examples, 0 failed\n"
        finally:
            running.terminate()


# -- what ships ------------------------------------------------------------------------------------------------------


def test_the_tests_of_the_specs_that_ship_pass_and_cover_them(elias: Elias) -> None:
    said = elias("tiki", "test", str(SHIPPED), "--coverage", "--fail-under", "100")
    assert said.code == 0, said.out + said.err
    rows = [line.split("\t") for line in said.out.splitlines() if "\t" in line]
    assert {row[0] for row in rows} == {name for name in points()}
    for _, clauses, guards, _, time, _ in rows:
        for counted in (clauses, guards, time):
            covered, _, all_ = counted.partition("/")
            assert counted == "-" or covered == all_


def test_the_tests_that_ship_are_in_standard_form(elias: Elias) -> None:
    assert elias("tiki", "fmt", "--check", *map(str, SHIPPED.rglob("*_test.tiki"))).out == ""


# -- a first spec ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", sorted(points()))
def test_a_first_spec_checks_clean_and_its_tests_pass_as_they_stand(elias: Elias, point: str) -> None:
    made = elias("tiki", "new", point, "--into", "mine")
    name = point.partition(".")[2]
    assert (made.code, made.out) == (0, f"mine/{name}.tiki\nmine/{name}_test.tiki\n")
    assert elias("tiki", "check", "mine", "--fail-on", "warning").code == 0
    tested = elias("tiki", "test", "mine", "--fail-under", "100")
    assert tested.code == 0, tested.out + tested.err
    assert elias("tiki", "fmt", "--check", "mine").code == 0
    text = (elias.folder / "mine" / f"{name}.tiki").read_text()
    assert all(f"  {fact.name} (" in text for fact in points()[point].facts)
    assert all(f"  {setting.name} (" in text for setting in points()[point].settings)


def test_what_is_there_is_left_alone(elias: Elias) -> None:
    path = elias.write("mine/access_test.tiki", "mine\n")
    said = elias("tiki", "new", "uim.access", "--into", "mine")
    assert said.code == 1
    assert "mine/access_test.tiki is there already" in said.err
    assert path.read_text() == "mine\n"
    assert not (elias.folder / "mine" / "access.tiki").exists()


def test_a_point_that_a_spec_decides_already_gets_no_second_one(elias: Elias) -> None:
    elias.write("mine/access_rules.tiki", SPEC)
    said = elias("tiki", "new", "uim.access", "--into", "mine")
    assert said.code == 1
    assert "access_rules.tiki" in said.err
    assert not (elias.folder / "mine" / "access.tiki").exists()


def test_a_point_that_does_not_exist_is_answered_with_one_that_does(elias: Elias) -> None:
    assert "did you mean `uim.access`" in elias("tiki", "new", "uim.acess").err
