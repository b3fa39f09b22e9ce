"""What is kept of a trained policy: one folder that ONNX Runtime, transformers and vLLM each can load."""

import json
import platform
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.export import Dim
from torch.func import functional_call

from federation.policy import card, rendering
from training.policy import tokenizer
from training.policy.model import Network, configuration, parameters, size, weights
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
    save_file(weights(network), folder / card.WEIGHTS, metadata={"format": "pt"})
    write_graph(folder, network)
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


class _Open(torch.nn.Module):
    """The network, but its weights are arguments: of these a graph holds the names alone."""

    def __init__(self, network: Network, names: list[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, tokens: Tensor, last: Tensor, weights: list[Tensor]) -> Tensor:
        found, table = parameters(self.network.shape, dict(zip(self.names, weights, strict=True)))
        return cast("Tensor", functional_call(self.network, found, (tokens, last, table)))


def write_graph(folder: Path, network: Network) -> None:
    """Writes `model.onnx` for the `model.safetensors` that is there. network: gives the shape and the labels.

    Inputs `tokens` (rows x length) and `last` (rows), int64; output `logits` (rows x LABELS), float32. What pads a row
    behind its last token changes nothing. The weights are external data (ONNX IR specification) at their places in
    `model.safetensors`; ONNX Runtime transposes and joins them as it starts, so that no answer waits for that.
    """
    import onnx  # noqa: PLC0415

    places = list(_places(folder / card.WEIGHTS))
    model = _traced(network, places)
    graph = model.graph
    del graph.input[2:], graph.value_info[:], model.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
    for place in places:
        tensor = graph.initializer.add(name=place.name, dims=place.shape, data_type=onnx.TensorProto.FLOAT)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", card.WEIGHTS), ("offset", place.offset), ("length", place.length)):
            tensor.external_data.add(key=key, value=str(value))
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def _traced(network: Network, places: "list[_Place]") -> Any:
    """The graph, as an `onnx.ModelProto` whose inputs behind the second are to become initializers."""
    rows, length = Dim("rows", min=1, max=4096), Dim("length", min=2, max=tokenizer.LENGTH)
    names = [place.name for place in places]
    tokens, last = torch.ones(3, 7, dtype=torch.int64), torch.tensor([6, 4, 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of torch that it uses itself
        program = torch.onnx.export(
            _Open(network, names).eval(),
            (tokens, last, [torch.zeros(place.shape) for place in places]),
            dynamo=True,
            dynamic_shapes=({0: rows, 1: length}, {0: rows}, [None] * len(places)),
            input_names=["tokens", "last", *names],
            output_names=["logits"],
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export made nothing")
    return program.model_proto


class _Place(NamedTuple):
    """Where a tensor stands in a file: offset, length in bytes."""

    name: str
    shape: tuple[int, ...]
    offset: int
    length: int


def _places(path: Path) -> Iterator[_Place]:
    """The format of safetensors: the length of a header in 8 bytes, the header in JSON, the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for name, found in header.items():
        begin, end = found["data_offsets"]
        yield _Place(name, tuple(found["shape"]), 8 + length + begin, end - begin)
