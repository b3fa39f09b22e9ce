"""The simulated cluster beside a federation on a virtual clock: a short cut of the week that a benchmark lives."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from federation.ledger.verify import verify
from federation.records import Kind, decode
from training.world.answerers import Skilled
from training.world.calls import ASKS, DISAGREE, LEFT_TO_PEOPLE, VERIFY
from training.world.chances import DAY, HOUR, MINUTE, NEVER, WEEK
from training.world.local import Run
from training.world.tally import Tally
from training.world.world import World

BUSY = replace(
    WEEK,
    crash=HOUR * 6,
    crash_lasts=(6 * MINUTE, 10 * MINUTE),
    hang=NEVER,
    rack=NEVER,
    disk=NEVER,
    job=60.0,
    job_lasts=(5 * MINUTE, HOUR),
    release=HOUR,
    package=5 * MINUTE,
    workflow=5 * MINUTE,
    dispatch=5 * MINUTE,
    storm=15 * MINUTE,
)
"""Of each kind of trouble a few in an hour."""


@pytest_asyncio.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    advisor, person = Skilled("advisor", 0.85, 20.0, 0.05), Skilled("person", 0.97, 600.0)
    async with Run(World(5, 10, BUSY), tmp_path, advisor, person) as made:
        yield made


async def test_two_hours_of_the_shipped_specs(run: Run) -> None:
    """One run for all that it shows: it takes seconds."""
    world, tally = run.world, run.tally
    await run.go_on(2 * HOUR)
    records = [(r.header, decode(r.header.kind, r.body)) for r in run.store.read(kinds=[Kind.ANSWERED, Kind.OUTCOME])]
    answered = [(h.point, h.subject, body) for h, body in records if h.kind == Kind.ANSWERED]

    # a node that died was drained, and readmitted when it was back
    dead = {t.subject for t in world.troubles.all if t.kind == "node" and t.at < 1.5 * HOUR}
    drained = {subject for point, subject, body in answered if body.action == "drain"}
    readmitted = {subject for point, subject, body in answered if body.action == "readmit"}
    assert dead
    assert dead <= drained & readmitted
    assert not world.fleet.cordons & dead

    # jobs ran and ended; what was asked for was placed where nothing else was cordoned
    done = [h for h, body in records if h.kind == Kind.OUTCOME and h.point == "ufm.placement" and body.status == "done"]
    assert len(done) == world.fleet.done > 20

    # an application that failed came back, and what kept failing was left to judgement
    processes = [p for p in world.applications.processes.values() if not world.applications.faults.get(p.app)]
    assert all(p.runs or world.now - (p.ended or 0.0) < 10 * MINUTE for p in processes)
    assert tally.decided["uam.restart", "rule"] > 0

    # the policy answered most of what the specs leave open, and the advisor the rest
    consulted = {p for (p, tier), n in tally.decided.items() if tier == "policy" and n}
    assert {"ucm.coordination", "ufm.dispatch"} <= consulted
    assert sum(n for (_, tier), n in tally.decided.items() if tier == "operator") < sum(
        n for (_, tier), n in tally.decided.items() if tier == "policy"
    )
    assert tally.refused == {}

    # every drain of a node that was dead was needed, and the ledger is sound
    assert tally.effects["ufm.node_health/drain", False] == 0
    assert verify(run.store)


async def test_a_case_that_the_advisor_leaves_to_a_person_is_a_page_and_is_answered_later(tmp_path: Path) -> None:
    asks_always, person = Skilled("advisor", 1.0, 20.0, unsure=1.0), Skilled("person", 1.0, 600.0)
    async with Run(World(5, 5, BUSY), tmp_path, asks_always, person) as run:
        while not run.tally.words:
            await run.go_on(10 * MINUTE)
            assert run.world.now < DAY
        assert {name for name, *_ in run.tally.words} == {"person"}
        assert run.tally.pages
        assert run.tally.pages[0].at < run.world.now - 590


def test_pages_of_one_point_within_ten_minutes_are_one() -> None:
    tally = Tally()
    for at, point in ((0.0, "urm.package"), (599.0, "urm.package"), (600.0, "uam.restart"), (700.0, "urm.package")):
        tally.paged(point, at, f"{point} {at}", LEFT_TO_PEOPLE)
    assert (tally.grouped(), len(tally.pages)) == (3, 4)


def test_each_drain_of_one_withheld_case_needed_a_person_and_ordinary_questions_are_about_no_failure() -> None:
    tally = Tally()
    tally.paged("gate.withheld", 0.0, "ufm.node_health/drain", LEFT_TO_PEOPLE)
    for node in ("n04", "n05"):
        tally.withholds("ufm.node_health", 0.0, node)
    tally.paged("ufm.dispatch", 0.0, "dispatch-1", ASKS)
    assert tally.people() == {"node": 2}
    assert tally.reasons() == {("gate.withheld", LEFT_TO_PEOPLE): 2}
    assert tally.grouped() == 2


def test_a_package_that_a_person_is_to_verify_needs_one_person_whoever_said_so() -> None:
    tally = Tally()
    tally.paged("urm.package", 0.0, "package-1", DISAGREE)
    for package in ("package-1", "package-2"):
        tally.verifies("urm.package", 600.0, package)
    assert tally.people() == {"package": 2}
    assert tally.reasons() == {("urm.package", DISAGREE): 1, ("urm.package", VERIFY): 1}
