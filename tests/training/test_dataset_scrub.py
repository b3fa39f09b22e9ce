"""No secret and nothing personal gets into a data set, whatever is planted wherever somebody outside can write."""

import string
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

import tiki
from federation.advisors.question import Advice as Word
from federation.advisors.settings import AdvisorSettings, Provider
from federation.clock import VirtualClock
from federation.counsel import Heard
from federation.gate import APPROVAL, SUPERVISION, WITHHELD
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.manager import Manager
from federation.points import DecisionPoint, schemas
from federation.policy.calibration import Calibration, PointCalibration, Step
from federation.policy.question import Question
from federation.policy.rendering import render
from federation.policy.tier import Said, Tier
from federation.records import Candidate, Event
from federation.settings import Settings, shipped_specs
from tests.policy.plant import POLICY
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type
from training.dataset.build import Request, build
from training.dataset.example import Advice, Logged
from training.dataset.sample import page
from training.dataset.scrub import Reader, Unfit, scrub
from training.dataset.store import load
from training.scenarios.generate import points, scenario

GATE = DecisionPoint(
    Point(
        name="yard.gate",
        version=1,
        doc="Who is let in?",
        facts=(
            Fact(name="weight", type=Type.BYTES, doc="of the load"),
            Fact(name="driver", type=Type.NAME, doc="who asks"),
            Fact(name="kind", type=Type.NAME, doc="of the load", values=("sand", "stone")),
            Fact(name="guests", type=Type.LIST, doc="who comes along"),
            Fact(name="known", type=Type.FLAG, doc="was here before"),
        ),
        settings=(Setting(name="keeper", type=Type.NAME, doc="who is on duty", default="nobody"),),
        actions=(
            Action(name="admit", doc="open", args=(Arg(name="lane", type=Type.NAME, doc="which one"),)),
            Action(name="hold", doc="keep it shut"),
        ),
        attributes=(Attribute(name="lane.marshal", type=Type.NAME, doc="who stands there", actions=("admit",)),),
        terminal="hold",
        trigger="every",
    ),
    events=("yard.arrived",),
)
SPEC = """## YARD Gate Spec
- decides: yard.gate
- timeout: 30d
- fallback: request_operator
- otherwise: consult [admit, hold]
"""
HOLD = Candidate("hold")
UNSURE = (-1.0986123, -1.0986123, -1.0986123)


class YardState(msgspec.Struct):
    pass


class Yard(Manager):
    """Says what the event says."""

    name = "yard"
    points = (GATE,)
    State = YardState

    def facts(self, point: DecisionPoint, event: Event, now: int) -> dict[str, Any]:
        return {fact.name: event.data[fact.name] for fact in GATE.schema.facts}

    def propose(self, point: DecisionPoint, event: Event, facts: Any) -> list[Candidate]:
        note = {"note": event.data["note"], event.data["note"]: 1}
        lanes = (
            Candidate("admit", {"lane": one, **note}, {"lane.marshal": one, **note}) for one in event.data["lanes"]
        )
        return [*lanes, Candidate("hold")]


def letters(alphabet: str, count: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=count, max_size=count)


ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
URL = ALNUM + "-_"
WORD = st.text(string.ascii_lowercase, min_size=5, max_size=9)
PLANTED = st.one_of(
    letters(UPPER, 16).map("AKIA{}".format),
    letters(ALNUM + "/+", 40),
    letters(ALNUM, 36).map("ghp_{}".format),
    letters(ALNUM, 82).map("github_pat_{}".format),
    letters(ALNUM, 20).map("glpat-{}".format),
    st.tuples(letters(URL, 20), letters(URL, 40), letters(URL, 43)).map(lambda p: f"eyJ{p[0]}.eyJ{p[1]}.{p[2]}"),
    st.tuples(letters(string.digits, 11), letters(ALNUM, 24)).map(lambda p: f"xoxb-{p[0]}-{p[1]}"),
    letters(ALNUM, 48).map("sk-{}".format),
    letters(ALNUM, 24).map("sk_live_{}".format),
    letters(ALNUM, 35).map("AIza{}".format),
    letters(ALNUM, 64).map("-----BEGIN RSA PRIVATE KEY----- {} -----END RSA PRIVATE KEY-----".format),
    letters(URL, 32).map("Bearer {}".format),
    letters(ALNUM, 12).map("password={}".format),
    st.tuples(WORD, WORD, WORD).map(lambda p: f"{p[0]}.{p[1]}@{p[2]}.example.com"),
    letters(string.digits, 10).map("+49 1{}".format),
    st.tuples(WORD, letters(ALNUM, 14), WORD).map(lambda p: f"postgresql://{p[0]}:{p[1]}@{p[2]}.internal/db"),
    st.tuples(*[st.integers(100, 254)] * 4).map(lambda p: ".".join(map(str, p))),
)


