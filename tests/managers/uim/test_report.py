"""elias report: every figure follows from the record, and says what else it rests on."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import beta
from typer.testing import CliRunner

from federation.clock import VirtualClock
from federation.errors import Refused
from federation.escalation import Escalation
from federation.ledger.appender import Appender, Batch
from federation.ledger.store import Store
from federation.manager import Emission
from federation.records import Advised, Asked, CaseWord, Effect, Entry, Event, Kind, Outcome, encode
from managers.uim.cli.app import app
from managers.uim.report.collect import report, spent
from managers.uim.report.decided import Decided, Window, window
from managers.uim.report.handling import Handling, handling
from managers.uim.report.intervals import Interval, Sums, difference, mean, median, share
from managers.uim.report.trainings import Trainings, trainings
from managers.uim.report.worth import Figure, Prices, Spent, figures, rightly
from tests.policy.plant import VALVE, Question, Works

SURE = Question((-6.0, -7.0, -5.0, -0.011), 3)
WRONG = Question((-6.0, -7.0, -5.0, -0.011), 1)
"""The policy is as sure, and it is not right."""
UNSURE = Question((-1.3, -1.4, -1.5, -1.4), 1)
EVER = 4 * 10**18  # ns
FREE = Advised("p", "m", [0], 0, 0.9, "", "advisor", "", 0, calls=1)
FAILED = Advised("", "", [0], None, None, "", "operator", "it did not answer", 0, calls=2)


def decision(number: int, **more: Any) -> Decided:
    plain = Decided("lab.a", f"s{number}", 0, "policy", True, False, None, False, 0.1, None, 0.05, None)
    return plain._replace(**more)


def named(found: Sequence[Figure]) -> dict[str, Interval]:
    return {one.name: one.value for one in found}


def worth(decided: list[Decided], handled: Handling, spent: Spent, trained: Trainings) -> dict[str, Interval]:
    return named(figures(Window(Counter(), decided), handled, spent, trained, Prices()))


# -- intervals ------------------------------------------------------------------------------------------------------


def test_a_share_has_the_interval_of_clopper_and_pearson() -> None:
    found = share(3, 50)
    assert (found.low, found.high) == (pytest.approx(beta.ppf(0.025, 3, 48)), pytest.approx(beta.ppf(0.975, 4, 47)))
    assert (share(0, 20).low, share(20, 20).high, share(0, 0)) == (0.0, 1.0, Interval(0.0, 0.0, 1.0))


def test_a_median_lies_between_two_of_its_values_from_six_on() -> None:
    assert median([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == Interval(3.5, 1.0, 6.0)
    found = median([float(number) for number in range(100)])
    assert found == Interval(49.5, 39.0, 60.0)


def test_a_mean_has_the_interval_of_student() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0])
    assert (found.value, found.low, found.high) == (
        2.5,
        pytest.approx(0.4457, abs=1e-3),
        pytest.approx(4.5543, abs=1e-3),
    )


def test_observations_of_a_unit_count_as_one() -> None:
    """Ten equal observations in each unit tell no more than one."""
    few = {f"u{n}": Sums(float(n % 5), 1) for n in range(60)}
    many = {f"u{n}": Sums(10.0 * (n % 5), 10) for n in range(60)}
    none = {f"u{n}": Sums(0.0, 1) for n in range(60)}
    assert difference(none, few) == difference(none, many)
    assert difference(few, {"u": Sums(9.0, 1)}) is None


# -- what follows from what -----------------------------------------------------------------------------------------


def test_what_was_decided_alone_counts_as_far_as_checks_found_it_right() -> None:
    alone = [decision(n) for n in range(1000)]
    checks = [decision(2000 + n, tier="operator", alone=False, audit=True, agreed=n >= 5) for n in range(100)]
    found, text = rightly([*alone, *checks])
    assert found.value == pytest.approx(950)
    assert found.low is not None
    assert found.high is not None
    assert 860 < found.low < 950 < found.high < 995
    assert "5 of 100" in text
    assert "assumed" not in text


def test_where_nothing_was_checked_the_promise_of_the_spec_is_assumed_and_said() -> None:
    found, text = rightly([decision(n) for n in range(100)])
    assert found == Interval(pytest.approx(95.0), pytest.approx(95.0), pytest.approx(100.0))  # type: ignore[arg-type]
    assert "assumed" in text
    assert "lab.a" in text


def test_time_saved_is_what_people_took_and_alike_cases_are_answered_together() -> None:
    decided = [decision(n) for n in range(400)]
    decided += [decision(1000 + n, tier="operator", alone=False, agreed=True) for n in range(60)]
    decided += [decision(2000 + n, tier="operator", alone=False, audit=True, agreed=True) for n in range(300)]
    took = [300.0 + number for number in range(-20, 21)]
    found = worth(decided, Handling(82, 41, took), Spent(), Trainings(0, 0, 0))
    assert found["operator time saved"].value == pytest.approx(400 * 300 / 3600 / 2)
    assert found["its worth"].value == pytest.approx(100 * found["operator time saved"].value)
    assert found["operator time saved"].lower < found["operator time saved"].value < found["operator time saved"].upper


def test_what_nobody_measured_is_the_stated_time() -> None:
    found = worth([decision(n) for n in range(60)], Handling(0, 0, []), Spent(), Trainings(0, 0, 0))
    assert found["of these, questions to a person"].value == pytest.approx(57)
    assert found["operator time saved"].value == pytest.approx(57 * 10 / 60)


@pytest.mark.parametrize(("measured", "minutes"), [(7, 10), (8, 5)])
def test_times_count_from_eight_on(measured: int, minutes: float) -> None:
    handled = Handling(measured, measured, [300.0] * measured)
    found = worth([decision(n) for n in range(60)], handled, Spent(), Trainings(0, 0, 0))
    assert found["operator time saved"].value == pytest.approx(57 * minutes / 60)


def test_advisors_and_trainings_cost_what_is_on_record_and_save_what_they_were_not_asked() -> None:
    decided = [decision(n) for n in range(200)]
    decided += [decision(1000 + n, tier="advisor", alone=False, advised=True, agreed=True) for n in range(50)]
    bill = Spent(60, 9000, tuple(0.02 for _ in range(50)))
    found = worth(decided, Handling(0, 0, []), bill, Trainings(1, 10.0, 2.0))
    assert found["advisors' bill"].value == pytest.approx(1.0)
    assert found["advisors' bill avoided"].value == pytest.approx(190 * 0.02)
    assert found["of these, questions to a person"].value == 0
    assert found["training"].value == pytest.approx(10 * 0.04 + 2 * 2)
    assert found["net"].value == pytest.approx(190 * 0.02 - 1.0 - 4.4)


def test_every_figure_says_what_it_rests_on() -> None:
    for one in figures(Window(Counter(), []), Handling(0, 0, []), Spent(), Trainings(0, 0, 0), Prices()):
        assert one.rests_on
        assert one.value.value == 0


# -- from the ledger ------------------------------------------------------------------------------------------------


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    made = Works(tmp_path, audit=0.25)
    yield made
    made.close()


def test_decisions_checks_and_escalations_are_read_from_the_record(works: Works) -> None:
    """Every fourth draw checks; the policy is right about nine in ten of what it is sure of."""
    draws = iter([0.1, 0.9, 0.6, 0.9, 0.8, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9])
    asked = [SURE, SURE, SURE, SURE, WRONG, UNSURE]
    subjects = [f"valve{number}" for number in range(6)]
    decisions = works.ask(asked, draws.__next__, subjects=subjects)
    waiting = {d: q for d, q, s in zip(decisions, asked, works.scored(decisions), strict=True) if s.tier != "policy"}
    works.answer(waiting)
    seen = window(works.store, 0, EVER)
    by_subject = {one.subject: one for one in seen.decided}
    assert [by_subject[s].audit for s in subjects] == [True, False, False, False, True, False]
    assert [by_subject[s].agreed for s in subjects] == [True, None, None, None, False, False]
    assert [by_subject[s].alone for s in subjects] == [False, True, True, True, False, False]
    assert seen.tiers[VALVE.name, "operator"] == 3
    assert window(works.store, EVER, EVER + 1).decided == []


def test_a_case_takes_from_the_word_that_it_is_mine_to_the_answer(works: Works) -> None:
    for number in range(6):
        decisions = works.ask([UNSURE, UNSURE], lambda: 0.9)
        works.clock.advance(600)
        if number:
            word = CaseWord("acknowledged", "ada", works.clock.now())
            works.federation.note(Emission(Kind.CASE, VALVE.name, "valve", decisions[0], word))
        works.clock.advance(60 * number)
        works.answer(dict.fromkeys(decisions, UNSURE))
        works.clock.advance(7200)
    found = handling(works.store, works.points, Escalation(), 0, EVER)
    assert (found.cases, found.groups) == (12, 6)
    assert found.seconds == [60.0, 120.0, 180.0, 240.0, 300.0]


class Records:
    """Records by hand."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.number = VirtualClock(), 0
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self._appender = Appender(self.store, self.clock, "tests")
        self._appender.open(force=True)
        self._incarnation = self._appender.register("tests", {})

    def put(self, kind: Kind, point: str, subject: str, decision: str, body: object) -> None:
        entry = Entry(kind, point, subject, decision, encode(body))
        self._appender.commit([Batch("tests", self._incarnation, self.number, [entry])])
        self.number += 1


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path)
    yield made
    made.store.close()


