"""`elias bundle` and the requests behind it, as a user runs them; the federation is in this process."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.bundles.artefact import LARGEST
from federation.bundles.staging import staged
from managers.uim.cli.bundle.file import PASSPHRASE
from tests.federation.gate_process import GateProcess

from .conftest import SPEC, House, event, sources
from .test_cli import Elias, demo_roster, elias

__all__ = ["demo_roster", "elias"]


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """The folder of the demo."""
    for source in sources():
        path = tmp_path / "specs" / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.text)
    return tmp_path / "specs"


@pytest.fixture
def house(tmp_path: Path, specs: Path) -> Iterator[House]:
    """With the part of the gate that puts bundles in force."""
    made = House(tmp_path, specs=specs)
    gate = GateProcess(made.federation, made.settings, made.points)
    gate.start()
    bundles, link = gate.bundles, made.link

    def on_bundle(child: str) -> dict[str, Any]:
        return {**bundles.describe(), "sources": bundles.in_force.bundle.texts}

    link.on_bundle = on_bundle
    link.on_activate = lambda child, *words: asyncio.run(bundles.activate(*words))
    link.on_roll_back = lambda child, *words: asyncio.run(bundles.roll_back(*words))
    link.on_follow_folder = lambda child, *words: asyncio.run(bundles.follow_folder(*words))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, demo_roster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def built(elias: Elias, version: str, limit: str = "80%") -> str:
    """The name of a bundle of the demo's rules with another limit."""
    Path("specs/demo.tiki").write_text(SPEC.replace("limit: 80%", f"limit: {limit}"))
    elias("bundle", "build", "specs", "--version", version)
    assert elias.code == 0, elias.err
    return f"{version}.bundle"


# -- files ----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_built_signed_verified_and_shown(elias: Elias) -> None:
    file = built(elias, "1.0")
    assert "ada.pub: key" in elias("bundle", "keygen", "ada.key")
    Path("trust").mkdir()
    Path("ada.pub").rename("trust/ada.pub")
    elias("bundle", "verify", file, "--trust", "trust")
    assert elias.code == 1
    assert "elias bundle sign" in elias.err
    elias("bundle", "sign", file, "--key", "ada.key")
    assert "signed by ada" in elias("bundle", "verify", file, "--trust", "trust")
    assert elias.json("bundle", "verify", file, "--trust", "trust")["signers"] == ["ada"]
    shown = elias.json("bundle", "show", file)
    assert (shown["version"], len(shown["signatures"])) == ("1.0", 1)
    assert "limit: 80%" in elias("bundle", "show", file, "--texts")


def test_the_same_specs_give_the_same_file(elias: Elias) -> None:
    first = Path(built(elias, "1.0")).read_bytes()
    elias("bundle", "build", "specs", "--version", "1.0", "--output", "again.bundle")
    assert Path("again.bundle").read_bytes() == first


def test_a_file_that_is_there_is_not_written_over_unless_somebody_says_so(elias: Elias) -> None:
    file = built(elias, "1.0")
    elias("bundle", "keygen", "ada.key")
    elias("bundle", "sign", file, "--key", "ada.key")
    signed = Path(file).read_bytes()
    elias("bundle", "build", "specs", "--version", "1.0")
    assert elias.code == 1
    assert "where: 1.0.bundle" in elias.err
    assert "cure: choose a new version" in elias.err
    assert Path(file).read_bytes() == signed
    elias("bundle", "build", "specs", "--version", "1.0", "--force")
    assert elias.code == 0
    assert Path(file).read_bytes() != signed


def test_a_bundle_that_expired_already_is_not_built(elias: Elias) -> None:
    elias("bundle", "build", "specs", "--version", "1.0", "--expires", "2020-01-01")
    assert elias.code == 1
    assert "cure: give `--expires` a time to come" in elias.err
    assert not Path("1.0.bundle").exists()


def test_a_public_key_that_shall_sign_is_told_as_such(elias: Elias) -> None:
    file = built(elias, "1.0")
    elias("bundle", "keygen", "ada.key")
    elias("bundle", "sign", file, "--key", "ada.pub")
    assert elias.code == 1
    assert "this is a public key" in elias.err
    assert "chmod" not in elias.err


def test_a_bundle_that_does_not_verify_is_named(elias: Elias) -> None:
    file = built(elias, "1.0")
    elias("bundle", "keygen", "ada.key")
    Path("trust").mkdir()
    Path("ada.pub").rename("trust/ada.pub")
    elias("bundle", "verify", file, "--trust", "trust")
    assert elias.code == 1
    assert f"where: {file}\n" in elias.err


