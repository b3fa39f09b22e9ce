"""YAML as ELIAS reads it: what is ambiguous, hostile or broken is refused with its place and a cure, never with a
traceback.
"""

from pathlib import Path

import pytest

from federation import strictyaml
from federation.errors import Refused


def test_plain_yaml_is_read() -> None:
    assert strictyaml.loads("a: 1\nb: [x, {y: z}]\n", "f.yaml") == {"a": 1, "b": ["x", {"y": "z"}]}


def test_an_empty_file_is_an_empty_document() -> None:
    assert strictyaml.loads("# nothing yet\n", "f.yaml") is None


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1", "`a` is given twice"),
        ("x:\n  - {a: 1, a: 2}\n", "f.yaml:2:12", "`a` is given twice"),
        ("a: &a [1]\nb: *a\n", "f.yaml:2:4", "aliases are not allowed"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", "f.yaml:3:7", "aliases are not allowed"),
        ("[" * 40 + "]" * 40, "f.yaml:1:33", "nested deeper than 32"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(2, 80, 2)), "f.yaml:", "nested deeper than 32"),
        ("? [a, b]\n: 1\n", "f.yaml:1:3", "a key must be a word"),
        ("a: !!python/object/apply:os.system [id]\n", "f.yaml:1:4", "could not determine a constructor"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2", "expected"),
        ("a: b: c\n", "f.yaml:1:5", "mapping values are not allowed"),
        ("\tx: 1\n", "f.yaml:1:1", "cannot start any token"),
        ("--- 1\n--- 2\n", "f.yaml:2:1", "another document"),
        ("a: 2026-99-99\n", "f.yaml", "not YAML"),
        ("a: " + "9" * 5000 + "\n", "f.yaml", "not YAML"),
        ("a: \x00\n", "f.yaml", "not YAML"),
        ("# " + "x" * (1 << 20), "f.yaml", "more than 1048576 bytes"),
    ],
)
def test_what_is_not_plain_is_refused_with_place_and_cure(text: str, place: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        strictyaml.loads(text, "f.yaml")
    assert refused.value.place.startswith(place)
    assert refused.value.cure


def test_nine_lines_that_stand_for_a_billion_nodes_cost_nothing() -> None:
    lines = ['a0: &a0 ["lol"]'] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(Refused, match="aliases are not allowed"):
        strictyaml.loads("\n".join(lines), "f.yaml")


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), (b"\xff\xfe\x00", "not UTF-8 text"), ("folder", "directory")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | str | None, says: str) -> None:
    path = tmp_path / "f.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(Refused, match=says) as refused:
        strictyaml.load(path)
    assert refused.value.place == str(path)
    assert refused.value.cure


@pytest.mark.parametrize(
    ("keys", "place"),
    [(("b",), "2:1"), (("b", "c"), "3:3"), (("b", "d", 1), "4:10"), (("b", "e", "f"), "2:1"), ((), "1:1")],
)
def test_the_place_of_a_key_is_that_of_the_nearest_there_is(
    tmp_path: Path, keys: tuple[int | str, ...], place: str
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("a: 1\nb:\n  c: 2\n  d: [1, 22]\n")
    assert strictyaml.place(path, keys) == f"{path}:{place}"
