"""What is kept of a training: a whole policy that ELIAS can run, or an adapter for the policy that one began with."""

import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from federation.policy import card, rendering
from training.learning.estimate import written
from training.learning.run import Trained

WITH = ("torch", "transformers", "trl", "peft", "safetensors", "tokenizers", "numpy")


def export(
    folder: Path,
    start: Path,
    trained: Trained,
    *,
    preset: Mapping[str, Any],
    data: Mapping[str, Any],
    points: Mapping[str, int],
    metrics: Mapping[str, Mapping[str, float]],
) -> card.Card:
    """Writes the files of the policy, the card last. start: the folder that one began with. For the others see `Card`;
    `preset` names the method, `data` the data set and the version that one began with.

    Where one began with a whole policy, it is a whole one again: its graph with other weights. Else it is the adapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = trained.policy.model
    names = written(start)
    if names == card.FILES:
        _whole(folder, start, model.merge_and_unload() if hasattr(model, "peft_config") else model)
    else:
        model.save_pretrained(folder, safe_serialization=True)
    made = card.Card(
        name=folder.name,
        rendering=rendering.VERSION,
        points=dict(points),
        files={name: card.digest(folder / name) for name in names},
        parameters=sum(weight.numel() for weight in model.parameters()),
        preset=dict(preset),
        data=dict(data),
        steps=trained.steps,
        ended=trained.ended,
        versions={"python": platform.python_version()} | {name: version(name) for name in WITH},
        metrics={name: dict(found) for name, found in metrics.items()},
    )
    card.write(folder, made)
    return made


def _whole(folder: Path, start: Path, model: Any) -> None:
    """The graph finds its weights by their places in `model.safetensors`: all but their values stays as it was."""
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    before = load_file(start / card.WEIGHTS)
    now = model.state_dict()
    weights = {name: now[name].detach().to("cpu", torch.float32).contiguous() for name in before}
    if any(weights[name].shape != tensor.shape for name, tensor in before.items()):
        raise RuntimeError("the weights have another shape than those of the graph")
    for name in card.FILES:
        if name != card.WEIGHTS:
            shutil.copyfile(start / name, folder / name)
    save_file(weights, folder / card.WEIGHTS, metadata={"format": "pt"})
