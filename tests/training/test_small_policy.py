"""A small policy: its words, its network, and that every runtime says the same of a question."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from federation.errors import Refused, Temporary
from federation.policy import card
from federation.policy.embedded import Embedded
from federation.policy.question import LABELS, Prompt, Question, Rejected
from federation.policy.rendering import VERSION, render
from federation.policy.tier import SHIPPED
from tiki.schema import Type
from training.policy import gather, tokenizer
from training.policy.data import advantages, joined
from training.policy.export import export
from training.policy.model import Network, losses
from training.policy.preset import Preset, load
from training.policy.train import Seen, measure, train
from training.scenarios import generate

POINTS = ("uam.restart", "urm.package")


def preset(**changes: object) -> Preset:
    small = {
        "shape": {"hidden": 32, "layers": 2, "heads": 2, "inner": 32},
        "points": POINTS,
        "examples": 60,
        "validation": 20,
        "steps": 6,
        "batch": 24,
        "check": 3,
        "minutes": 5,
    }
    return Preset.model_validate(load("mini").model_dump() | small | changes)


def drawn(split: str, count: int) -> gather.Data:
    return joined([gather.piece(split, point, 0, count) for point in POINTS])


def made(folder: Path, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = Network(preset(seed=seed).shape, gather.words())
    export(
        folder,
        network,
        gather.words(),
        points=dict.fromkeys(POINTS, 1),
        preset={},
        data={},
        metrics={"overall": {"right": 0.5}},
        steps=0,
        ended="steps",
    )
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("policy") / "small"
    made(found)
    return found


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """To be damaged: an export takes seconds."""
    return shutil.copytree(folder, tmp_path / "copied")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    """Of every decision point, of many lengths."""
    return [
        render(generate.scenario(point).point.schema, example.question)
        for point in generate.points()
        for example in generate.generate(point, "validation", 4)
    ]


@pytest.fixture
def engine(folder: Path) -> Iterator[Embedded]:
    found = Embedded(folder)
    yield found
    asyncio.run(found.close())


def scored(engine: Embedded, prompts: list[Prompt], deadline: float = 60.0) -> list[tuple[float, ...]]:
    return asyncio.run(engine.score(prompts, deadline))


@pytest.mark.parametrize("point", generate.points())
def test_every_word_of_a_simulated_question_has_a_token(point: str) -> None:
    schema = generate.scenario(point).point.schema
    for split in ("train", "held_out"):
        found = [render(schema, example.question).text for example in generate.generate(point, split, 60)]
        assert tokenizer.missing(gather.words(), found) == set()


def test_numbers_that_lie_near_each_other_begin_alike() -> None:
    torch.manual_seed(0)
    table = Network(preset().shape, gather.words()).table().detach()
    ids = gather.words().ids

    def alike(one: str, other: str) -> float:
        return float(torch.cosine_similarity(table[ids[one]], table[ids[other]], dim=0))

    for near, far in (("83% 84%", "83% 12%"), ("90s 94s", "90s 5h"), ("16GiB 17GiB", "16GiB 2TiB"), ("7 8", "7 150")):
        assert alike(*near.split()) > alike(*far.split()) + 0.1


def test_the_words_are_the_same_in_whatever_order_the_points_are_named() -> None:
    schemas = [generate.scenario(point).point.schema for point in generate.points()]
    words = tokenizer.words_of(schemas)
    assert tokenizer.words_of(schemas[::-1]) == words
    assert words.numbers[words.ids["90m"]] == (Type.DURATION, 5400.0)


def test_onnx_runtime_and_transformers_say_the_same(folder: Path, engine: Embedded, prompts: list[Prompt]) -> None:
    transformers = pytest.importorskip("transformers")
    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    labels = words.convert_tokens_to_ids(list(LABELS))
    with torch.inference_mode():
        for prompt, found in zip(prompts, scored(engine, prompts), strict=True):
            logits = model(**words(prompt.text, return_tensors="pt")).logits[0, -1, labels[: prompt.labels]]
            expected = torch.log_softmax(logits, -1).exp().numpy()
            assert np.abs(np.exp(found) - expected).max() < 1e-5


def test_a_label_is_one_token_with_and_without_its_space(folder: Path) -> None:
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for label in LABELS:
        assert words.encode(f" {label}").ids == words.encode(label).ids
        assert len(words.encode(label).ids) == 1


def test_what_stands_beside_a_prompt_in_a_batch_changes_nothing(engine: Embedded, prompts: list[Prompt]) -> None:
    together = scored(engine, prompts)
    for prompt, found in zip(prompts, together, strict=True):
        assert scored(engine, [prompt])[0] == pytest.approx(found, abs=1e-5)


def test_probabilities_cover_exactly_what_is_offered(engine: Embedded, prompts: list[Prompt]) -> None:
    for prompt, found in zip(prompts, scored(engine, prompts), strict=True):
        assert len(found) == prompt.labels
        assert sum(np.exp(found)) == pytest.approx(1.0)
    assert scored(engine, []) == []


def test_a_prompt_that_is_too_long_is_for_another_engine(engine: Embedded) -> None:
    with pytest.raises(Rejected, match="1025 tokens"):
        scored(engine, [Prompt("answer " * 1025, 2)])


def test_an_answer_that_would_come_too_late_is_none(engine: Embedded, prompts: list[Prompt]) -> None:
    with pytest.raises(Temporary, match="longer than 0 s"):
        scored(engine, prompts, 0.0)
    assert len(scored(engine, prompts)) == len(prompts)


def test_more_than_can_wait_is_told_to_come_again(engine: Embedded, prompts: list[Prompt]) -> None:
    with pytest.raises(Temporary, match="batches wait"):
        scored(engine, prompts * 1000)


def test_who_writes_over_the_weights_does_not_disturb_an_engine_that_runs(copied: Path, prompts: list[Prompt]) -> None:
    engine = Embedded(copied)
    before = scored(engine, prompts)
    for path in copied.iterdir():
        path.write_bytes(b"")
    assert scored(engine, prompts) == before
    asyncio.run(engine.close())


def test_scoring_needs_no_torch(folder: Path) -> None:
    said = subprocess.run([sys.executable, "-c", _ALONE, str(folder)], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == {"choices": 2, "torch": False, "transformers": False}


_ALONE = """
import asyncio, json, pathlib, sys
from federation.policy.embedded import Embedded
from federation.policy.question import Prompt
engine = Embedded(pathlib.Path(sys.argv[1]))
[found] = asyncio.run(engine.score([Prompt("uam.restart ; A restart ; B hold ; answer", 2)], 60))
print(json.dumps({"choices": len(found)} | {name: name in sys.modules for name in ("torch", "transformers")}))
"""


def test_the_version_changes_with_the_weights_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    made(tmp_path / "same")
    made(tmp_path / "other", seed=1)
    assert card.version_of(tmp_path / "same") == card.version_of(folder)
    assert card.version_of(tmp_path / "other") != card.version_of(folder)
    (tmp_path / "same" / "calibration.json").write_text("{}")
    assert card.version_of(tmp_path / "same") == card.version_of(folder)


@pytest.mark.parametrize("name", card.FILES)
def test_a_file_that_is_not_the_one_on_the_card_is_refused(name: str, copied: Path) -> None:
    path = copied / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Refused, match=name):
        Embedded(copied)
    path.unlink()
    with pytest.raises(Refused, match=name):
        Embedded(copied)


def test_a_policy_for_another_rendering_is_refused(copied: Path) -> None:
    card.write(copied, msgspec.structs.replace(card.read(copied), rendering=VERSION + 1))
    with pytest.raises(Refused, match=f"this ELIAS writes version {VERSION}"):
        Embedded(copied)


def test_no_policy_and_a_damaged_card_say_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no policy"):
        Embedded(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(Refused, match="no card"):
        Embedded(tmp_path)


def test_a_batch_holds_what_rendering_writes() -> None:
    found = drawn("train", 6)
    batch = found.batch(np.arange(len(found)), gather.words(), None)
    words = {number: word for word, number in gather.words().ids.items()}
    expected = [
        (render(generate.scenario(point).point.schema, example.question), example)
        for point in POINTS
        for example in generate.generate(point, "train", 6, completions=8)
    ]
    for row, (prompt, example) in enumerate(expected):
        assert " ".join(words[token] for token in batch.tokens[row, : batch.last[row] + 1]) == prompt.text
        assert batch.share[row, : prompt.labels] == pytest.approx(example.right)
        assert batch.offered[row].sum() == prompt.labels


def test_another_order_of_candidates_carries_its_labels_along() -> None:
    found = advantages(drawn("train", 6))
    rows = np.arange(len(found))
    plain = found.batch(rows, gather.words(), None)
    mixed = found.batch(rows, gather.words(), np.random.default_rng(1))
    assert not np.array_equal(plain.tokens, mixed.tokens)
    for row in rows:
        count = plain.offered[row].sum()
        for one, other in ((plain.values, mixed.values), (plain.share, mixed.share)):
            assert sorted(one[row, :count]) == sorted(other[row, :count])
        assert sorted(plain.tokens[row]) == sorted(mixed.tokens[row])


def test_the_loss_is_that_of_a_choice_being_right() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2, 9.0]]))
    right = torch.tensor([[[True, True, False, False], [False, True, False, False]]])
    offered = torch.tensor([[True, True, True, False]])
    assert losses(logits, right, offered).item() == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2)


def test_a_training_that_was_interrupted_goes_on_and_comes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.policy.train.SAVED", 0.0)
    learned, held = drawn("train", 60), drawn("validation", 20)

    def run(folder: Path, stop: int) -> dict[str, dict[str, float]] | None:
        folder.mkdir(exist_ok=True)

        def shown(seen: Seen) -> None:
            if seen.step == stop:
                raise KeyboardInterrupt

        try:
            return train(preset(), gather.words(), learned, held, folder, shown).metrics
        except KeyboardInterrupt:
            return None

    whole = run(tmp_path / "whole", 0)
    assert run(tmp_path / "parts", 4) is None
    assert run(tmp_path / "parts", 0) == whole


def test_a_network_learns_what_is_right(tmp_path: Path) -> None:
    learned, held = drawn("train", 60), drawn("validation", 20)
    torch.manual_seed(0)
    before = measure(Network(preset().shape, gather.words()), gather.words(), learned)["overall"]
    trained = train(preset(steps=60, check=60, rate=1e-2), gather.words(), learned, held, tmp_path, lambda seen: None)
    after = measure(trained.network, gather.words(), learned)["overall"]
    assert after["nll"] < before["nll"] - 0.1
    assert trained.ended == "steps"


MOST_TURNED = 0.10
"""Share of choices that may hang on the order in which the candidates stand."""


def test_the_shipped_policy_hardly_minds_the_order_of_candidates() -> None:
    engine = Embedded(SHIPPED)
    turned = total = 0
    for point in engine.card.points:
        schema = generate.scenario(point).point.schema
        questions = [example.question for example in generate.generate(point, "test", 60, completions=1)]
        orders = [_shuffled(question, number) for number, question in enumerate(questions)]
        plain = scored(engine, [render(schema, question) for question in questions])
        mixed = scored(engine, [render(schema, Question(*q[:3], tuple(q.candidates[i] for i in o))) for q, o in orders])
        for (_, order), one, other in zip(orders, plain, mixed, strict=True):
            turned += int(np.argmax(one)) != order[int(np.argmax(other))]
            total += 1
    print(f"{turned} of {total} choices hang on the order")
    assert turned <= MOST_TURNED * total


def _shuffled(question: Question, seed: int) -> tuple[Question, list[int]]:
    order = list(range(len(question.candidates)))
    Random(seed).shuffle(order)
    return question, order


def test_the_shipped_policy_is_small_and_whole() -> None:
    found = card.read(SHIPPED)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5_000_000
    assert set(found.points) == set(generate.points())
    assert found.parameters < 1_000_000


def test_the_shipped_policy_holds_its_weights_once() -> None:
    graph = (SHIPPED / "model.onnx").read_bytes()
    for name, tensor in load_file(SHIPPED / card.WEIGHTS).items():
        assert tensor.tobytes() not in graph, name
        assert tensor.T.tobytes() not in graph, name
