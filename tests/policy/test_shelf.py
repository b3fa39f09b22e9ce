"""Policies of the store as they are served: loaded when asked, a few at a time, and never a decision lost."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from federation.bundles import keys
from federation.clock import SystemClock
from federation.errors import Refused
from federation.policy import artefacts, card
from federation.policy.question import Prompt
from federation.policy.shelf import Shelf
from federation.policy.signatures import sign
from federation.policy.tier import SHIPPED, Said
from federation.runtime.policy import PolicyService
from federation.settings import BundleSettings, PolicySettings, Settings
from tests.policy.shelf import like_shipped

PROMPTS = [Prompt("is it well?\nA yes\nB no\n", 2)]


def settings(folder: Path, **policy: object) -> Settings:
    return Settings(state=folder / "state", policy=PolicySettings.model_validate({"deadline": 60, **policy}))


def stored(here: Settings, folder: Path, number: int) -> str:
    return artefacts.store(here.state, like_shipped(folder, number)).card.version


def served(here: Settings, versions: Sequence[str]) -> Said:
    async def ask() -> Said:
        service = PolicyService(here)
        await service.start()
        try:
            raw = await service.score(msgspec.msgpack.encode(PROMPTS), list(versions))
            (said,) = msgspec.msgpack.decode(raw, type=list[Said])
            return said
        finally:
            await service.drain()

    return asyncio.run(ask())


def test_whoever_asks_at_once_is_answered_what_he_asked_and_so_is_whoever_comes_later(tmp_path: Path) -> None:
    async def ask() -> list[list[int]]:
        service = PolicyService(settings(tmp_path, batch_size=4))
        await service.start()

        async def asked(count: int) -> int:
            raw = await service.score(msgspec.msgpack.encode(PROMPTS * count))
            return len(msgspec.msgpack.decode(raw))

        try:
            return [list(await asyncio.gather(*map(asked, counts))) for counts in ([1, 3, 2, 7, 1], [2])]
        finally:
            await service.drain()

    assert asyncio.run(ask()) == [[1, 3, 2, 7, 1], [2]]


def test_a_policy_of_the_store_answers_under_its_version(tmp_path: Path) -> None:
    here = settings(tmp_path)
    version = stored(here, tmp_path, 1)
    said = served(here, [version])
    assert (said.policy, said.engine, said.instead) == (version, "store", "")
    assert said.scores == pytest.approx(served(here, []).scores, abs=1e-5)


@pytest.mark.parametrize("damage", ["missing", "changed", "no calibration of its own"])
def test_what_cannot_be_loaded_is_stood_in_for_and_the_answer_says_so(tmp_path: Path, damage: str) -> None:
    here = settings(tmp_path)
    version = stored(here, tmp_path, 1)
    folder = artefacts.place(here.state, version)
    match damage:
        case "missing":
            shutil.rmtree(folder)
        case "changed":
            (folder / card.WEIGHTS).write_bytes(b"other")
        case _:
            shutil.copy(SHIPPED / artefacts.CALIBRATION, folder / artefacts.CALIBRATION)
    said = served(here, [version])
    assert said.policy == card.version_of(SHIPPED)
    assert said.instead.startswith(f"policy {version[:12]} cannot be asked: ")


def test_the_champion_stands_in_for_a_challenger_that_is_missing(tmp_path: Path) -> None:
    here = settings(tmp_path)
    champion = stored(here, tmp_path, 1)
    said = served(here, ["f" * 64, champion])
    assert said.policy == champion
    assert "f" * 12 in said.instead


def test_the_policy_longest_unused_makes_room(tmp_path: Path) -> None:
    here = settings(tmp_path, kept=2)
    versions = [stored(here, tmp_path, number) for number in range(3)]

    async def ask() -> list[list[str]]:
        shelf = Shelf(here, SystemClock())
        loaded = []
        for number in (0, 1, 0, 2, 1):
            await shelf.score(versions[number], PROMPTS, 60)
            loaded.append(shelf.versions)
        await shelf.close()
        return loaded

    a, b, c = versions
    assert asyncio.run(ask()) == [[a], [a, b], [b, a], [a, c], [c, b]]


def test_many_who_ask_for_one_that_is_not_loaded_wait_for_the_same(tmp_path: Path) -> None:
    here = settings(tmp_path, kept=1)
    versions = [stored(here, tmp_path, number) for number in range(2)]

    async def ask() -> int:
        shelf = Shelf(here, SystemClock())
        answers = await asyncio.gather(*(shelf.score(version, PROMPTS, 60) for version in versions * 8))
        left = len(shelf.versions)
        await shelf.close()
        return left if len(answers) == 16 else 0

    assert asyncio.run(ask()) in (1, 2)


def test_where_a_signature_is_needed_only_a_policy_with_one_is_served(tmp_path: Path) -> None:
    trust = tmp_path / "trust"
    trust.mkdir(mode=0o700)
    private = tmp_path / "ada.key"
    public = keys.generate(private)
    shutil.copy(public, trust)
    plain = settings(tmp_path)
    here = plain.model_copy(
        update={
            "bundles": BundleSettings(trust=trust),
            "policy": plain.policy.model_copy(update={"require_signature": True}),
        }
    )
    folder = like_shipped(tmp_path, 1)
    version = artefacts.store(here.state, folder).card.version
    assert "it is not signed" in served(here, [version]).instead
    sign(folder, keys.load_private(private))
    kept = artefacts.store(here.state, folder)
    assert artefacts.signers(kept, trust) == ("ada",)
    assert served(here, [version]).policy == version


def test_a_signature_is_about_one_policy_alone(tmp_path: Path) -> None:
    private = tmp_path / "ada.key"
    keys.generate(private)
    first, second = like_shipped(tmp_path, 1), like_shipped(tmp_path, 2)
    sign(first, keys.load_private(private))
    shutil.copy(first / artefacts.SIGNATURES, second / artefacts.SIGNATURES)
    trust = tmp_path / "trust"
    trust.mkdir(mode=0o700)
    shutil.copy(private.with_suffix(".pub"), trust)
    with pytest.raises(Refused, match="does not fit"):
        artefacts.signers(artefacts.read(second), trust)


def test_the_same_policy_again_changes_nothing_and_other_files_beside_its_weights_are_refused(tmp_path: Path) -> None:
    here = settings(tmp_path)
    folder = like_shipped(tmp_path, 1)
    first = artefacts.store(here.state, folder)
    assert artefacts.store(here.state, folder).content == first.content
    (folder / artefacts.ESTIMATES).write_bytes(b"{}")
    with pytest.raises(Refused, match="with other files beside its weights"):
        artefacts.store(here.state, folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [("link", "is not a plain file"), ("large", "4 MiB are the most"), ("estimates", "estimates.json: ")],
)
def test_a_folder_that_is_not_fit_for_the_store_is_refused(tmp_path: Path, damage: str, said: str) -> None:
    here, folder = settings(tmp_path), like_shipped(tmp_path, 1)
    estimates = folder / artefacts.ESTIMATES
    match damage:
        case "link":
            (tmp_path / "secret").write_text("{}")
            estimates.symlink_to(tmp_path / "secret")
        case "large":
            estimates.write_bytes(b" " * (artefacts.SMALL + 1))
        case _:
            estimates.write_bytes(b'{"plant.valve": 3}')
    with pytest.raises(Refused, match=said):
        artefacts.store(here.state, folder)
    assert not artefacts.place(here.state).exists()


def test_what_a_killed_copy_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    here = settings(tmp_path)
    left = artefacts.place(here.state) / ".0123456789ab.999999999"
    left.mkdir(parents=True)
    version = stored(here, tmp_path, 1)
    assert [path.name for path in artefacts.place(here.state).iterdir()] == [version]


@pytest.mark.parametrize("version", ["../../etc", "f" * 63, "F" * 64, "f" * 63 + "/"])
def test_what_is_no_version_names_no_folder(tmp_path: Path, version: str) -> None:
    with pytest.raises(Refused, match="is no version"):
        artefacts.load(tmp_path, version)
