"""What a policy could do before it learned to decide, and whether it still can.

A language model that is trained on decisions alone forgets (McCloskey and Cohen 1989), and nothing that is measured on
decisions shows it. So it is asked something else: which of four endings of a text is likely (training/evaluation/
texts.py), each by its log-likelihood a byte, as multiple choice is scored where the endings differ in length (Gao et
al. 2021). Forty items are few for a score and enough for a fall: before and after are compared item by item.

A policy that was made from nothing to read questions, such as the one that ships, knows no other words than theirs. It
cannot tell most endings apart, is at chance, and has nothing to lose: `known` says so.
"""

from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.bootstrap import interval
from training.evaluation.result import Kept
from training.evaluation.texts import ITEMS, Item
from training.learning.preset import Preset


def probe(model: Any, tokenizer: Any) -> Kept:
    """model, tokenizer: of transformers; a causal language model, with an adapter or without."""
    import torch  # noqa: PLC0415 - seconds, for this alone

    training = model.training
    model.eval()
    right, known, nats = [], [], []
    with torch.inference_mode():
        for item in ITEMS:
            told, logs = _item(model, tokenizer, item)
            best = max(logs)
            right.append((logs[0] == best) / logs.count(best))
            known.append(told)
            nats.append(-logs[0])
    model.train(training)
    chance = float(np.mean([1 / len(item.endings) for item in ITEMS]))
    return Kept(float(np.mean(right)), chance, float(np.mean(known)), nats)


def of_folder(folder: Path, preset: Preset) -> Kept:
    """preset: on which cards and in which precision the policy is loaded. Raises Refused where the folder holds no
    whole model."""
    from training.learning.policy import load  # noqa: PLC0415

    learner = load(folder, preset)
    return probe(learner.model, learner.tokenizer)


def changed(before: Kept, after: Kept) -> dict[str, float]:
    """For a policy's card. low, high: of how much the nats a byte rose, as a 95 % interval of the paired bootstrap:
    above 0 it has forgotten."""
    low, high = interval(np.array(after.nats) - np.array(before.nats))
    return {
        "before": before.right,
        "after": after.right,
        "chance": before.chance,
        "known": before.known,
        "nats_before": float(np.mean(before.nats)),
        "nats_after": float(np.mean(after.nats)),
        "low": low,
        "high": high,
    }


def _item(model: Any, tokenizer: Any, item: Item) -> tuple[bool, list[float]]:
    """Whether the words tell the true ending from the others, and the log-likelihood of each ending, a byte."""
    begun = tokenizer(item.begins)["input_ids"]
    whole = [tokenizer(item.begins + ending)["input_ids"] for ending in item.endings]
    logs = [_log(model, ids, _shared(begun, ids)) for ids in whole]
    told = all(ids != whole[0] for ids in whole[1:])
    return told, [log / len(ending.encode()) for log, ending in zip(logs, item.endings, strict=True)]


def _log(model: Any, ids: list[int], start: int) -> float:
    """Of the tokens from `start` on, after those before."""
    import torch  # noqa: PLC0415

    device = model.get_input_embeddings().weight.device
    tokens = torch.tensor([ids], device=device)
    logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits[0, start - 1 : -1]
    logs = logits.float().log_softmax(-1)
    return float(logs.gather(1, tokens[0, start:, None].to(logs.device)).sum())


def _shared(one: list[int], other: list[int]) -> int:
    """How many tokens they begin with together; at least one, for the first has nothing before it."""
    pairs = zip(one, other, strict=False)
    count = next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
    return max(1, min(count, len(other) - 1))
