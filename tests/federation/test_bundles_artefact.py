"""A bundle as a file: one form only, the same bytes everywhere, and nothing in it that was not checked."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.bundles import artefact
from federation.bundles.artefact import Artefact, Signature, dump, load, make
from federation.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {"lab/a.tiki": "## LAB Furnace Spec\n", "overlays/prod/a.tiki": "é\u2028\n"}
POINTS = {"lab.request": 2, "lab.furnace": 1}
EXPIRES = datetime(2027, 1, 31, tzinfo=UTC)


def made(**changes: Any) -> Artefact:
    given: dict[str, Any] = {"texts": TEXTS, "points": POINTS, "version": "2026.10", "expires": EXPIRES} | changes
    return make(**given)


def test_what_is_written_is_read_again() -> None:
    given = made()
    assert load(dump(given), "x.bundle") == given


def test_the_order_in_which_texts_and_points_come_does_not_matter() -> None:
    other = made(texts=dict(reversed(TEXTS.items())), points=dict(reversed(POINTS.items())))
    assert dump(other) == dump(made())


def test_another_process_writes_the_same_bytes() -> None:
    """With another seed of the hashes, as on another machine."""
    module = "tests.federation.test_bundles_artefact"
    program = f"import sys; from {module} import dump, made; sys.stdout.buffer.write(dump(made()))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, env={"PYTHONHASHSEED": "7"}
    )
    assert run.stdout == dump(made())


def test_the_digest_is_of_texts_and_points_and_not_of_the_label() -> None:
    assert made(version="other", expires=None).content.digest == made().content.digest
    assert made(points={"lab.furnace": 2}).content.digest != made().content.digest


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.tiki", fullmatch=True), st.text(), min_size=1))
def test_any_text_comes_back_as_it_was(texts: dict[str, str]) -> None:
    assert load(dump(made(texts=texts)), "").content.texts == texts


@pytest.mark.parametrize(
    "path",
    [
        "../escape.tiki",
        "/etc/passwd.tiki",
        "a/../../b.tiki",
        "a//b.tiki",
        "./a.tiki",
        "",
        "a\\b.tiki",
        "C:/a.tiki",
        "a\nb.tiki",
        "a\x00b.tiki",
        "e\u0301.tiki",
        "\u202ea.tiki",
        "x" * 256,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="is not a path of a text") as refused:
        made(texts={path: ""})
    assert "rename the file" in refused.value.cure


@pytest.mark.parametrize("version", ["", "a b", "../1", "x" * 65, "a" * 32, "1\n", "-1"])
def test_a_label_that_could_be_taken_for_something_else_is_refused(version: str) -> None:
    with pytest.raises(Refused, match="is not a version"):
        made(version=version)


def test_a_bundle_without_texts_is_refused() -> None:
    with pytest.raises(Refused, match="it has 0 texts"):
        made(texts={})


def changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file as somebody would write it who edited it with care."""
    data = json.loads(dump(made()))
    change(data)
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def test_an_edit_in_the_same_form_is_read_as_such() -> None:
    """Else the cases below would show less than they say."""
    assert changed(lambda data: None) == dump(made())


@pytest.mark.parametrize(
    ("raw", "code", "says"),
    [
        (b"", "bundle-format", "this is not a bundle"),
        (b"\x00\xff\xfe", "bundle-format", "this is not a bundle"),
        (b"[" * 100_000, "bundle-format", "this is not a bundle"),
        (b'{"format": "elias-bundle/1", "content": ' + b"[" * 100_000, "bundle-format", "this is not a bundle"),
        (b'{"format": "elias-bundle/1"}', "bundle-format", "missing required field `content`"),
        (b'{"format": "elias-bundle/9"}', "bundle-format", "it has the format `elias-bundle/9`"),
        (b" " * (artefact.LARGEST + 1), "bundle-size", "at most 2 MiB"),
        (dump(made())[:-40], "bundle-format", "this is not a bundle"),
        (dump(made()) + b"\n", "bundle-format", "saved in another form"),
        (json.dumps(json.loads(dump(made()))).encode(), "bundle-format", "saved in another form"),
        (
            dump(made()).replace(b'"version"', b'"version": "1",\n    "version"'),
            "bundle-format",
            "saved in another form",
        ),
        (changed(lambda d: d.update(more=1)), "bundle-format", "unknown field `more`"),
        (changed(lambda d: d["content"].update(more=1)), "bundle-format", "unknown field `more`"),
        (changed(lambda d: d["content"]["texts"].update({"lab/a.tiki": "other"})), "bundle-tampered", "changed after"),
        (changed(lambda d: d["content"]["points"].update({"lab.furnace": 7})), "bundle-tampered", "changed after"),
        (changed(lambda d: d["content"].update(digest="0" * 32)), "bundle-tampered", "changed after"),
        (changed(lambda d: d["content"].update(expires="2027-01-31T00:00:00")), "bundle-format", "timezone"),
        (changed(lambda d: d["content"]["texts"].update({"z/../../x.tiki": ""})), "bundle-path", "not a path"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused_with_its_place_and_a_cure(
    raw: bytes, code: str, says: str
) -> None:
    with pytest.raises(Refused, match=says) as refused:
        load(raw, "x.bundle")
    assert refused.value.code == code
    assert refused.value.cure


@pytest.mark.parametrize(("language", "cure"), [(0, "build it anew"), (9, "the newer ELIAS")])
def test_another_version_of_the_language_is_told_apart(language: int, cure: str) -> None:
    with pytest.raises(Refused, match=f"version {language} of TIKI") as refused:
        load(changed(lambda d: d["content"].update(language=language)), "x.bundle")
    assert cure in refused.value.cure


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"], [f"{n:03}" for n in range(33)]])
def test_signatures_stand_in_one_order_and_are_not_too_many(keys: list[str]) -> None:
    given = Artefact(artefact.FORMAT, made().content, [Signature(key, b"") for key in keys])
    with pytest.raises(Refused, match="in order of their keys"):
        load(dump(given), "x.bundle")


def test_a_bundle_that_is_too_large_is_never_written() -> None:
    with pytest.raises(Refused, match="at most 2 MiB"):
        dump(made(texts={"a.tiki": "x" * artefact.LARGEST}))


def test_what_is_signed_names_its_kind_and_its_length() -> None:
    """DSSE v1: `DSSEv1 LEN(type) type LEN(body) body`."""
    raw = artefact.signed_bytes(made().content)
    prefix, length, kind, size, body = raw.split(b" ", 4)
    assert (prefix, int(length), kind) == (b"DSSEv1", len(kind), artefact.PAYLOAD)
    assert int(size) == len(body)
    assert json.loads(body)["version"] == "2026.10"