def test_a_file_is_unpacked_and_built_again_to_the_same_bytes(elias: Elias) -> None:
    file = built(elias, "1.0")
    elias("bundle", "unpack", file, "unpacked")
    elias("bundle", "build", "unpacked", "--version", "1.0", "--output", "again.bundle")
    assert Path("again.bundle").read_bytes() == Path(file).read_bytes()
    elias("bundle", "unpack", file, "unpacked")
    assert elias.code == 1
    assert "not there yet" in elias.err


def test_the_overlay_that_was_chosen_is_in_the_file(elias: Elias) -> None:
    Path("specs/overlays/prod").mkdir(parents=True)
    Path("specs/overlays/prod/demo.tiki").write_text("## DEMO Load Spec\n- decides: demo.load\n- limit: 60%\n")
    elias("bundle", "build", "specs", "--version", "1.0", "--overlay", "prod")
    texts = elias.json("bundle", "show", "1.0.bundle")["sources"]
    assert "limit: 60%" in texts["overlays/prod/demo.tiki"]
    elias("bundle", "build", "specs", "--version", "1.0", "--overlay", "pord")
    assert elias.code == 1
    assert "overlays/pord" in elias.err


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        ("- otherwise: hlod", [], "did you mean `hold`"),
        ("", ["--version", "not a version"], "is not a version"),
        ("", ["--output", "nowhere/x.bundle"], "check the path"),
    ],
)
def test_what_cannot_be_built_leaves_no_file(elias: Elias, change: str, arguments: list[str], says: str) -> None:
    path = Path("specs/demo.tiki")
    path.write_text(path.read_text().replace("- otherwise: hold", change or "- otherwise: hold"))
    elias("bundle", "build", "specs", "--version", "1.0", *arguments)
    assert elias.code == 1
    assert says in elias.err
    assert "cure:" in elias.err
    assert list(Path().glob("**/*.bundle*")) == []


def test_what_is_written_differently_in_two_bundles(elias: Elias) -> None:
    old, new = built(elias, "1.0"), built(elias, "2.0", "70%")
    lines = elias("bundle", "diff", old, new).splitlines()
    assert "-- limit: 80%" in lines
    assert "+- limit: 70%" in lines


def test_a_passphrase_comes_from_the_environment_or_a_person(elias: Elias, monkeypatch: pytest.MonkeyPatch) -> None:
    file = built(elias, "1.0")
    elias("bundle", "keygen", "ada.key", "--passphrase")
    assert elias.code == 1
    assert PASSPHRASE in elias.err
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    elias("bundle", "keygen", "ada.key", "--passphrase")
    elias("bundle", "sign", file, "--key", "ada.key")
    assert elias.code == 0
    monkeypatch.setenv(PASSPHRASE, "wrong")
    elias("bundle", "sign", file, "--key", "ada.key")
    assert elias.code == 1


@pytest.mark.parametrize("command", ["sign", "verify", "show", "activate", "unpack"])
@pytest.mark.parametrize("content", [None, b"", b"\x7fELF" * 9000, b"{}", b" " * (LARGEST + 1)])
def test_a_file_that_is_no_bundle_is_told_with_its_place(elias: Elias, command: str, content: bytes | None) -> None:
    if content is not None:
        Path("x.bundle").write_bytes(content)
    more = {"sign": ["--key", "ada.key"], "unpack": ["folder"]}.get(command, [])
    elias("bundle", command, "x.bundle", *more)
    assert elias.code == 1
    assert "where: x.bundle" in elias.err
    assert "cure:" in elias.err


# -- what is in force -----------------------------------------------------------------------------------------------


def decision(client: httpx.Client, id: str) -> str:
    answer = client.post("/v1/events", json=event(id, data={"load": 75})).json()
    return str(answer["decisions"][0]["action"])


