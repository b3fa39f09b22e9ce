"""Profiles are checked when they are read, and become exactly the commands that are started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.errors import Refused
from federation.policy import profiles
from managers.uim.cli.app import app


def test_the_shipped_profiles_are_these_and_all_of_them_are_sound() -> None:
    assert profiles.names() == ["2x16gib-fp8", "2x16gib-tp2", "cpu", "one-gpu"]
    assert [profiles.load(name).servers for name in profiles.names()] == [2, 1, 1, 1]


@pytest.mark.parametrize("name", profiles.names())
def test_every_server_says_the_probabilities_that_the_client_believes(name: str) -> None:
    profile = profiles.load(name)
    ports = list(range(9000, 9000 + profile.servers))
    cards = [str(number) for number in range(profile.cards)]
    for launch in profiles.launches(profile, "/models/m", name="m", ports=ports, cards=cards):
        assert "--logprobs-mode processed_logprobs" in " ".join(launch.command)
        assert "--host 127.0.0.1" in " ".join(launch.command)
        assert launch.environment["HF_HUB_OFFLINE"] == "1"


def test_one_server_a_card_sees_that_card_alone() -> None:
    made = profiles.launches(profiles.load("2x16gib-fp8"), "m", name="m", ports=[9000, 9001], cards=["4", "7"])
    assert [launch.environment["CUDA_VISIBLE_DEVICES"] for launch in made] == ["4", "7"]
    assert [launch.url for launch in made] == ["http://127.0.0.1:9000", "http://127.0.0.1:9001"]
    assert all("--quantization fp8_per_channel" in " ".join(launch.command) for launch in made)


def test_tensor_parallel_sees_both_cards_and_avoids_what_hangs() -> None:
    (launch,) = profiles.launches(profiles.load("2x16gib-tp2"), "m", name="m", ports=[9000], cards=["0", "1"])
    assert launch.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert launch.environment["NCCL_P2P_DISABLE"] == "1"
    assert "--disable-custom-all-reduce" in launch.command
    assert "--tensor-parallel-size 2" in " ".join(launch.command)


def test_adapters_are_loaded_at_run_time_only_where_somebody_asked_for_it() -> None:
    profile = profiles.load("cpu")
    (plain,) = profiles.launches(profile, "m", name="m", ports=[9000], cards=[])
    (open_,) = profiles.launches(profile, "m", name="m", ports=[9000], cards=[], adapters=True)
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in plain.environment
    assert open_.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_a_model_in_another_precision_has_another_name() -> None:
    names = {profiles.served_name("/models/Coder", profiles.load(name)) for name in ("cpu", "one-gpu", "2x16gib-tp2")}
    assert names == {"coder-float32", "coder-fp8", "coder-float16"}


def test_a_damaged_policy_of_elias_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(Refused, match="no card of a policy"):
        profiles.served_name(str(tmp_path), profiles.load("cpu"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("about: x\ncards: 1\nprecision: fp8\ncrads: 2\n", r"mine\.yaml:4:1: crads"),
        ("about: x\ncards: 3\ntensor_parallel: 2\nprecision: fp8\n", "3 cards are no whole number of servers of 2"),
        ("about: x\ncards: 1\nprecision: fp7\n", r"mine\.yaml:3:1: precision"),
        ("cards: 1\nprecision: fp8\n", "about: Field required"),
    ],
)
def test_a_profile_of_ones_own_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(Refused, match=says):
        profiles.load(str(path))


def test_an_unknown_profile_is_refused_with_those_that_ship() -> None:
    with pytest.raises(Refused, match="2x16gib-fp8, 2x16gib-tp2, cpu, one-gpu"):
        profiles.load("tpu")


def test_a_dry_run_prints_a_command_for_every_server_and_starts_none(tmp_path: Path) -> None:
    (tmp_path / "elias.yaml").write_text("{}")
    said = CliRunner().invoke(
        app,
        [
            "-c",
            str(tmp_path / "elias.yaml"),
            "policy",
            "serve",
            "--profile",
            "2x16gib-fp8",
            "--model",
            "m",
            "--dry-run",
        ],
    )
    assert said.exit_code == 0, said.output
    assert [line.count("--port") for line in said.stdout.splitlines()] == [1, 1]
    assert not (tmp_path / ".elias").exists()


def test_serving_says_when_there_are_too_few_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    (tmp_path / "elias.yaml").write_text("{}")
    said = CliRunner().invoke(
        app, ["-c", str(tmp_path / "elias.yaml"), "policy", "serve", "--profile", "2x16gib-fp8", "--model", "m"]
    )
    assert isinstance(said.exception, Refused)
    assert "needs 2 GPUs, and 1 can be used here" in str(said.exception)
