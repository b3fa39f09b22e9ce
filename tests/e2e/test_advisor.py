"""A running federation asks a cloud model what its policy is not sure of, and a person what that does not decide."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from federation.settings import shipped_specs
from tests.advisors.stub import KEY, Prose, Reply, Says, Status, Stub, prompt
from tests.e2e.asking import cli
from tests.e2e.waiting import until
from training.scenarios.generate import generate, scenario

POINT = "ucm.coordination"
PLANTED = "sk-planted-0123456789abcdef"
SETTINGS = """
specs: rules
telemetry:
  interval: 1s
ledger:
  tick: 2s
policy:
  audit: 0
advisors:
  retries: 0
  deadline: 60s
  providers:
    - {{kind: anthropic, model: claude-stub, base_url: "{0}", key_env: STUB_KEY, input_price: 3, output_price: 15}}
    - {{kind: openai, model: other-stub, base_url: "{0}/v1", key_file: other.key}}
"""


def first(body: Any) -> Reply:
    """Chooses the first candidate and names the subject by the placeholder that it was told."""
    assert PLANTED not in "".join(prompt(body))
    return Says("A", "the workflow <subject 1> can go on", 0.9)


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub(first) as made:
        yield made


@pytest.fixture(scope="module")
def elias(stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("advised")
    (folder / "other.key").write_text(KEY)
    _strict_rules(folder / "rules")
    os.environ |= {"STUB_KEY": KEY, "PLANTED": PLANTED}
    try:
        with Running(folder, SETTINGS.format(stub.url)) as running:
            yield running
    finally:
        del os.environ["STUB_KEY"], os.environ["PLANTED"]


def _strict_rules(folder: Path) -> None:
    """The shipped specs, but for a promise that the policy cannot keep alone, and a secret in the prose."""
    shutil.copytree(shipped_specs(), folder)
    spec = folder / "ucm" / "coordination.tiki"
    text = spec.read_text()
    assert "max_error: 5%" in text
    spec.write_text(text.replace("max_error: 5%", "max_error: 0.001%") + f"\nWho is stuck uses the token {PLANTED}.\n")


@pytest.fixture(scope="module")
def questions() -> Iterator[dict[str, Any]]:
    """Facts that the point's rules leave open."""
    return (dict(example.question.facts) for example in generate(POINT, "test", 400, completions=1))


def ask(elias: Running, id: str, data: dict[str, Any]) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": id, "source": "test", "type": scenario(POINT).point.events[0]}
    status, answer = elias.request("POST", "/v1/events", {**event, "subject": f"{id} {PLANTED}", "data": data})
    assert status in (200, 202)
    (decision,) = answer["decisions"]
    return dict(decision)


def unsure(elias: Running, questions: Iterator[dict[str, Any]], name: str) -> dict[str, Any]:
    """The reply to a question that no rule decides."""
    for number, data in enumerate(questions):
        decision = ask(elias, f"{name}-{number}", data)
        if decision["tier"] != "rule":
            assert (decision["status"], decision["tier"]) == ("waiting", "advisor")
            return decision
    raise AssertionError("rules decide everything")


def answered(elias: Running, id: str) -> dict[str, Any]:
    def look() -> Any:
        decision = elias.get(f"/v1/decisions/{id}")[1]
        return decision if decision["status"] == "answered" else None

    found = until(look)
    assert isinstance(found, dict)
    return found


def test_what_the_policy_is_not_sure_of_the_advisor_decides(
    elias: Running, stub: Stub, questions: Iterator[dict[str, Any]]
) -> None:
    decision = answered(elias, unsure(elias, questions, "open")["id"])
    assert (decision["tier"], decision["by"]) == ("advisor", "claude-stub")
    assert decision["words"] == f"the workflow {decision['subject']} can go on"
    explained = json.loads(cli(elias, "explain", decision["id"], "--json").stdout)["explanation"]
    assert explained["same"]
    assert explained["opinion"]["tier"] == "advisor"
    advice = explained["advice"]
    assert (advice["model"], advice["tier"], advice["calls"]) == ("claude-stub", "advisor", 1)
    assert (advice["action"], advice["args"]) == (decision["action"], decision["args"])
    assert advice["cost"] > 0
    assert "advisor claude-stub (anthropic)" in cli(elias, "explain", decision["id"]).stdout
    constant, case = prompt(stub.bodies[-1])
    assert "## UCM Coordination Spec" in constant
    assert "the policy gives it" in case


def test_a_fact_that_is_missing_goes_to_the_tier_that_the_spec_names(elias: Running) -> None:
    decision = ask(elias, "unknown", {"step": "deploy", "trouble": "failed"})
    assert decision["tier"] == "advisor"
    assert answered(elias, decision["id"])["tier"] == "advisor"


def test_where_the_first_provider_declines_the_second_answers(
    elias: Running, stub: Stub, questions: Iterator[dict[str, Any]]
) -> None:
    stub.replies = [Prose("", "refusal"), first]
    decision = answered(elias, unsure(elias, questions, "declined")["id"])
    assert (decision["tier"], decision["by"]) == ("advisor", "other-stub")


def test_where_all_fail_a_person_is_asked_who_sees_why_and_answers(
    elias: Running, stub: Stub, questions: Iterator[dict[str, Any]]
) -> None:
    stub.replies = [Status(400, "invalid_request_error")]
    waiting = unsure(elias, questions, "failed")

    def case() -> Any:
        found = [one for one in elias.get("/v1/cases")[1]["cases"] if one["id"] == waiting["id"]]
        return found[0] if found and "no advisor answered" in found[0]["reason"] else None

    assert "claude-stub: HTTP 400" in until(case)["reason"]
    status, _ = elias.request("POST", f"/v1/cases/{waiting['id']}/answer", {"action": "hold", "words": "I look"})
    assert status == 200
    assert answered(elias, waiting["id"])["tier"] == "operator"
    stub.replies = [first]


def test_the_status_and_the_metrics_tell_who_advises_and_what_it_cost(elias: Running) -> None:
    told = cli(elias, "status").stdout
    assert "advisor: claude-stub (anthropic)" in told
    assert "of 1000 calls and $0." in told

    def figures() -> Any:
        text = elias.get("/metrics")[1]
        return text if isinstance(text, str) and f'{{point="{POINT}",tier="advisor"}}' in text else None

    text = until(figures)
    assert 'elias_advisor_answered_total{model="claude-stub"}' in text
    assert "elias_advisor_dollars " in text


def test_the_budget_of_the_day_outlives_a_restart_and_the_ledger_replays(
    elias: Running, questions: Iterator[dict[str, Any]]
) -> None:
    def calls() -> int:
        members = elias.get("/v1/managers")[1]["members"]
        (advisor,) = [one for one in members if one["name"] == "advisor"]
        return int(advisor["health"].get("today", {}).get("calls", 0))

    before = until(calls)
    (member,) = [one for one in elias.get("/v1/managers")[1]["members"] if one["name"] == "advisor"]
    os.kill(member["pid"], 9)
    until(lambda: calls() >= before)
    assert answered(elias, unsure(elias, questions, "again")["id"])["tier"] == "advisor"
    assert json.loads(cli(elias, "ledger", "replay", "--json").stdout)["identical"]


def test_nothing_secret_was_in_any_request(elias: Running, stub: Stub) -> None:
    sent = "".join(stub.texts)
    assert len(stub.bodies) > 4
    for secret in (PLANTED, KEY, elias.token, str(elias.folder), os.environ.get("HOSTNAME") or "no-such-host"):
        assert secret not in sent