def test_a_training_takes_what_was_reserved_for_it_from_its_start_to_its_end(records: Records) -> None:
    """Whose job it is says who submitted it: anybody may name one of his own so."""
    data = {"cpus": 2, "gpus": 1}
    for job, source in (("training-1", "elias/ulm/ada"), ("training-x", "elias/cli/ada"), ("other", "elias/cli/ada")):
        asked = Asked(Event(job, source, "elias.job.submitted", job, None, data), {}, [], None, None, [], "b", 1, 0)
        records.put(Kind.ASKED, "urm.admission", job, f"a-{job}", asked)
        for hours, status in ((1, "failed"), (2, "done")):
            released = Effect("released", "place", {}, "jobs", "n1", "act", 30.0)
            records.put(Kind.EFFECT, "ufm.placement", job, f"p-{job}-{hours}", released)
            records.clock.advance(3600 * hours)
            records.put(Kind.OUTCOME, "ufm.placement", job, f"p-{job}-{hours}", Outcome(status))
    assert trainings(records.store, 0, EVER) == Trainings(1, 6.0, 3.0)
    assert trainings(records.store, EVER, EVER + 1) == Trainings(0, 0.0, 0.0)


def test_advice_that_came_too_late_was_paid_for(records: Records) -> None:
    for number, tier in enumerate(("advisor", "late")):
        said = Advised("p", "m", [0], 0, 0.9, "", tier, "", 0, calls=1, input_tokens=100, output_tokens=10, cost=0.5)
        records.put(Kind.ADVISED, "lab.a", "s", f"d{number}", said)
    found = report(records.store, {}, Escalation(), 0, EVER, Prices())
    assert named(found.figures)["advisors' bill"].value == pytest.approx(1.0)
    assert named(found.figures)["net"].value == pytest.approx(-1.0)