def test_a_bundle_is_put_in_force_and_taken_back(elias: Elias, client: httpx.Client) -> None:
    assert decision(client, "before") == "hold"
    out = elias("bundle", "activate", built(elias, "2.0", "70%"), "--reason", "sooner")
    assert out.startswith("in force: version 2.0")
    assert decision(client, "after") == "relieve"
    assert "in force already" in elias("bundle", "activate", "2.0.bundle")
    assert "rules: 2.0" in elias("status")
    assert elias.json("bundle", "show")["reason"] == "sooner"

    assert "in force: " in elias("bundle", "rollback")
    assert decision(client, "back") == "hold"
    assert "version 2.0" in elias("bundle", "rollback", "--to", "2.0")
    entries = elias.json("bundle", "history")
    assert [(e["version"], e["origin"]) for e in entries[:3]] == [
        ("2.0", "rollback"),
        ("", "rollback"),
        ("2.0", "file"),
    ]
    assert "sooner" in elias("bundle", "history")
    page = client.get("/v1/bundle/history", params={"limit": 2}).json()
    assert [e["version"] for e in page["bundles"]] == ["2.0", ""]
    rest = client.get("/v1/bundle/history", params={"before": page["next"]}).json()
    assert (rest["bundles"][0]["reason"], rest["next"]) == ("sooner", None)


@pytest.mark.parametrize("more", [[], ["--at-start"]])
def test_who_puts_an_unsigned_bundle_in_force_hears_that_nobody_vouches_for_it(elias: Elias, more: list[str]) -> None:
    file = built(elias, "2.0", "70%")
    elias("bundle", "activate", file, *more)
    assert elias.code == 0
    assert "unsigned: nobody vouches for it; `bundles.require_signature: true` refuses such" in elias.err
    elias("bundle", "keygen", "ada.key")
    elias("bundle", "sign", file, "--key", "ada.key")
    elias("bundle", "activate", file, *more)
    assert elias.code == 0
    assert "unsigned" not in elias.err


def test_an_edit_that_changes_where_a_policy_is_asked_says_so(elias: Elias) -> None:
    elias("bundle", "activate", built(elias, "2.0", "70%"))
    assert "demo.load" in elias.err
    assert "max_error" in elias.err
    example = elias.json("bundle", "show")["uncovered"]["demo.load"]
    assert "load=" in example


def test_edits_of_the_folder_count_again_when_somebody_says_so(elias: Elias, client: httpx.Client) -> None:
    elias("bundle", "activate", built(elias, "2.0", "70%"))
    built(elias, "3.0", "60%")
    assert "edits of the spec folder change nothing" in elias("status")
    elias("bundle", "activate", "--folder")
    assert "change nothing" not in elias("status")
    assert "60%" in client.get("/v1/bundle").json()["sources"]["demo.tiki"]


def test_a_bundle_is_chosen_for_the_next_start_with_everything_down(elias: Elias, house: House) -> None:
    file = built(elias, "2.0", "70%")
    house.close()
    out = elias("bundle", "activate", file, "--at-start", "--reason", "the next shift")
    assert "at the next `elias up`" in out
    chosen = staged(house.settings.state)
    assert chosen is not None
    assert (chosen.version, chosen.reason) == ("2.0", "the next shift")
    elias("bundle", "activate", file)
    assert elias.code == 3
    assert elias.json("bundle", "history")[0]["origin"] == "folder"


@pytest.mark.parametrize(
    "arguments", [["activate"], ["activate", "x.bundle", "--folder"], ["rollback", "a", "--to", "b"]]
)
def test_words_that_do_not_go_together_are_a_mistake(elias: Elias, arguments: list[str]) -> None:
    elias("bundle", *arguments)
    assert elias.code == 1
    assert "cure:" in elias.err


def test_what_never_was_in_force_is_not_found(elias: Elias, client: httpx.Client) -> None:
    elias("bundle", "rollback", "--to", "9.9")
    assert elias.code == 1
    assert "elias bundle history" in elias.err
    assert client.post("/v1/bundle/rollback", json={"to": "9.9"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"file": ""}, 422),
        ({"file": "{}"}, 422),
        ({"file": "x" * (LARGEST + 1)}, 422),
        ({"file": "x" * (5 << 20)}, 413),
        ({"file": "{}", "more": 1}, 422),
    ],
)
def test_a_request_that_carries_no_bundle_is_refused_in_the_one_envelope(
    client: httpx.Client, body: dict[str, Any], status: int
) -> None:
    before = client.get("/v1/bundle").json()["digest"]
    answer = client.put("/v1/bundle", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert client.get("/v1/bundle").json()["digest"] == before


def test_nobody_puts_rules_in_force_without_the_token(house: House) -> None:
    for method, path in (("PUT", ""), ("PUT", "/folder"), ("POST", "/rollback"), ("GET", "/history")):
        answer = httpx.request(method, f"{house.url}/v1/bundle{path}", json={"file": "", "to": "1.0"})
        assert answer.status_code == 401
