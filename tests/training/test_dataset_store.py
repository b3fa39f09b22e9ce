"""A data set on disk."""

from pathlib import Path

import pytest

from federation.errors import Refused
from training.dataset import store
from training.dataset.example import Logged
from training.dataset.simulated import logged
from training.scenarios.generate import scenario

POINT = "uam.restart"


@pytest.fixture(scope="module")
def found() -> list[Logged]:
    one = scenario(POINT)
    uniform = [tuple(-1.0 for _ in e.question.candidates) for e in one.examples("train", 30)]
    return logged(one, list(one.examples("train", 30)), lambda questions: uniform, 0.5)


def written(out: Path, found: list[Logged]) -> Path:
    recipe = store.Recipe({POINT: 1})
    return store.write(out, recipe, {"train": found[:20], "validation": found[20:25], "test": found[25:]})


def test_what_is_written_is_read_again(tmp_path: Path, found: list[Logged]) -> None:
    folder = written(tmp_path, found)
    data = store.load(folder)
    assert data.digest == folder.name
    assert [*data.train, *data.validation, *data.test] == found
    assert data.recipe.splits["train"].examples == 20


def test_the_same_examples_have_the_same_name_and_bytes_anywhere(tmp_path: Path, found: list[Logged]) -> None:
    one, two = written(tmp_path / "one", found), written(tmp_path / "two" / "deeper", found)
    assert one.name == two.name
    for path in sorted(one.iterdir()):
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_made_twice_there_is_one_and_nothing_else(tmp_path: Path, found: list[Logged]) -> None:
    assert written(tmp_path, found) == written(tmp_path, found)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["recipe.json", "train.jsonl", "validation.jsonl", "test.jsonl"])
def test_a_changed_byte_is_found_in_every_file(tmp_path: Path, found: list[Logged], name: str) -> None:
    folder = written(tmp_path, found)
    text = (folder / name).read_bytes()
    (folder / name).write_bytes(text.replace(b"1", b"2", 1))
    with pytest.raises(Refused, match="is not the one"):
        store.load(folder)


def test_a_file_that_is_cut_or_gone_is_found(tmp_path: Path, found: list[Logged]) -> None:
    folder = written(tmp_path, found)
    text = (folder / "train.jsonl").read_bytes()
    (folder / "train.jsonl").write_bytes(text[: text.index(b"\n") + 1])
    with pytest.raises(Refused, match="is not the one"):
        store.load(folder)
    (folder / "train.jsonl").unlink()
    with pytest.raises(Refused, match="missing"):
        store.load(folder)


def test_where_there_is_none_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        store.load(tmp_path)
    assert "elias train dataset" in refused.value.cure


def test_where_it_cannot_be_written_another_folder_is_asked_for(tmp_path: Path, found: list[Logged]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be written"):
        written(tmp_path / "file" / "below", found)
