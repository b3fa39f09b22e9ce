"""kill -9 of whatever has a part in a promotion, while a step is taken: it is taken or not, and never twice. There is
one champion, by the fold of the ledger, by the list, and as what really answers.
"""

import contextlib
import http.client
import itertools
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.running import Running
from federation.ledger.store import Store
from federation.policy import artefacts
from federation.policy.promotions import Promotion
from federation.policy.registry import Line, after
from federation.records import Kind, Scored, decode
from tests.e2e.asking import cli
from tests.e2e.flow import pid_of
from tests.e2e.waiting import until
from tests.policy.shelf import GAIN, like_shipped
from training.scenarios.generate import generate, scenario

POINT = "uim.rollout"
ELSEWHERE = ("ulm.optimisation", "uam.restart")
WAY = [("shadow", 0.0), ("canary", 0.05), ("canary", 0.2), ("canary", 0.5), ("", 0.0)]
"""Stage and share of the trial after each step; after the last one there is none."""

EVERYTHING = "everything"
VICTIMS = ("ulm", "appender", "policy", "urm", EVERYTHING)


@pytest.fixture(scope="module")
def version(elias: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a challenger that a person tries: without an estimate nothing else does."""
    return came_in(elias, like_shipped(tmp_path_factory.mktemp("trained"), 11))


@pytest.fixture
def tried(elias: Running, tmp_path: Path) -> Iterator[str]:
    """Of a challenger that is tried by itself, from here on."""
    folder = like_shipped(tmp_path, 12)
    (folder / artefacts.ESTIMATES).write_bytes(msgspec.json.encode(dict.fromkeys(ELSEWHERE, GAIN)))
    version = came_in(elias, folder)
    cli(elias, "mode", "ulm.promotion/advance", "act")
    yield version
    cli(elias, "mode", "ulm.promotion/advance", "observe")
    for point in ELSEWHERE:
        cli(elias, "policy", "rollback", "--point", point)


def came_in(elias: Running, folder: Path) -> str:
    told: dict[str, Any] = json.loads(cli(elias, "policy", "register", str(folder), "--json").stdout)
    return str(told["policy"])


def kill(elias: Running, victim: str) -> None:
    """kill -9, and it is back."""
    if victim == EVERYTHING:
        elias.kill()
        until(lambda: not reachable(elias))
        elias.start()
    else:
        before = pid_of(elias, victim)
        os.kill(before, signal.SIGKILL)
        until(lambda: pid_of(elias, victim) not in (0, before))


def reachable(elias: Running) -> bool:
    with contextlib.closing(elias.connect()) as connection:
        try:
            connection.connect()
        except OSError:
            return False
        return True


def promote(elias: Running, version: str) -> int:
    """The status of the answer; 0 without one."""
    try:
        return elias.request("POST", "/v1/policies/promote", {"policy": version, "point": POINT})[0]
    except (OSError, http.client.HTTPException):
        return 0


def listed(elias: Running, point: str = POINT) -> tuple[str, str, float]:
    """Champion, stage and share of the trial at a point."""

    def found() -> Any:
        status, answer = elias.get("/v1/policies")
        return answer if status == 200 else None

    for one in until(found)["points"]:
        if one["point"] == point:
            trial = one["trial"] or {"stage": "", "share": 0.0}
            return one["champion"], trial["stage"], trial["share"]
    return "", "", 0.0


def steps(elias: Running, point: str = POINT) -> list[Promotion]:
    """On record."""
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        return [decode(Kind.PROMOTION, record.body) for record in store.read(kinds=[Kind.PROMOTION], points=[point])]
    finally:
        store.close()


def folded(made: list[Promotion]) -> tuple[str, str, float]:
    """As `listed`. Raises Refused for a step that does not follow."""
    line = Line()
    for one in made:
        line = after(line, one)
    stage, share = (line.trial.stage.value, line.trial.share) if line.trial else ("", 0.0)
    return line.champion, stage, share


_numbers = itertools.count()


def scored(elias: Running) -> Scored | None:
    """What the policy whose turn it is said to one more question; None: none was there to say anything."""
    (example,) = generate(POINT, "test", 1, completions=1)
    name = f"killed-{next(_numbers)}"
    event = {"specversion": "1.0", "id": name, "source": "test", "subject": name, "data": dict(example.question.facts)}
    status, answer = elias.request("POST", "/v1/events", event | {"type": scenario(POINT).point.events[0]})
    if status not in (200, 202):
        return None
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        records = store.decision(answer["decisions"][0]["id"])
    finally:
        store.close()
    return next((decode(Kind.SCORED, r.body) for r in records if r.header.kind == Kind.SCORED), None)


def answered(elias: Running, champion: str, challenger: str, share: float) -> None:
    """Returns once a question is answered by the one whose lot it is, of the lots that are drawn now."""
    heard: Scored | None = None

    def by_whose_lot_it_is() -> bool:
        nonlocal heard
        heard = scored(elias)
        if heard is None or not heard.policy:
            return False
        assert (heard.lot.share if heard.lot else 0.0) == share
        whose = challenger if heard.lot and heard.lot.arm == "challenger" else champion
        if whose == "":
            return heard.engine == "embedded" and heard.policy != challenger
        return (heard.engine, heard.policy) == ("store", whose)

    try:
        until(by_whose_lot_it_is)
    except AssertionError as late:
        managers = elias.get("/v1/managers")
        raise AssertionError(f"{late}; last heard {heard}; {managers}") from late


def test_killed_in_every_step_of_a_promotion_there_is_one_champion(elias: Running, version: str) -> None:
    for number, ((stage, share), victim) in enumerate(zip(WAY, VICTIMS, strict=True), start=1):
        champion = version if stage == "" else ""
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(promote, elias, version)
            kill(elias, victim)
            status = asked.result()
        if status == 200:
            assert len(steps(elias)) == number, f"{victim}: said to be taken"
        elif len(steps(elias)) < number:
            assert until(lambda: promote(elias, version)) == 200, f"{victim}: not taken, so it can be taken again"
        assert [one.number for one in steps(elias)] == list(range(1, number + 1)), victim
        assert folded(steps(elias)) == (champion, stage, share), victim
        until(lambda: listed(elias) == (champion, stage, share))  # noqa: B023 - looked at before the next round
        answered(elias, champion, version, share)


def test_what_holds_of_the_ledger_holds_and_one_word_brings_the_old_one_back(elias: Running, version: str) -> None:
    assert listed(elias)[0] == version
    told = json.loads(cli(elias, "policy", "rollback", "--point", POINT, "--json").stdout)
    assert (told["policy"], told["champion"], told["stage"]) == (version, "", "")
    (point,) = [
        one for one in json.loads(cli(elias, "policy", "list", "--json").stdout)["points"] if one["point"] == POINT
    ]
    assert (point["champion"], point["trial"]) == ("", None)
    assert folded(steps(elias)) == ("", "", 0.0)
    answered(elias, "", version, 0.0)
    assert cli(elias, "ledger", "verify").returncode == 0
    assert json.loads(cli(elias, "ledger", "replay", "--json").stdout)["identical"]


def test_killed_in_a_step_that_is_taken_by_itself_it_is_taken_once(elias: Running, tried: str) -> None:
    for point, victim in zip(ELSEWHERE, ("ulm", "gate"), strict=True):
        subject = f"{point}/{tried[:12]}"
        event = {"specversion": "1.0", "id": f"{subject} now", "source": "test", "subject": subject, "data": {}}
        elias.request("POST", "/v1/events", event | {"type": "elias.policy.trial"})
        kill(elias, victim)
        until(lambda: listed(elias, point) == ("", "shadow", 0.0))  # noqa: B023
        (made,) = steps(elias, point)
        assert (made.challenger, made.stage, bool(made.decision)) == (tried, "shadow", True)
