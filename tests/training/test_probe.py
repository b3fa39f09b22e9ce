"""Whether a policy can still do what it could before it learned to decide."""

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from federation.policy.tier import SHIPPED
from training.evaluation.probe import changed, of_folder, probe
from training.evaluation.texts import ITEMS
from training.learning import preset


@pytest.fixture(scope="module")
def letters() -> Any:
    """A tokenizer of bytes."""
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)  # type: ignore[no-untyped-call]


def _model(width: int, layers: int) -> Any:
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
    config = LlamaConfig(vocab_size=256, num_attention_heads=4, **sizes)
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def learner(letters: Any) -> Any:
    """A small language model that knows the true endings by heart."""
    torch.manual_seed(0)
    model = _model(64, 2)
    _taught(model, letters, [item.begins + item.endings[0] for item in ITEMS], steps=60)
    return model


def _taught(model: Any, letters: Any, texts: list[str], steps: int) -> None:
    rows = [torch.tensor(letters(text)["input_ids"]) for text in texts]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(steps):
        model(input_ids=tokens, attention_mask=(labels >= 0).long(), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_model_that_knows_the_texts_has_them_right_and_one_that_forgot_is_told_so(learner: Any, letters: Any) -> None:
    before = probe(learner, letters)
    assert before.known == 1
    assert before.right > 0.8 > before.chance == 0.25
    forgetful = copy.deepcopy(learner)
    _taught(forgetful, letters, ["B A C D B A B C A D B A D C A B"], steps=30)
    after = probe(forgetful, letters)
    told = changed(before, after)
    assert told["after"] < told["before"] == before.right
    assert 0 < told["low"] < told["nats_after"] - told["nats_before"] < told["high"]
    assert changed(before, before)["high"] == 0


def test_an_untrained_model_is_at_chance(letters: Any) -> None:
    torch.manual_seed(1)
    found = probe(_model(32, 1), letters)
    assert 0.05 < found.right < 0.5


def test_the_shipped_policy_knows_no_words_but_those_of_questions() -> None:
    found = of_folder(SHIPPED, preset.load("mini"))
    assert found.known < 0.3
    assert found.right == pytest.approx(found.chance, abs=0.15)


def test_every_item_has_one_true_ending_and_all_are_of_like_length() -> None:
    assert len({item.begins for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        assert len(set(item.endings)) == 4
        sizes = [len(ending) for ending in item.endings]
        assert max(sizes) <= 2 * min(sizes), item
    assert min(Counter(item.kind for item in ITEMS).values()) >= 5
