"""Each method makes the shipped policy better by its own measure, on decisions that were held back."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np
import pytest
import torch
from drifted import answers, judged, quick, regrets, shipped, splits

from federation.errors import Refused
from federation.policy.embedded import Embedded
from federation.policy.rendering import render
from federation.policy.tier import SHIPPED
from training.dataset.simulated import logged
from training.evaluation.bootstrap import interval
from training.learning import head, policy
from training.learning.export import export
from training.learning.labels import prompt
from training.learning.preset import METHODS, Adapter
from training.learning.run import Trained, method, train
from training.learning.trainer import logs_of
from training.scenarios.generate import points, scenario


def trained(name: str, folder: Path) -> Trained:
    return train(name, quick(), SHIPPED, judged(name), folder, lambda seen: None)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_lowers_the_regret_on_fresh_questions_of_the_changed_world(name: str, tmp_path: Path) -> None:
    made = trained(name, tmp_path)
    low, _ = interval(regrets(shipped()) - regrets(answers(made.policy)))
    assert low > 0


def test_the_exact_gradient_is_what_sampling_comes_to_on_average() -> None:
    expected = cast("Any", method("grpo")).expected
    logits = torch.tensor([[0.3, -0.2, 1.0]], requires_grad=True)
    begun, rewards = torch.tensor([[-0.5, -1.5, -1.7]]), torch.tensor([[1.0, 0.0, -2.0]])
    logs = logits.log_softmax(-1)
    (exact,) = torch.autograd.grad(expected(0.1)(logs, begun, rewards).sum(), logits, retain_graph=True)
    shares = logs.exp().detach()
    worth = rewards - 0.1 * (logs.detach() - begun)
    sampled = -(shares * (worth - (shares * worth).sum()))
    assert torch.allclose(exact, sampled, atol=1e-6)


def test_an_adapter_is_merged_into_the_policy_that_one_began_with(tmp_path: Path) -> None:
    preset = quick().model_copy(update={"adapter": Adapter(rank=4, scale=8)})
    made = train("distil", preset, SHIPPED, judged("distil"), tmp_path / "run", lambda seen: None)
    assert float(made.after.mean()) > float(made.before.mean())
    export(tmp_path / "new", SHIPPED, made, preset={}, data={}, points={}, metrics={})
    merged = policy.load(tmp_path / "new", preset)
    asked = [prompt(merged.tokenizer, one, None) for one in splits()[1][:20]]
    assert torch.allclose(logs_of(merged, asked, 8).exp(), logs_of(made.policy, asked, 8).exp(), atol=1e-4)


@pytest.mark.parametrize("point", points())
def test_in_training_a_policy_says_what_it_says_in_service(point: str) -> None:
    known = scenario(point)
    questions = list(known.examples("train", 20, completions=1))
    decided = logged(known, questions, lambda asked: [(0.0,) * len(one.candidates) for one in asked], 0.1)
    loaded = policy.load(SHIPPED, quick())
    made = [prompt(loaded.tokenizer, one, Random(0)) for one in decided]
    found = logs_of(loaded, made, 8)
    texts = [render(known.point.schema, one.logged.question) for one in made]
    for row, scores in zip(found, asyncio.run(Embedded(SHIPPED, 1).score(texts, 60)), strict=True):
        assert np.allclose(row[: len(scores)].exp(), np.exp(scores), atol=1e-4)
        assert torch.isinf(row[len(scores) :]).all()


def test_answers_to_one_prompt_take_one_pass_through_the_network() -> None:
    loaded = policy.load(SHIPPED, quick())
    head.restrict(loaded.model, loaded.labels)
    passes = []
    loaded.model.base_model.register_forward_hook(lambda *given: passes.append(len(given[2][0])))
    ids = prompt(loaded.tokenizer, splits()[0][0], None).ids
    tokens = torch.tensor([[*ids, label] for label in loaded.labels[:2]] * 4)
    answers = torch.full_like(tokens, head.IGNORED)
    answers[:, -1] = tokens[:, -1]
    asked = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": answers}
    said = loaded.model(**asked, fused_lm_head=True)
    assert passes == [1]
    assert torch.equal(said.log_probs[0::2], said.log_probs[0:1].expand(4, -1))


def test_too_few_decisions_are_refused_with_what_to_do(tmp_path: Path) -> None:
    learned, held = judged("dpo")
    by_policy = [one for one in learned if one.logged.tier == "policy"]
    with pytest.raises(Refused) as refused:
        train("dpo", quick(), SHIPPED, (by_policy, held), tmp_path, lambda seen: None)
    assert "another method" in refused.value.cure
