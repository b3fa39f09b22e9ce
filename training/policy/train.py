"""Training of a small policy: read it from top to bottom.

A question counts by how probable a right choice is, in each of several completions of its world; on the side the
network estimates the advantage of every candidate, which tells it more of a question than the best choice alone.
Candidates stand in another order each time, so that no label is better than another.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.policy.data import Batch, Data, Ints, advantages
from training.policy.model import Network, losses
from training.policy.preset import Preset
from training.policy.tokenizer import Words

SAVED = 60.0  # seconds between checkpoints
LATE = 0.02  # share by which time may run ahead of the steps before the rate falls with it; so the start is repeatable
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
    torch.manual_seed(preset.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # parts run beside each other; two threads in one cost three times the processor's time
    network = Network(preset.shape, words)
    optimiser = torch.optim.AdamW(_groups(network, preset.decay), lr=preset.rate, betas=(0.9, 0.98), fused=True)
    train = advantages(train)
    state = _State(network, optimiser, folder / "checkpoint.pt")
    state.resume()
    limit, began, saved = 60 * preset.minutes, time.monotonic() - state.elapsed, time.monotonic()
    mean, ended = 0.0, ""
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    teacher = _Teacher(network, optimiser, preset, pool)
    for rows in _batches(train, preset, state.step):
        state.elapsed = time.monotonic() - began
        share, clock = state.step / preset.steps, state.elapsed / limit
        share = clock if clock > share + LATE else share
        ended = _end(preset, state, share)
        if ended:
            break
        for group in optimiser.param_groups:
            group["lr"] = preset.rate * _slope(share, preset.warm_up)
        order = np.random.default_rng((preset.seed, 1, state.step))
        loss = teacher.step([train.batch(part, words, order) for part in rows])
        state.step += 1
        mean += (loss - mean) / min(state.step, 100)
        if state.step % preset.check == 0:
            state.judge(measure(network, words, validation)["overall"])
        if time.monotonic() - saved > SAVED:
            state.save()
            saved = time.monotonic()
        shown(Seen(state.step, share, mean, state.nll, state.right))
    pool.shutdown()
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


class _Teacher:
    """Makes steps. The parts of a batch are worked on beside each other, one thread a core, and their gradients summed
    in order: the numbers are the same however many cores there are."""

    def __init__(self, network: Network, optimiser: torch.optim.Optimizer, preset: Preset, pool: Executor) -> None:
        self._network, self._optimiser, self._preset, self._pool = network, optimiser, preset, pool
        embedding = {id(network.words), *map(id, network.kinds)}
        self._body = [weight for weight in network.parameters() if id(weight) not in embedding]

    def step(self, parts: list[Batch]) -> float:
        """Returns the mean loss of the choices."""
        table = self._network.table()
        leaf = table.detach().requires_grad_()
        count = sum(len(part.last) for part in parts)
        total, *others = list(self._pool.map(lambda part: self._part(part, leaf, count), parts))
        for other in others:
            for sum_, each in zip(total, other, strict=True):
                sum_ += each
        loss, embedded, *rest = total
        table.backward(embedded)  # type: ignore[no-untyped-call]
        for weight, slope in zip(self._body, rest, strict=True):
            weight.grad = slope
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), STEEPEST)
        self._optimiser.step()
        self._optimiser.zero_grad()
        return float(loss)

    def _part(self, part: Batch, table: Tensor, count: int) -> list[Tensor]:
        """The loss of the choices of a part, and the gradients of the table and of the other weights. count: examples
        of the whole batch."""
        offered = torch.from_numpy(part.offered)
        most = int(part.offered.sum(1).max())
        tokens, last, ends = map(torch.from_numpy, (part.tokens, part.last, part.ends[:, :most]))
        logits, values = self._network.scored(tokens, last, ends, table)
        loss = losses(logits, torch.from_numpy(part.right), offered).sum() / count
        apart = functional.smooth_l1_loss(values, torch.from_numpy(part.values[:, :most]), reduction="none")
        worth = ((apart * offered[:, :most]).sum(1) / offered.sum(1)).sum() / count
        slopes = torch.autograd.grad(loss + self._preset.value_weight * worth, [table, *self._body])
        return [loss.detach(), *slopes]


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


def _batches(data: Data, preset: Preset, start: int) -> Iterator[list[Ints]]:
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
