"""The arithmetic of cards and models, against figures that others published and measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.errors import Refused
from federation.policy.plan import GIB, MODELS, Plan, Precision, Range, Row, gpus, plan, shape_of, would_fit
from managers.uim.cli.app import app

SMALL, LARGE = "deepseek-ai/deepseek-coder-6.7b-instruct", "deepseek-ai/deepseek-coder-33b-instruct"
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32256,
}


def two_cards(model: str = SMALL, cached: int = 450) -> Plan:
    return plan(model, MODELS[model], 2, 16 * GIB, "rtx-5060-ti", tokens=600, cached=cached)


def row(found: Plan, precision: Precision, width: int) -> Row:
    return next(one for one in found.rows if (one.precision, one.tensor_parallel) == (precision, width))


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("deepseek-ai/deepseek-coder-1.3b-instruct", 1.346),
        (SMALL, 6.741),
        (LARGE, 33.34),
        ("codellama/CodeLlama-13b-Instruct-hf", 13.016),
        ("codellama/CodeLlama-34b-Instruct-hf", 33.744),
    ],
)
def test_the_shapes_have_the_parameters_that_are_published(model: str, billions: float) -> None:
    assert MODELS[model].parameters / 1e9 == pytest.approx(billions, rel=1e-3)


@pytest.mark.parametrize(
    ("precision", "width", "weights", "room", "milliseconds", "fits"),
    [
        ("fp16", 1, 12.6, 0.8, (250, 250), False),
        ("fp16", 2, 6.3, 7.1, (155, 215), True),
        ("fp8", 1, 6.5, 6.8, (140, 140), True),
        ("int4", 1, 3.7, 9.6, (250, 280), True),
    ],
)
def test_two_cards_of_16_gib_come_out_as_others_report_them(
    precision: Precision, width: int, weights: float, room: float, milliseconds: tuple[float, float], fits: bool
) -> None:
    found = row(two_cards(), precision, width)
    assert found.weights / GIB == pytest.approx(weights, abs=0.1)
    assert found.room / GIB == pytest.approx(room, abs=0.15)
    assert found.fits is fits
    assert found.latency is not None
    assert found.latency.low * 1e3 == pytest.approx(milliseconds[0], rel=0.05)
    assert found.latency.high * 1e3 == pytest.approx(milliseconds[1], rel=0.15)


def test_a_cached_beginning_is_not_computed_again() -> None:
    warm = row(two_cards(), "fp8", 1).warm
    assert warm is not None
    assert (warm.low * 1e3, warm.high * 1e3) == pytest.approx((35, 60), rel=0.2)


def test_the_cache_of_a_token_is_two_vectors_a_layer() -> None:
    assert MODELS[SMALL].cache == 512 * 1024
    assert MODELS[LARGE].cache == 2 * 62 * 8 * 128 * 2


def test_the_first_profile_is_the_best_way_on_two_cards() -> None:
    best = two_cards().best
    assert best is not None
    assert (best.precision, best.tensor_parallel, best.servers) == ("fp8", 1, 2)


def test_what_does_not_fit_is_never_the_best() -> None:
    for model in MODELS:
        best = two_cards(model).best
        assert best is not None
        assert best.room > 0


def test_without_a_known_card_there_is_memory_and_no_time() -> None:
    found = plan(SMALL, MODELS[SMALL], 1, 20 * GIB)
    assert found.best is not None
    assert found.best.latency is None
    assert found.best.rate is None


def test_what_would_fit_are_more_cards_or_a_smaller_model() -> None:
    said = would_fit(MODELS[LARGE], 1, 16 * GIB)
    assert "2 cards of 16 GiB (int4, tensor parallel 2)" in said
    assert "codellama/CodeLlama-13b-Instruct-hf" in said


@pytest.mark.parametrize(("text", "cards", "memory"), [("2x16GiB", 2, 16 * GIB), ("1x24GB", 1, 24e9)])
def test_cards_are_written_as_a_number_and_their_memory(text: str, cards: int, memory: float) -> None:
    assert gpus(text) == (cards, memory)


@pytest.mark.parametrize("text", ["16GiB", "2x16", "0x16GiB", "2x0GiB", "two", "2x16GiB;"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="2x16GiB"):
        gpus(text)


def test_a_shape_is_read_from_the_config_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert shape_of(str(tmp_path)) == MODELS[SMALL]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"architectures": ["MixtralForCausalLM"]}, "not of MixtralForCausalLM"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
    ],
)
def test_another_architecture_or_a_damaged_config_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | change))
    with pytest.raises(Refused, match=says):
        shape_of(str(tmp_path))


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(Refused, match=r"deepseek-coder-1\.3b"):
        shape_of("gpt-9")


def milliseconds(time: Range | None) -> str:
    assert time is not None
    return f"{time.low * 1e3:.0f}-{time.high * 1e3:.0f} ms"


def test_the_page_has_the_figures_of_today() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy" / "vllm.md").read_text()
    for one in two_cards().rows:
        memory = " | ".join(f"{size / GIB:.1f}" for size in (one.weights, one.rest, one.room))
        times = f"{milliseconds(one.latency)} | {milliseconds(one.warm)} | {one.rate:.1f}"
        assert f"| {one.precision} | {one.tensor_parallel} | {memory} | {one.sequences} | {times} |" in page
    for model in list(MODELS)[2:]:
        best = two_cards(model).best
        assert best is not None
        way = f"{best.precision}, {best.tensor_parallel} cards a server | {best.room / GIB:.1f} GiB"
        assert f"| {model} | {way} | {milliseconds(best.latency)} | {best.rate:.1f} |" in page


# -- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_every_way_and_which_fit() -> None:
    said = CliRunner().invoke(app, ["policy", "plan", "--gpus", "2x16GiB", "--model", SMALL])
    assert said.exit_code == 0
    lines = [line.split("\t") for line in said.stdout.splitlines() if "\t" in line]
    assert lines[0][:2] == ["fp8", "1"]
    assert [line[-1] for line in lines if line[:2] == ["fp16", "1"]] == ["does not fit"]


def test_the_command_gives_scripts_the_same_figures() -> None:
    said = CliRunner().invoke(app, ["policy", "plan", "--gpus", "2x16GiB", "--model", SMALL, "--json"])
    assert json.loads(said.stdout) == json.loads(json.dumps(two_cards().data()))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", LARGE, "--precision", "fp16"], "int4 with 2 cards a server fits"),
        (["--model", SMALL, "--precision", "fp16", "--tensor-parallel", "1"], "fp8 with 1 card a server fits"),
        (["--tensor-parallel", "3"], "it divides the cards"),
        (["--precision", "fp4"], "fp16, fp8, int4"),
        (["--card", "abacus"], "rtx-5060-ti"),
        (["--tokens", "100", "--cached", "100"], "less than"),
    ],
)
def test_the_command_refuses_what_does_not_fit_with_what_would(arguments: list[str], says: str) -> None:
    said = CliRunner().invoke(app, ["policy", "plan", "--gpus", "2x16GiB", *arguments])
    assert isinstance(said.exception, Refused)
    assert says in str(said.exception)
