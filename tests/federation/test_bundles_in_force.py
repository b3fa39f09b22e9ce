"""How bundles come into force: the folder that is edited, files that people activate, and which of them counts when."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from federation.bundles import keys, signing, staging
from federation.bundles.acceptance import record_of
from federation.bundles.artefact import Artefact, dump, make
from federation.bundles.history import history
from federation.errors import Refused
from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.local import points_of
from federation.points import versions
from federation.records import BundleText, Entry, Kind, decode, encode
from federation.replay import replay
from federation.runtime import bundles as runtime
from federation.settings import BundleSettings, Settings
from tests.federation.gate_process import GateProcess
from tests.federation.lab import SPEC, Lab, Laboratory
from tiki import Invalid

POINTS = points_of([Lab])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    made = Laboratory(tmp_path)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "lab.tiki").write_text(SPEC)
    return tmp_path / "specs"


@pytest.fixture
def restart(lab: Laboratory, folder: Path) -> Callable[..., GateProcess]:
    """A process that has not started, on what the one before left."""
    return lambda **more: GateProcess(lab.federation, Settings(state=folder.parent, specs=folder, **more), POINTS)


@pytest.fixture
def gate(restart: Callable[..., GateProcess]) -> GateProcess:
    made = restart()
    made.start()
    return made


def artefact(heat: int, version: str, **more: Any) -> Artefact:
    return make({"lab.tiki": spec(heat)}, versions(POINTS), version, **more)


def spec(heat: int) -> str:
    return SPEC.replace("heat > 90%", f"heat > {heat}%")


def file(heat: int, version: str, **more: Any) -> str:
    return dump(artefact(heat, version, **more)).decode()


def digest(heat: int) -> str:
    return artefact(heat, "any").content.digest


# -- the folder -----------------------------------------------------------------------------------------------------


def test_a_start_with_the_folder_that_is_in_force_records_nothing(restart: Callable[..., GateProcess]) -> None:
    restart().start()
    _, entries = restart().bundles.first()
    assert entries == []


def test_a_folder_that_was_edited_while_everything_was_down_is_in_force(
    restart: Callable[..., GateProcess], gate: GateProcess, folder: Path
) -> None:
    before = gate.bundles.in_force.text.digest
    (folder / "lab.tiki").write_text(spec(91))
    again = restart()
    assert again.start() == digest(91)
    assert again.bundles.in_force.text.previous == before
    assert again.bundles.in_force.text.uncovered == {"lab.furnace": ""}


def test_a_broken_folder_leaves_in_force_what_was_so_and_says_why(
    restart: Callable[..., GateProcess], gate: GateProcess, folder: Path
) -> None:
    before = gate.bundles.in_force.text.digest
    (folder / "lab.tiki").write_text(SPEC.replace("- otherwise: run", "- otherwise: rnu"))
    again = restart()
    assert again.start() == before
    assert "did you mean `run`" in again.bundles.describe()["problem"]["message"]


def test_without_anything_in_force_a_broken_folder_is_told(restart: Callable[..., GateProcess], folder: Path) -> None:
    (folder / "lab.tiki").write_text("## LAB Furnace Spec\n- nonsense\n")
    process = restart()
    process.store = Store.open(str(folder.parent / "never started.db"))
    with pytest.raises(Invalid):
        process.start()
    process.store.close()


async def test_an_edit_is_in_force_soon_and_a_broken_one_is_not(
    gate: GateProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "RESCAN", 0.001)
    watching = asyncio.create_task(gate.bundles.watch())
    try:
        await asyncio.sleep(0)
        (folder / "lab.tiki").write_text(spec(91) + "\nand more\n")
        await _until(lambda: "91%" in gate.desk.bundle.texts["lab.tiki"])
        (folder / "lab.tiki").write_text("## LAB Furnace Spec\n- nonsense\n")
        await _until(lambda: bool(gate.bundles.problem))
        assert "91%" in gate.desk.bundle.texts["lab.tiki"]
        (folder / "lab.tiki").write_text(spec(91) + "\nand more\n")
        await _until(lambda: not gate.bundles.problem)
        await gate.bundles.activate(file(95, "1.0"), "ada", "")
        (folder / "lab.tiki").write_text(spec(92))
        await _until(lambda: "was edited" in gate.bundles.problem.get("message", ""))
        assert gate.bundles.in_force.text.digest == digest(95)
    finally:
        watching.cancel()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


# -- a person's word ------------------------------------------------------------------------------------------------


async def test_a_bundle_that_was_activated_stays_in_force_over_restarts_and_edits(
    restart: Callable[..., GateProcess], gate: GateProcess, folder: Path
) -> None:
    said = await gate.bundles.activate(file(95, "1.0"), "ada", "it is summer")
    assert (said["digest"], said["changed"], said["version"]) == (digest(95), True, "1.0")
    (folder / "lab.tiki").write_text(spec(91))
    again = restart()
    assert again.start() == digest(95)
    found = again.bundles.describe()
    assert (found["by"], found["reason"], found["origin"]) == ("ada", "it is summer", "file")
    assert "--folder" in found["unfollowed"]


async def test_the_folder_counts_again_when_somebody_says_so(gate: GateProcess, folder: Path) -> None:
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    (folder / "lab.tiki").write_text(spec(91))
    said = await gate.bundles.follow_folder("ada", "back to work")
    assert (said["digest"], said["unfollowed"]) == (digest(91), "")


async def test_a_folder_with_errors_is_not_followed(gate: GateProcess, folder: Path) -> None:
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    (folder / "lab.tiki").write_text("## LAB Furnace Spec\n- nonsense\n")
    with pytest.raises(Refused, match="nonsense"):
        await gate.bundles.follow_folder("ada", "")
    assert gate.bundles.in_force.text.version == "1.0"


async def test_a_rollback_goes_back_by_digest_or_version_and_is_recorded(gate: GateProcess) -> None:
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    await gate.bundles.activate(file(96, "2.0"), "ada", "")
    said = await gate.bundles.roll_back("1.0", "bob", "too hot")
    assert (said["digest"], said["version"], said["previous"]) == (digest(95), "1.0", digest(96))
    await gate.bundles.roll_back(digest(90), "bob", "")
    newest, before, *_ = history(gate.store)
    assert (newest.digest, newest.origin, newest.by) == (digest(90), "rollback", "bob")
    assert (before.version, before.reason) == ("1.0", "too hot")


async def test_the_same_again_changes_nothing(gate: GateProcess) -> None:
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    count = len(history(gate.store))
    for again in (gate.bundles.activate(file(95, "1.0"), "ada", ""), gate.bundles.roll_back("1.0", "ada", "")):
        assert (await again)["changed"] is False
    assert len(history(gate.store)) == count


async def test_a_version_names_one_bundle(gate: GateProcess) -> None:
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    with pytest.raises(Refused, match=r"version `1\.0` was in force with other rules") as refused:
        await gate.bundles.activate(file(96, "1.0"), "ada", "")
    assert "a version of its own" in refused.value.cure


async def test_two_at_a_time_are_put_in_force_one_after_the_other(gate: GateProcess) -> None:
    await asyncio.gather(*(gate.bundles.activate(file(90 + n, f"{n}.0"), "ada", "") for n in range(1, 5)))
    chain = [decode(Kind.BUNDLE, r.body) for r in gate.store.latest(5, kinds=[Kind.BUNDLE])]
    assert [text.previous for text in chain[:-1]] == [text.digest for text in chain[1:]]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "bundle-format"),
        ("\ud800", "bundle-format"),
        (file(95, "1.0").replace("95%", "85%"), "bundle-tampered"),
        (file(95, "1.0", expires=datetime(2001, 1, 1, tzinfo=UTC)), "bundle-expired"),
        (dump(make({"lab.tiki": SPEC}, {"lab.furnace": 9}, "1.0")).decode(), "bundle-points"),
        (dump(make({"lab.tiki": "## LAB Furnace Spec\n- x\n"}, versions(POINTS), "1.0")).decode(), "bundle-unsound"),
    ],
)
async def test_what_may_not_come_into_force_changes_nothing(gate: GateProcess, given: str, code: str) -> None:
    before = history(gate.store)
    with pytest.raises(Refused) as refused:
        await gate.bundles.activate(given, "ada", "")
    assert refused.value.code == code
    assert refused.value.cure
    assert history(gate.store) == before


# -- the next start -------------------------------------------------------------------------------------------------


def chosen(heat: int, version: str) -> BundleText:
    return record_of(artefact(heat, version), origin="file", by="ada", reason="the next shift")


def test_what_was_chosen_for_the_start_is_in_force_once_and_then_forgotten(
    restart: Callable[..., GateProcess], gate: GateProcess
) -> None:
    state = gate.settings.state
    staging.stage(state, chosen(97, "3.0"))
    assert staging.place(state).stat().st_mode & 0o077 == 0
    assert restart().start() == digest(97)
    assert staging.staged(state) is None
    assert restart().start() == digest(97)


@pytest.mark.parametrize("raw", [b"", b"no JSON", encode(BundleText("0" * 32, {"a.tiki": ""}, {}))])
def test_a_choice_that_cannot_be_used_is_reported_and_changes_nothing(
    restart: Callable[..., GateProcess], gate: GateProcess, raw: bytes
) -> None:
    staging.place(gate.settings.state).write_bytes(raw)
    again = restart()
    assert again.start() == digest(90)
    assert again.bundles.problem
    assert staging.place(gate.settings.state).exists()


def test_what_was_in_force_under_other_points_is_carried_over_and_recorded(
    restart: Callable[..., GateProcess], gate: GateProcess, lab: Laboratory
) -> None:
    """After an update of ELIAS: every decision names a bundle that is on record."""
    old = make({"lab.tiki": spec(95)}, {"lab.furnace": 0}, "1.0")
    text = record_of(old, origin="file", by="ada", reason="")
    lab.federation._commit("gate", [Entry(Kind.BUNDLE, "", "", "", encode(text))])
    again = restart()
    assert again.start() == digest(95)
    assert old.content.digest in again.bundles.in_force.text.reason
    assert history(gate.store)[0].digest == digest(95)


# -- with signatures ------------------------------------------------------------------------------------------------


@pytest.fixture
def required(tmp_path: Path) -> dict[str, BundleSettings]:
    (tmp_path / "trust").mkdir()
    keys.generate(tmp_path / "ada.key")
    (tmp_path / "ada.pub").rename(tmp_path / "trust" / "ada.pub")
    return {"bundles": BundleSettings(trust=tmp_path / "trust", require_signature=True)}


def signed(tmp_path: Path, heat: int, version: str) -> Artefact:
    return signing.sign(artefact(heat, version), keys.load_private(tmp_path / "ada.key"))


def test_where_rules_need_a_signature_an_unsigned_start_is_refused_with_what_to_do(
    restart: Callable[..., GateProcess], gate: GateProcess, required: dict[str, BundleSettings]
) -> None:
    with pytest.raises(Refused, match="it is not signed") as refused:
        restart(**required).start()
    assert "--at-start" in refused.value.cure


async def test_signed_rules_come_into_force_and_nothing_else_does(
    restart: Callable[..., GateProcess], required: dict[str, BundleSettings], tmp_path: Path
) -> None:
    text = record_of(signed(tmp_path, 95, "1.0"), origin="file", by="ada", reason="")
    staging.stage(tmp_path, text)
    gate = restart(**required)
    assert gate.start() == digest(95)
    assert gate.bundles.describe()["signers"] == ["ada"]
    assert "need a signature" in gate.bundles.describe()["unfollowed"]
    for refused in (
        gate.bundles.activate(file(96, "2.0"), "ada", ""),
        gate.bundles.roll_back(digest(90), "ada", ""),
        gate.bundles.follow_folder("ada", ""),
    ):
        with pytest.raises(Refused, match=r"signature|not signed"):
            await refused
    await gate.bundles.activate(dump(signed(tmp_path, 96, "2.0")).decode(), "ada", "")
    await gate.bundles.roll_back("1.0", "ada", "")
    assert restart(**required).start() == digest(95)


# -- the record -----------------------------------------------------------------------------------------------------


async def test_decisions_replay_across_every_change_and_past_rules_that_nobody_used(
    gate: GateProcess, lab: Laboratory
) -> None:
    decided = [lab.measured(92).action]
    await gate.bundles.activate(file(95, "1.0"), "ada", "")
    decided.append(lab.measured(92, "f2").status)
    unsound = make({"lab.tiki": "## LAB Furnace Spec\n- nonsense\n"}, versions(POINTS), "2.0")
    text = record_of(unsound, origin="file", by="an intruder", reason="")
    lab.federation._commit("gate", [Entry(Kind.BUNDLE, "", "", "", encode(text))])
    await gate.bundles.roll_back(digest(90), "ada", "")
    decided.append(lab.measured(92, "f3").action)
    assert decided == ["cool", "waiting", "cool"]
    found = replay(lab.store, POINTS)
    assert (found.decisions, found.waiting, found.identical) == (2, 1, True)
    assert verify(lab.store)