@pytest.mark.parametrize("free", [FREE, FAILED])
def test_a_call_that_cost_nothing_lowers_what_one_costs(records: Records, free: Advised) -> None:
    paid = Advised("p", "m", [0], 0, 0.9, "", "advisor", "", 0, calls=1, cost=0.5)
    nobody = Advised("", "", [0], None, None, "", "operator", "no advisor is named", 0)
    for number, said in enumerate((paid, free, free, free, nobody)):
        records.put(Kind.ADVISED, "lab.a", "s", f"d{number}", said)
    bill = spent(records.store, 0, EVER)
    assert bill.costs == (0.5, 0.0, 0.0, 0.0)
    asked = [decision(1000 + n, tier="advisor", alone=False, advised=True, agreed=True) for n in range(4)]
    found = worth([*(decision(n) for n in range(200)), *asked], Handling(0, 0, []), bill, Trainings(0, 0, 0))
    assert found["advisors' bill avoided"].value == pytest.approx(190 * 0.5 / 4)


def run(folder: Path, *arguments: str) -> str:
    (folder / "elias.yaml").write_text(f"state: {folder}\n")
    done = CliRunner().invoke(app, ["-c", str(folder / "elias.yaml"), *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_an_empty_ledger_makes_a_report_of_nothing(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    told = json.loads(run(tmp_path, "report", "--json"))
    assert told["tiers"] == {}
    assert all(one["value"]["value"] == 0 for one in told["figures"])
    assert "net" in run(tmp_path, "report")
    assert json.loads(run(tmp_path, "policy", "assess", "--json")) == []


def test_the_command_tells_the_window_and_the_assumptions(works: Works, tmp_path: Path) -> None:
    works.ask([SURE] * 8, lambda: 0.9)
    works.store.close()
    told = json.loads(run(tmp_path, "report", "--json", "--minutes", "6", "--hour", "50"))
    assert told["tiers"]["policy"] == 8
    values = {one["name"]: one["value"]["value"] for one in told["figures"]}
    assert values["operator time saved"] == pytest.approx(8 * 0.95 * 6 / 60)
    assert values["its worth"] == pytest.approx(50 * values["operator time saved"])
    text = run(tmp_path, "report", "--minutes", "6")
    assert "assumed: 6 min a case (--minutes)" in text
    before = json.loads(run(tmp_path, "report", "--json", "--until", "2001-01-01"))
    assert before["tiers"] == {}


def test_a_time_that_is_none_is_refused_at_the_option_that_it_was_given_as(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    (tmp_path / "elias.yaml").write_text(f"state: {tmp_path}\n")
    done = CliRunner().invoke(app, ["-c", str(tmp_path / "elias.yaml"), "report", "--until", "yesterday"])
    assert isinstance(done.exception, Refused)
    assert done.exception.place == "--until"
