"""What is kept of a trained policy: one folder that ONNX Runtime, transformers and vLLM each can load."""

import json
import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from federation.policy import card, rendering
from training.policy import tokenizer
from training.policy.model import Network, configuration, size, weights
from training.policy.tokenizer import Words

WITH = ("torch", "onnx", "onnxscript", "onnxruntime", "tokenizers", "numpy", "safetensors")


def export(
    folder: Path,
    network: Network,
    words: Words,
    *,
    points: Mapping[str, int],
    preset: Mapping[str, Any],
    data: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float]],
    steps: int,
    ended: str,
) -> card.Card:
    """Writes all files of the policy, the card last. For the arguments see `Card`."""
    from safetensors.torch import save_file  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    tokenizer.save(words, folder)
    text = json.dumps(configuration(network.shape, words), indent=2)
    (folder / "config.json").write_text(text + "\n", "utf-8")
    save_file(weights(network), folder / "model.safetensors", metadata={"format": "pt"})
    _onnx(folder / "model.onnx", network)
    made = card.Card(
        name=folder.name,
        rendering=rendering.VERSION,
        points=dict(points),
        files={name: card.digest(folder / name) for name in card.FILES},
        parameters=size(network),
        preset=dict(preset),
        data=dict(data),
        steps=steps,
        ended=ended,
        versions={"python": platform.python_version()} | {name: version(name) for name in WITH},
        metrics={name: dict(found) for name, found in metrics.items()},
    )
    card.write(folder, made)
    return made


class _Frozen(torch.nn.Module):
    """The network with its table of embeddings made."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.table = torch.nn.Parameter(network.table().detach().clone())

    def forward(self, tokens: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        return self.network.logits(tokens, last, self.table)


def _onnx(path: Path, network: Network) -> None:
    """Inputs `tokens` (rows x length) and `last` (rows), int64; output `logits` (rows x LABELS), float32. What pads a
    row behind its last token changes nothing."""
    rows, length = Dim("rows", min=1, max=4096), Dim("length", min=2, max=tokenizer.LENGTH)
    example = torch.ones(3, 7, dtype=torch.int64), torch.tensor([6, 4, 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of torch that it uses itself
        program = torch.onnx.export(
            _Frozen(network).eval(),
            example,
            dynamo=True,
            dynamic_shapes=({0: rows, 1: length}, {0: rows}),
            input_names=["tokens", "last"],
            output_names=["logits"],
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export made nothing")
    program.save(str(path), external_data=False)
