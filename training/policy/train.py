"""Training of a small policy: read it from top to bottom.

A question counts by how probable a right choice is, in each of several completions of its world; on the side the
network estimates the outcome of every candidate, which tells it more of a question than the best choice alone.
Candidates stand in another order each time, so that no label is better than another.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.policy.data import Batch, Data, scaled, scales
from training.policy.model import Network, losses, seeded
from training.policy.preset import Preset
from training.policy.tokenizer import Words

SAVED = 60.0  # seconds between checkpoints
STEEPEST = 1.0  # norm to which gradients are cut
ROWS = 256  # of a batch that is only scored


class Seen(NamedTuple):
    """How far a training is. share: done, 0 to 1. loss: mean since the last time. right: share of right choices and
    nll: loss, on the split `validation`, when last looked at."""

    step: int
    share: float
    loss: float
    nll: float
    right: float


class Trained(NamedTuple):
    """network: with the best weights. metrics: on the split `validation`, by point and overall. ended: why it ended."""

    network: Network
    metrics: dict[str, dict[str, float]]
    steps: int
    ended: str


def train(
    preset: Preset, words: Words, train: Data, validation: Data, folder: Path, shown: Callable[[Seen], None]
) -> Trained:
    """folder: for checkpoints; a training that was interrupted goes on from the last one there."""
    seeded(preset.seed, len(os.sched_getaffinity(0)))
    network = Network(preset.shape, words)
    optimiser = torch.optim.AdamW(_groups(network, preset.decay), lr=preset.rate, betas=(0.9, 0.98), fused=True)
    train = scaled(train, scales(train))
    state = _State(network, optimiser, folder / "checkpoint.pt")
    state.resume()
    limit, began, saved = 60 * preset.minutes, time.monotonic() - state.elapsed, time.monotonic()
    mean, ended = 0.0, ""
    for rows in _batches(train, preset, state.step):
        state.elapsed = time.monotonic() - began
        share = max(state.step / preset.steps, state.elapsed / limit)
        ended = _end(preset, state, share)
        if ended:
            break
        for group in optimiser.param_groups:
            group["lr"] = preset.rate * _slope(share, preset.warm_up)
        loss = _step(
            network, optimiser, train.batch(rows, words, np.random.default_rng((preset.seed, 1, state.step))), preset
        )
        state.step += 1
        mean += (loss - mean) / min(state.step, 100)
        if state.step % preset.check == 0:
            state.judge(measure(network, words, validation)["overall"])
        if time.monotonic() - saved > SAVED:
            state.save()
            saved = time.monotonic()
        shown(Seen(state.step, share, mean, state.nll, state.right))
    state.judge(measure(network, words, validation)["overall"])
    state.save()
    network.load_state_dict(state.best)
    return Trained(network.eval(), measure(network, words, validation), state.step, ended)


def measure(network: Network, words: Words, data: Data) -> dict[str, dict[str, float]]:
    """By point and `overall`: nll, and right, the expected share of right choices."""
    loss, right = np.zeros(len(data)), np.zeros(len(data))
    order = np.argsort(data.lengths(np.arange(len(data))), kind="stable")
    with torch.inference_mode():
        for begin in range(0, len(order), ROWS):
            rows = order[begin : begin + ROWS]
            batch = data.batch(rows, words, None)
            logits = network(torch.from_numpy(batch.tokens), torch.from_numpy(batch.last))
            offered = torch.from_numpy(batch.offered)
            loss[rows] = losses(logits, torch.from_numpy(batch.right), offered).numpy()
            choice = logits.masked_fill(~offered, -torch.inf).argmax(-1).numpy()
            right[rows] = batch.share[np.arange(len(rows)), choice]
    parts = {name: data.point == number for number, name in enumerate(data.points)}
    parts["overall"] = np.ones(len(data), np.bool_)
    return {name: {"nll": float(loss[at].mean()), "right": float(right[at].mean())} for name, at in parts.items()}


class _State:
    """What a checkpoint holds."""

    def __init__(self, network: Network, optimiser: torch.optim.Optimizer, path: Path) -> None:
        self._network, self._optimiser, self._path = network, optimiser, path
        self.step, self.elapsed = 0, 0.0
        self.nll, self.right, self.worse = math.inf, 0.0, 0
        self.best: Mapping[str, Tensor] = {}

    def judge(self, found: Mapping[str, float]) -> None:
        """Keeps the weights where they are the best yet."""
        if found["nll"] < self.nll:
            self.nll, self.right, self.worse = found["nll"], found["right"], 0
            self.best = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        else:
            self.worse += 1

    def save(self) -> None:
        """In one piece, or not at all."""
        kept = {name: getattr(self, name) for name in _KEPT}
        parts = {"network": self._network.state_dict(), "optimiser": self._optimiser.state_dict()}
        beside = self._path.with_suffix(".new")
        torch.save(kept | parts, beside)
        beside.replace(self._path)

    def resume(self) -> None:
        if self._path.exists():
            found: dict[str, Any] = torch.load(self._path, weights_only=True)
            self._network.load_state_dict(found["network"])
            self._optimiser.load_state_dict(found["optimiser"])
            for name in _KEPT:
                setattr(self, name, found[name])


_KEPT = ("step", "elapsed", "nll", "right", "worse", "best")


def _step(network: Network, optimiser: torch.optim.Optimizer, batch: Batch, preset: Preset) -> float:
    """Returns the loss of the choices."""
    offered = torch.from_numpy(batch.offered)
    most = int(batch.offered.sum(1).max())
    ends = torch.from_numpy(batch.ends[:, :most])
    logits, values = network.scored(torch.from_numpy(batch.tokens), torch.from_numpy(batch.last), ends)
    loss = losses(logits, torch.from_numpy(batch.right), offered).mean()
    apart = functional.smooth_l1_loss(values, torch.from_numpy(batch.values[:, :most]), reduction="none")
    (loss + preset.value_weight * apart[offered[:, :most]].mean()).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), STEEPEST)
    optimiser.step()
    optimiser.zero_grad()
    return float(loss.detach())


def _end(preset: Preset, state: _State, share: float) -> str:
    if state.worse >= preset.patience:
        return f"no better for {preset.patience} validations"
    if share >= 1:
        return "steps" if state.step >= preset.steps else "time"
    return ""


def _slope(share: float, warm_up: float) -> float:
    """Of the rate of learning: up in a line, down in half a cosine."""
    if share < warm_up:
        return (share + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - warm_up) / (1 - warm_up)))


def _batches(data: Data, preset: Preset, start: int) -> Iterator[Any]:
    """Without end. The batches after `start` are the same whether the ones before were used or not."""
    epoch = 0
    while True:
        batches = list(data.epoch(preset.batch, np.random.default_rng((preset.seed, 0, epoch))))
        yield from batches[start:]
        start = max(0, start - len(batches))
        epoch += 1


def _groups(network: Network, decay: float) -> list[dict[str, Any]]:
    """Scales do not decay."""
    flat = [weight for weight in network.parameters() if weight.ndim < 2]
    matrices = [weight for weight in network.parameters() if weight.ndim >= 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]