class Office:
    """A yard with a policy that is not sure and an advisor who asks for a person."""

    def __init__(self, folder: Path) -> None:
        provider = Provider(kind="openai", model="stub", base_url="http://127.0.0.1:1/v1")
        options = Settings(state=folder, advisors=AdvisorSettings(providers=(provider,)))
        self.points = {p.name: p for p in (GATE, APPROVAL, WITHHELD, SUPERVISION)}
        shipped = tiki.read_directory(shipped_specs() / "gate", "gate/")
        bundle = tiki.build([*shipped, tiki.Source("yard.tiki", SPEC)], schemas(self.points))
        steps = (Step(0.9, accepted=1000, wrong=10, bound=0.05),)
        known = PointCalibration(1, 1.0, (0.0, 1.0, -1.0, 0.0), steps, 1000, 1000, 1, 0.03)
        tier = Tier({POLICY: Calibration(POLICY, "data", {GATE.name: known})})
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.federation = LocalFederation([Yard(options)], bundle, self.store, VirtualClock(), options, tier=tier)

    def decide(self, number: int, word: str, other: str) -> None:
        """One decision, with these words wherever somebody outside can write."""
        facts = {"weight": 5 * number, "driver": word, "kind": "sand", "guests": [other, word, "sand"], "known": None}
        data = {**facts, "lanes": [word, other], "note": word}
        self.federation.post([Event(f"{word} {number}", other, "yard.arrived", word, other, data)])
        ((decision, consult),) = self.federation.consults().items()
        self.federation.hear({decision: Heard(consult.offered, Said(POLICY, "embedded", UNSURE))})
        (question,) = self.federation.questions().values()
        self.federation.advise(question, Word("openai", word, None, None, f"ask {other}, who has {word}"))
        self.federation.answer("yard", decision, "admit", other, f"{word} is right, says {other}", lane=other)


@given(st.lists(st.tuples(PLANTED, PLANTED), min_size=4, max_size=8))
@effort(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_is_planted_anywhere_is_in_any_file(planted: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        office = Office(Path(place))
        with closing(office.store):
            for number, (word, other) in enumerate(planted):
                office.decide(number, word, other)
            folder = build(office.store, office.points, Request(), Path(place) / "sets")
        data = load(folder)
        whole = [*data.train, *data.validation, *data.test]
        assert len(whole) == len(planted)
        shown = page({GATE.name: GATE.schema}, whole).encode()
        found = b"".join(path.read_bytes() for path in sorted(folder.iterdir())) + shown
        kept = msgspec.json.encode([path.name for path in folder.parent.rglob("*")]) + found
        for word in {one for pair in planted for one in pair}:
            assert word.encode() not in kept
            assert msgspec.json.encode(word)[1:-1] not in kept


def yard(driver: str, guests: list[str], lanes: list[str], keeper: str) -> Question:
    facts = {"weight": 10, "driver": driver, "kind": "sand", "guests": guests, "known": True}
    admitted = (Candidate("admit", {"lane": one, "note": 1}, {"lane.marshal": one}) for one in lanes)
    return Question(GATE.name, {"keeper": keeper}, facts, (*admitted, Candidate("hold")))


def logged(question: Question, **more: Any) -> Logged:
    return Logged("d" * 32, 0, 1, 1, "b" * 32, "", question, 0, "operator", **more)


NAMES = st.one_of(st.sampled_from(["n1", "N1", "n\u0131", "sand", "stone", "nobody", "name1", "<name 1>"]), st.text())


@effort(max_examples=60, deadline=None)
@given(NAMES, st.lists(NAMES, max_size=7), st.lists(NAMES, min_size=1, max_size=5), NAMES)
def test_a_policy_reads_the_same_text(driver: str, guests: list[str], lanes: list[str], keeper: str) -> None:
    question = yard(driver, guests, lanes, keeper)
    clean = scrub(GATE.schema, logged(question)).example.question
    assert render(GATE.schema, clean) == render(GATE.schema, question)


@pytest.mark.parametrize("point", points())
def test_a_policy_reads_the_same_text_of_every_simulated_question(point: str) -> None:
    schema = scenario(point).point.schema
    for example in scenario(point).examples("train", 12, completions=1):
        clean = scrub(schema, logged(example.question)).example.question
        assert render(schema, clean) == render(schema, example.question)


def test_equal_names_stay_equal_and_different_ones_different() -> None:
    clean = scrub(GATE.schema, logged(yard("ada", ["bob", "ada", "Ada"], ["bob", "sand"], "ada"))).example.question
    one, two, three, four = "<name 1>", "<name 2>", "<name 3>", "<name 4>"
    assert clean.settings == {"keeper": one}
    assert (clean.facts["driver"], clean.facts["guests"], clean.facts["kind"]) == (one, [two, one, three], "sand")
    assert [candidate.args for candidate in clean.candidates] == [{"lane": two}, {"lane": four}, {}]


def test_what_is_not_of_its_type_is_left_out_and_named() -> None:
    question = yard("ada", [], ["one"], "ada")
    wrong = question._replace(facts={"weight": "heavy", "known": 1, "driver": 7, "guests": ["a", 2], "key": "x"})
    example, dropped = scrub(GATE.schema, logged(wrong))
    assert example.question.facts == {}
    assert sorted(dropped) == ["a fact that is not declared", "driver", "guests", "known", "weight"]


@pytest.mark.parametrize("candidate", [Candidate("climb"), Candidate("admit", {"lane": 7})])
def test_an_action_that_the_point_does_not_know_makes_no_example(candidate: Candidate) -> None:
    question = yard("ada", [], ["one"], "ada")
    with pytest.raises(Unfit):
        scrub(GATE.schema, logged(question._replace(candidates=(candidate, *question.candidates))))


@pytest.mark.parametrize("model", ["claude-sonnet-4-5-20250929", "gpt-5-mini", "openrouter/qwen-3-32b", "llama3.3:70b"])
def test_the_name_of_an_advisor_stays(model: str) -> None:
    example = logged(yard("a", [], ["b"], "c"), advice=Advice(model, 0, 0.9))
    found = scrub(GATE.schema, example).example.advice
    assert found is not None
    assert found.model == model


def test_what_the_first_net_let_through_the_second_finds() -> None:
    reader = Reader()
    question = yard("ada", [], ["one"], "ada")
    assert not reader.suspects(scrub(GATE.schema, logged(question)).example)
    for secret in ("AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "-----BEGIN RSA PRIVATE KEY-----"):
        leaking = question._replace(facts={"driver": secret})
        assert reader.suspects(logged(leaking))
        assert reader.suspects(logged(leaking))  # and does not forget
